from pathlib import Path

import pytest

from wire.environment import SECRETS, SettingError, data_dir, number, redis_url, text, with_secrets


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "0.5", "11", "ten", "1,5"])
def test_a_number_that_cannot_be_used_names_variable_and_bounds(given: str) -> None:
    with pytest.raises(SettingError, match=r"FLEETMEDIC_X is '.*': a number from 1 to 10 is needed"):
        number({"FLEETMEDIC_X": given}, "FLEETMEDIC_X", 5, 1, 10)


def test_a_number_within_its_bounds_is_read_and_an_unset_one_is_the_default() -> None:
    assert number({"FLEETMEDIC_X": "10"}, "FLEETMEDIC_X", 5, 1, 10) == 10
    assert number({"FLEETMEDIC_X": ""}, "FLEETMEDIC_X", 5, 1, 10) == 5


def test_an_empty_text_is_the_default() -> None:
    assert text({"FLEETMEDIC_X": ""}, "FLEETMEDIC_X", "default") == "default"


def test_the_data_folder_is_absolute_and_knows_the_home() -> None:
    assert data_dir({"FLEETMEDIC_DATA_DIR": "~/here"}) == Path.home() / "here"
    assert data_dir({"FLEETMEDIC_DATA_DIR": "here"}).is_absolute()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_in_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://a:b@c/d\n")
    known = with_secrets({f"{name}_FILE": str(tmp_path / "secret"), "FLEETMEDIC_INTERVAL": "5"})
    assert known == {name: "postgresql://a:b@c/d", "FLEETMEDIC_INTERVAL": "5"}


def test_an_empty_path_counts_as_not_set() -> None:
    given = {"FLEETMEDIC_ADMIN_TOKEN": "token", "FLEETMEDIC_ADMIN_TOKEN_FILE": ""}
    assert with_secrets(given) == {"FLEETMEDIC_ADMIN_TOKEN": "token"}


@pytest.mark.parametrize(
    ("content", "beside", "complaint"),
    [
        (None, {}, "FLEETMEDIC_HOST_KEY_FILE: '.*secret' cannot be read: No such file or directory"),
        (b"\xff\xfe", {}, "FLEETMEDIC_HOST_KEY_FILE: '.*secret' cannot be read: it is not text"),
        (b" \n", {}, "FLEETMEDIC_HOST_KEY_FILE: '.*secret' is empty"),
        (b"7.x", {"FLEETMEDIC_HOST_KEY": "7.y"}, "FLEETMEDIC_HOST_KEY and FLEETMEDIC_HOST_KEY_FILE are both set"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(
    content: bytes | None, beside: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SettingError, match=complaint):
        with_secrets({"FLEETMEDIC_HOST_KEY_FILE": str(tmp_path / "secret"), **beside})


def test_the_url_of_redis_is_taken_as_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    url = f"rediss://:secret@db:6380/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
    assert redis_url({"FLEETMEDIC_REDIS_URL": url}) == url
    assert redis_url({}) == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("ssl_cert_reqs=none", "FLEETMEDIC_REDIS_URL cannot be used: .* not 'ssl_cert_reqs'"),
        ("ssl_ca_certs=/no/ca.pem", "FLEETMEDIC_REDIS_URL: ssl_ca_certs names '/no/ca.pem', which cannot be read: No"),
    ],
)
def test_a_url_of_redis_that_cannot_be_used_says_why(query: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        redis_url({"FLEETMEDIC_REDIS_URL": f"rediss://:secret@db:6380/0?{query}"})
