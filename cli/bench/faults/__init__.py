"""``bench faults``: real parts under a seeded schedule of faults, and an oracle that shares no code with them."""
