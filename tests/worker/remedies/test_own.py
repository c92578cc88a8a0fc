"""Remedies that users add: a good one is taken in, a bad one named with its fault. Each is tried for real."""

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from psutil import process_iter

from store.own_remedies import Found
from tests.system.all_in_one import wait_until
from tests.worker.remedies.own import EXAMPLE, add_example
from worker.remedies import own, trial
from worker.remedies.declaration import TAKEN
from worker.remedies.own import examine
from worker.remedies.render import Provenance, render
from worker.remedies.templates import BUILT_IN, load, load_all

NAMES = load_all().keys()
READS = "folder=${FM_FOLDER:-/srv/exports}\n"
ANY_TEXT = ("pattern = '/[A-Za-z0-9/_.-]+'\ndefault = \"/srv/exports\"\n", 'default = "7"\n')


def examined(folder: Path, **changes: tuple[str, str]) -> Found:
    """Examine the example with these changes, of ``toml``, ``sh`` or ``ps1``."""
    files = {"toml": "remedy.toml", "sh": "fix.sh", "ps1": "fix.ps1"}
    return examine(add_example(folder, changes={files[kind]: change for kind, change in changes.items()}), NAMES)


def test_the_example_of_the_docs_is_taken_in_with_its_folder_as_source(tmp_path: Path) -> None:
    found = examined(tmp_path)
    assert found.fault is None
    assert found.document is not None
    assert (found.document["source"], found.folder) == (str(tmp_path / "old_exports"),) * 2
    assert found.scripts == {"bash": EXAMPLE["fix.sh"], "powershell": EXAMPLE["fix.ps1"]}


def test_the_example_of_the_docs_does_what_it_says(tmp_path: Path) -> None:
    template = load(add_example(tmp_path / "remedies"))
    old, new, other = (tmp_path / name for name in ("old.export", "new.export", "old.txt"))
    for file in (old, new, other):
        file.touch()
    for file in (old, other):
        os.utime(file, (1.7e9, 1.7e9))
    script = tmp_path / "fix.sh"
    script.write_text(
        render(template, "bash", {"folder": str(tmp_path), "older_than_days": 30}, Provenance(17, "web-1")).content
    )

    def run(mode: str) -> int:
        return subprocess.run(["bash", script, mode], stdin=subprocess.DEVNULL, capture_output=True).returncode

    assert (run("plan"), run("verify"), old.exists()) == (0, 1, True)
    assert (run("apply"), run("verify")) == (0, 0)
    assert [file.exists() for file in (old, new, other)] == [False, True, True]
    assert run("apply") == 0


def test_a_built_in_one_would_be_taken_in_too() -> None:
    assert examine(BUILT_IN / "service_restart", ()).fault is None


def test_no_parameter_can_have_a_name_that_the_block_of_values_has(tmp_path: Path) -> None:
    content = render(load(add_example(tmp_path)), "bash", {}, Provenance(17, "web-1")).content
    block = content.partition("all else is the remedy as it stands.\n")[2]
    names = [line.partition("=")[0] for line in block.splitlines()]
    assert {name.removeprefix("FM_").lower() for name in names if name.startswith("FM_")} == TAKEN


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('risk = "medium"\n', ""), "remedy.toml: Object missing required field `risk`"),
        (('risk = "medium"', 'risk = "none"'), "remedy.toml: Invalid enum value 'none'"),
        (("events = []", 'events = ["cpu_hihg"]'), "remedy.toml: 'cpu_hihg' is no type of event: there are cpu_"),
        (('"1.0.0"', '"first, and last"'), "remedy.toml: version must be"),
        (('"Remove old exports"', '"""two\nlines"""'), "remedy.toml: title must be one line"),
        (('title = "Remove old exports"', 'title = "A\\u0000B"'), "remedy.toml: title must be one line"),
        (('name = "folder"', 'name = "Folder"'), "remedy.toml: 'Folder' can be no parameter"),
        (('name = "folder"', 'name = "host"'), "remedy.toml: 'host' can be no parameter"),
        (('name = "folder"', 'name = "older_than_days"'), "remedy.toml: older_than_days is a parameter twice"),
        (("[A-Za-z0-9/_.-]+", "[z-a]"), "remedy.toml: folder has a pattern that is no regular expression"),
        (("'/[A-Za-z0-9/_.-]+'", '"/\\u0000"'), "remedy.toml: folder has a pattern with NUL"),
        (('"/srv/exports"', '"exports"'), "remedy.toml: folder must be a string"),
        (("minimum = 1\n", "minimum = 4000\n"), "remedy.toml: older_than_days has a minimum above its maximum"),
        (("minimum = 1\n", "minimum = nan\n"), "remedy.toml: older_than_days has a number that is not from"),
        (("3650", "9" * 400), "remedy.toml: older_than_days has a number that is not from"),
        (("events = []", "events = " + "[" * 9000), "remedy.toml: maximum recursion depth"),
        (("default = 30\n", "default = 30\nrequired = true\n"), "remedy.toml: older_than_days is required and has"),
        (("default = 30\n", "pattern = 'x'\n"), "remedy.toml: older_than_days is of type integer and has a pattern"),
        (("# such as", "= such as"), "remedy.toml: "),
    ],
)
def test_what_a_remedy_says_of_itself_is_held_against_what_it_may_say(
    tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    assert (examined(tmp_path, toml=change).fault or "").startswith(fault)


@pytest.mark.parametrize(
    "evaluates",
    [
        'eval "x=$FM_FOLDER"',
        "eval \"x='$FM_FOLDER'\"",
        'bash -c "echo $FM_FOLDER" > /dev/null',
        "[[ $FM_FOLDER -gt 3 ]]",
    ],
)
def test_a_script_that_runs_a_value_as_code_is_found(tmp_path: Path, evaluates: str) -> None:
    # Shellcheck finds nothing in these.
    evaluating = (READS, f"{READS}# shellcheck disable=SC2034\n{evaluates} 2> /dev/null || true\n")
    fault = examined(tmp_path, toml=ANY_TEXT, sh=evaluating).fault or ""
    assert fault.startswith("fix.sh: run with 'plan' and texts like ")


def test_a_parameter_may_be_any_text_where_it_is_only_read(tmp_path: Path) -> None:
    assert examined(tmp_path, toml=ANY_TEXT).fault is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("# fleetmedic: values\n", "\n# fleetmedic: values\n"), "fix.sh: it must begin with"),
        (("#!/usr/bin/env bash", "#!/usr/bin/env python3"), "fix.sh: it must begin with"),
        (("verify", "check"), "fix.sh: it does not know the mode verify"),
        (("case $mode in\n", "case $mode in (\n"), "fix.sh line "),
        (('[ -d "$folder" ]', "[ -d $folder ]"), "fix.sh line 40: Double quote to prevent globbing"),
        (("set -u\n", "set -u\ntouch written\n"), "fix.sh: run with 'plan' it wrote 'written'"),
        (("*) finish 2 usage", "*) finish 0 nothing"), "fix.sh: run with 'no-such-mode' it ends with 0 and not with 2"),
        (("    if [ ! -t 0 ]", "    mode=plan; if [ -t 0 ]"), "fix.sh: run without mode and terminal "),
        (("finish 3 refused", "finish 1 failed"), "fix.sh: run with 'plan' it ends with 1 and not with 0 or 3"),
        (("finish 3 refused", "finish 3 planned"), "fix.sh: run with 'plan' it ends with 3, and its last line says"),
        (('"changed":[%s]}\\n', '"changed":[%s]}\\nbye\\n'), "fix.sh: run with 'plan' its last line is no result"),
        (('"before":{"files":%d}', '"before":%d'), "fix.sh: run with 'plan' its last line is no result"),
        (('"changed":[%s]', '"changed":["x%s"]'), "fix.sh: run with 'plan' its last line says that something was"),
    ],
)
def test_a_script_in_bash_is_read_and_tried(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    assert (examined(tmp_path, sh=change).fault or "").startswith(fault)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("if ($Before -eq 0) {", "if ($Before -eq 0 {"), "fix.ps1 line "),
        (("# fleetmedic: values\n", "$x = 1\n# fleetmedic: values\n"), "fix.ps1: it must begin with param(...)"),
        (("param(\n    [string]$Mode = ''\n)\n", "$Mode = ''\n"), "fix.ps1: it must begin with param(...)"),
        (("# Removes exports", "# \u2019"), "fix.ps1 line 5: it has a character that is not ASCII"),
        (("verify", "check"), "fix.ps1: it does not know the mode verify"),
    ],
)
def test_a_script_in_powershell_is_parsed(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    assert (examined(tmp_path, ps1=change).fault or "").startswith(fault)


def test_a_script_is_tried_without_the_environment_and_the_rights_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETMEDIC_ADMIN_TOKEN", "secret")
    telling = 'finish 1 failed "token ${FLEETMEDIC_ADMIN_TOKEN:-unset}, user $(id -un)"'
    found = examined(tmp_path, sh=("finish 3 refused 'there is no such folder here'", telling))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    assert (found.fault or "").endswith(f": token unset, user {user}")


def test_a_script_that_does_not_end_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_SECONDS", 0.2)
    found = examined(tmp_path, sh=("set -u\n", "set -u\nsleep 4711.25 &\nwait\n"))
    assert found.fault == "fix.sh: run with 'plan' it did not end within 0.2 s"
    wait_until(
        lambda: not any(process.info["cmdline"] == ["sleep", "4711.25"] for process in process_iter(["cmdline"]))
    )


def test_what_everybody_may_write_is_not_run(tmp_path: Path) -> None:
    script = add_example(tmp_path) / "fix.sh"
    script.chmod(0o666)
    assert examine(script.parent, NAMES).fault == "fix.sh can be written by everybody, and is run here: chmod o-w"


def test_a_name_of_a_built_in_remedy_is_taken(tmp_path: Path) -> None:
    fault = examine(add_example(tmp_path, "cpu_high"), NAMES).fault
    assert fault == "remedy.toml: cpu_high is a built-in remedy: choose another name"


def test_a_folder_without_a_remedy_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "empty\u202e").mkdir()
    found = examine(tmp_path / "empty\u202e", NAMES)
    assert (found.name, found.fault) == ("empty\\u202e", "remedy.toml: there is no such file")


def test_only_folders_whose_names_begin_with_no_dot_are_looked_at(tmp_path: Path) -> None:
    add_example(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").touch()
    assert own.fingerprints(tmp_path).keys() == {"old_exports"}
    assert own.fingerprints(tmp_path / "nowhere") == {}
