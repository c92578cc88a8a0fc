"""What the URL of a Redis says of TLS: ``rediss://HOST:PORT/0?ssl_ca_certs=FILE``, as redis-py and kombu spell it."""

from urllib.parse import SplitResult, parse_qs, urlsplit

from wire.text import visible

_AUTHORITIES = "ssl_ca_certs"


def split(url: str) -> SplitResult:
    """Return the parts of a URL. Raises ValueError for one that is none of a Redis, or whose port is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError("a URL like redis://HOST:6379/0, rediss://HOST:6379/0 or unix:///PATH is needed")
    # Looking at it is what reads it.
    _ = parts.port
    return parts


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
