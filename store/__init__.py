"""The shared store: tables, engine, reads and writes. The only place with SQL."""
