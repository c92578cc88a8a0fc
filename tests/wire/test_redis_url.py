import pytest

from wire.redis_url import authorities, broker_tls


def test_the_file_of_authorities_is_read_from_the_url() -> None:
    assert authorities("rediss://:secret@db:6380/0?ssl_ca_certs=/etc/our%20ca.pem") == "/etc/our ca.pem"
    assert authorities("rediss://db") is None
    assert authorities("redis://db:6379/0") is None


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("rediss://db/0?ssl_cert_reqs=none", "only ssl_ca_certs=FILE may stand, not 'ssl_cert_reqs'"),
        ("rediss://db/0?ssl_ca_certs=/ca.pem&ssl_check_hostname=false", "not 'ssl_check_hostname'"),
        ("redis://db/0?password=secret", "not 'password'"),
        ("redis://db/0?ssl_ca_certs=/ca.pem", "must then begin with rediss://"),
        ("rediss://db/0?ssl_ca_certs=", "ssl_ca_certs names no file"),
    ],
)
def test_a_query_that_would_mean_something_else_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        authorities(url)


def test_the_broker_is_verified_wherever_there_is_tls() -> None:
    assert broker_tls("redis://db:6379/0") is None
    assert broker_tls("rediss://db:6380/0") == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
