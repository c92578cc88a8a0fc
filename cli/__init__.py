"""The ``fleetmedic`` command."""
