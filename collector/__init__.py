"""The agent on each host: reads it, keeps what it read in a spool, pushes it. Needs psutil, msgspec and redis."""
