"""What crosses Redis: snapshots, entries and their signature, key, queue and task names.

Imported by every station and by the bare collector, so it needs nothing but msgspec.
"""
