"""Deviation: a host far from its own history. Pure NumPy over hosts × metrics, one bucket of five minutes a step."""
