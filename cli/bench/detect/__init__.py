"""``bench detect``: how good the events of deviation are, on labelled series."""
