"""What holds a host or the fleet back, and what would help: what is known in, a verdict in plain words out. Pure."""
