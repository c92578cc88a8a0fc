"""The Flask JSON API: parse, one call to the store, JSON."""
