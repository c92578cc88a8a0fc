"""The PowerShell fixes, run: by each PowerShell that is on PATH. On Linux and macOS they refuse, after all checks."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store.remedies import Value, complete
from tests.worker.remedies.bash import TEMPLATES
from tests.worker.remedies.powershell import FIXES, POWERSHELL
from tests.worker.remedies.test_hostile_values import PARAMETERS, TEMPLATE, VALUES, eight_for, rendered_with
from worker.remedies.render import Provenance, render

NEEDED: dict[str, dict[str, Value]] = {
    "process_memory_high": {"pid": 4_194_304},
    "service_restart": {"service": "no-such-service"},
}
RESULT = ["remedy", "mode", "outcome", "exit_code", "message", "before", "after", "changed"]
each = pytest.mark.parametrize("issue_type", FIXES)


@pytest.fixture(params=[name for name in ("powershell", "pwsh") if shutil.which(name)] or [None])
def shell(request: pytest.FixtureRequest) -> str:
    if request.param is None:
        pytest.skip("there is no pwsh and no powershell on PATH: the PowerShell fixes are parsed only")
    return str(request.param)


def run(shell: str, script: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a script as its run command does, and return its exit code and its last line."""
    command = [shell, "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(script), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.stdout.isascii()
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def written(folder: Path, issue_type: str) -> Path:
    template = TEMPLATES[issue_type]
    parameters = complete(template.remedy, NEEDED.get(issue_type, {}))
    rendered = render(template, POWERSHELL, parameters, Provenance(17, "web-1"))
    script = folder / rendered.filename
    script.write_text(rendered.content)
    return script


@each
def test_its_own_parser_has_nothing_to_say(shell: str, tmp_path: Path, issue_type: str) -> None:
    script = written(tmp_path, issue_type)
    parse = (
        "$Errors = $null\n"
        "[void][System.Management.Automation.Language.Parser]::ParseFile($args[0], [ref]$null, [ref]$Errors)\n"
        "$Errors | ForEach-Object { $_.ToString() }\n"
    )
    check = tmp_path / "check.ps1"
    check.write_text(parse)
    done = subprocess.run([shell, "-NoProfile", "-File", str(check), str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_all_hostile_values_arrive_byte_for_byte(shell: str, tmp_path: Path) -> None:
    tell = "[Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($FM_WORD)))\n"
    blocks = [render(TEMPLATE, POWERSHELL, {"word": value}, Provenance(17, "h")).content for value in VALUES]
    script = tmp_path / "print.ps1"
    script.write_text("".join(block.removeprefix("param()\n") + tell for block in blocks))
    done = subprocess.run([shell, "-NoProfile", "-File", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [base64.b64decode(line).decode("utf-16-le") for line in done.stdout.splitlines()] == VALUES
    assert [path.name for path in tmp_path.iterdir()] == ["print.ps1"]


@each
def test_anything_but_a_mode_is_answered_with_the_usage(shell: str, tmp_path: Path, issue_type: str) -> None:
    script = written(tmp_path, issue_type)
    for arguments in ([], ["fix"], ["--help"], ["plan", "-Force"], ["apply", "yes"]):
        code, result = run(shell, script, *arguments)
        assert (code, result["outcome"], result["exit_code"]) == (2, "usage", 2), arguments
        assert "plan | apply" in result["message"]


@each
def test_a_plan_changes_nothing_and_has_its_result_in_the_last_line(
    shell: str, tmp_path: Path, issue_type: str
) -> None:
    code, result = run(shell, written(tmp_path, issue_type), "plan")
    assert list(result) == RESULT
    assert (result["remedy"], result["mode"], result["exit_code"], result["changed"]) == (issue_type, "plan", code, [])
    if sys.platform == "win32":
        assert code in (0, 3)
    else:
        assert (code, result["outcome"]) == (3, "refused")
        assert "for bash" in result["message"]


@each
def test_it_plans_or_refuses_with_eight_hostile_values_for_each_of_its_parameters(
    shell: str, tmp_path: Path, issue_type: str
) -> None:
    values = [(one, value) for name, one in PARAMETERS if name == issue_type for value in eight_for(one)]
    for number, (parameter, value) in enumerate(values):
        given = rendered_with(issue_type, parameter, value, "/")
        content = render(TEMPLATES[issue_type], POWERSHELL, given, Provenance(17, value)).content
        (tmp_path / f"fix-{number}.ps1").write_text(content)
    # All by one PowerShell: it takes longer to start than any of them runs.
    every = tmp_path / "every.ps1"
    every.write_text(
        f"foreach ($Number in 0..{len(values) - 1}) {{\n"
        '    & (Join-Path $PSScriptRoot "fix-$Number.ps1") plan\n'
        '    [Console]::Out.WriteLine("ended $LASTEXITCODE")\n}\n'
    )
    files = sorted(tmp_path.iterdir())
    done = subprocess.run([shell, "-NoProfile", "-File", str(every)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.isascii()
    lines = done.stdout.splitlines()
    ended = [place for place, line in enumerate(lines) if line.startswith("ended ")]
    assert len(ended) == len(values)
    for place in ended:
        result = json.loads(lines[place - 1])
        assert lines[place] == f"ended {result['exit_code']}"
        assert result["exit_code"] in (0, 2, 3)
    assert sorted(tmp_path.iterdir()) == files
