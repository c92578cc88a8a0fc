import subprocess
import sys
import textwrap

import pytest

from cli.main import COMMANDS, main


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """No server is running and nothing is set."""
    for name in ("FLEETMEDIC_API_URL", "FLEETMEDIC_REDIS_URL", "FLEETMEDIC_DATABASE_URL", "FLEETMEDIC_HOST_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))


def test_without_a_command_it_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name}" in shown for name in COMMANDS)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fleetmedic 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "invalid choice: 'nope'"),
        (["up", "--port", "0"], "--port: '0' is not a whole number from 1 to 65535"),
        (["up", "--port", "80a"], "--port: '80a'"),
        (["up", "--interval", "0.2"], "--interval: '0.2' is not a number of seconds from 1 to 3600"),
        (["up", "--interval", "nan"], "--interval: 'nan'"),
        (["worker", "--concurrency", "-1"], "--concurrency"),
        (["db", "downgrade"], "invalid choice: 'downgrade'"),
        (["enroll"], "NAME"),
        (["events", "--state", "broken"], "--state"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["hosts", "events"])
def test_without_a_server_it_says_how_to_get_one(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fleetmedic: no server found: start one with `fleetmedic up`")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["collector"], {}, "FLEETMEDIC_HOST_KEY is not set"),
        (
            ["collector"],
            {"FLEETMEDIC_HOST_KEY_FILE": "/nowhere/key"},
            "FLEETMEDIC_HOST_KEY_FILE: '/nowhere/key' cannot",
        ),
        (["worker"], {"FLEETMEDIC_BATCH_ENTRIES": "many"}, "FLEETMEDIC_BATCH_ENTRIES is 'many'"),
        (["worker"], {"FLEETMEDIC_DATABASE_URL": "mysql://x/y"}, "FLEETMEDIC_DATABASE_URL names 'mysql'"),
        (["worker"], {"FLEETMEDIC_DATABASE_URL": "none"}, "FLEETMEDIC_DATABASE_URL is not a database URL"),
        (
            ["worker"],
            {"FLEETMEDIC_REDIS_URL": "http://x/0"},
            "FLEETMEDIC_REDIS_URL cannot be used: a URL like redis://",
        ),
        (["worker"], {"FLEETMEDIC_REDIS_URL": "redis://x:y/0"}, "FLEETMEDIC_REDIS_URL cannot be used: Port could not"),
        (["db", "upgrade"], {"FLEETMEDIC_DATABASE_URL": "mysql://x/y"}, "FLEETMEDIC_DATABASE_URL names 'mysql'"),
        (["hosts"], {"FLEETMEDIC_API_URL": "localhost:8080"}, "FLEETMEDIC_API_URL is 'localhost:8080'"),
        (["hosts"], {"FLEETMEDIC_API_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(
    arguments: list[str],
    environment: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_the_collector_needs_nothing_of_the_server() -> None:
    program = textwrap.dedent(
        """
        import sys
        from cli.main import main

        main(["collector"])
        print(sorted({"celery", "flask", "sqlalchemy", "numpy", "kombu", "alembic"} & set(sys.modules)))
        """
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("command", ["up", "worker", "api", "db", "enroll", "doctor"])
def test_a_command_of_the_server_says_that_the_server_is_not_installed(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As in an environment that has the base package only.
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert main([command]) == 1
    assert capsys.readouterr().err == (
        f"fleetmedic: `fleetmedic {command}` needs the server: pip install 'fleetmedic[server]'\n"
    )
