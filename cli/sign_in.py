"""The link that lets a browser in."""

from sqlalchemy import Connection

from store.sessions import add_code


def sign_in_link(connection: Connection, api_url: str, now: float) -> str:
    """Return a link to the page that is good once, for an hour.

    The code is in the fragment, which no browser sends: it is in no log of a server or a proxy, and in no Referer.
    """
    return f"{api_url}/monitoring-dashboard#code={add_code(connection, now)}"
