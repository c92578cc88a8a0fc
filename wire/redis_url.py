"""What the URL of a Redis says of TLS: ``rediss://HOST:PORT/0?ssl_ca_certs=FILE``, as redis-py and kombu spell it."""

from urllib.parse import parse_qs, urlsplit

from wire.text import visible

_AUTHORITIES = "ssl_ca_certs"


def authorities(url: str) -> str | None:
    """Return the file of the authorities that the server's certificate must be signed by, None for the system's.

    Raises ValueError for a query that says anything else: clients know more words, and some turn verification off.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    for word in query.keys() - {_AUTHORITIES}:
        raise ValueError(f"after its '?' only {_AUTHORITIES}=FILE may stand, not '{visible(word)}'")
    if not query:
        return None
    if parts.scheme != "rediss":
        raise ValueError(f"{_AUTHORITIES} is for TLS: the URL must then begin with rediss://")
    (*_, file) = query[_AUTHORITIES]
    if not file:
        raise ValueError(f"{_AUTHORITIES} names no file")
    return file


def broker_tls(url: str) -> dict[str, str | bool] | None:
    """Return Celery's ``broker_use_ssl`` for a URL: kombu by itself verifies nothing unless a file is named."""
    if urlsplit(url).scheme != "rediss":
        return None
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
