"""One module a subcommand of ``fleetmedic``."""
