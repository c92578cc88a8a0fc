"""The web page; speaks only HTTP to the API."""
