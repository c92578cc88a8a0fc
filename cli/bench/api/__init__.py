"""``fleetmedic bench api``."""
