"""The rules: pure NumPy over a batch of hosts × metrics; no I/O, no clock."""
