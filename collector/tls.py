"""TLS on a connection to Redis. Imported for a ``rediss://`` URL only: other collectors do without the ssl module."""

import socket
import ssl

# Of OpenSSL's X509_V_ERR_…: self-signed, or signed by nobody who is known.
_UNKNOWN_SIGNERS = (18, 19, 20, 21)


def secured(connection: socket.socket, host: str, authorities: str | None) -> ssl.SSLSocket:
    """Return the connection with TLS on it; the server's certificate and the name in it are verified.

    ``authorities`` is the file of those who may have signed it, None for those that the system trusts. Raises OSError
    with a cause for the log; the connection is closed then.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        connection.close()
        raise OSError(f"{authorities} (ssl_ca_certs) holds no certificate that can be read: {_cause(error)}") from None
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise OSError(f"its certificate is not accepted: {error.verify_message}{_hint(error, authorities)}") from None
    except (ssl.SSLError, ConnectionError) as error:
        connection.close()
        raise OSError(f"no TLS there ({_cause(error)}): is it the port for TLS?") from None
    except OSError:
        connection.close()
        raise


def _hint(error: ssl.SSLCertVerificationError, authorities: str | None) -> str:
    if error.verify_code not in _UNKNOWN_SIGNERS:
        return ""
    if authorities is None:
        return "; name the file of the authority that signed it: rediss://…?ssl_ca_certs=FILE"
    return f"; is {authorities} the authority that signed it?"


def _cause(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else error.strerror or str(error)
