import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cli.main import main
from store.engine import connect, writing
from store.sessions import redeem_code


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, engine: Engine, tmp_path: Path) -> Engine:
    """A database that the environment names."""
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FLEETMEDIC_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.delenv("FLEETMEDIC_API_URL", raising=False)
    return engine


def test_each_link_lets_one_browser_in(server: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for _ in range(2):
        assert main(["link"]) == 0
        page, _, code = capsys.readouterr().out.strip().partition("#code=")
        assert page == "http://127.0.0.1:8080/monitoring-dashboard"
        codes.append(code)
    with writing(server) as connection:
        good = [redeem_code(connection, code, time.time()) for code in (*codes, *codes)]
    assert good == [True, True, False, False]


def test_a_link_leads_to_the_server_that_is_set(
    server: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETMEDIC_API_URL", "https://fleet.example/")
    assert main(["link"]) == 0
    assert capsys.readouterr().out.startswith("https://fleet.example/monitoring-dashboard#code=")


def test_without_a_server_no_link_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("FLEETMEDIC_DATABASE_URL", raising=False)
    assert main(["link"]) == 1
    assert capsys.readouterr().err.startswith("fleetmedic: no server found: start one with `fleetmedic up`")
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_version_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    connect(url).dispose()
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FLEETMEDIC_DATABASE_URL", url)
    assert main(["link"]) == 1
    assert "run `fleetmedic db upgrade`" in capsys.readouterr().err
