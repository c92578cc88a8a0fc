"""What a host put into a value arrives in the script as it was, and never as code."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.remedies import Parameter, Remedy, ScriptType, Value
from store.script_templates import MARKER
from tests.worker.remedies.powershell import read_assignments
from worker.remedies.render import (
    Provenance,
    Rendered,
    bash_literal,
    powershell_literal,
    render,
    text_of,
)
from worker.remedies.templates import Template, load_all

REMEDY = Remedy(
    issue_type="test",
    title="Test",
    description="A test.",
    version="1.0.0",
    events=("test",),
    risk="low",
    requires_admin=False,
    parameters=(Parameter("word", "string", "any"),),
)
PRINT = '#!/usr/bin/env bash\n# fleetmedic: values\nprintf "%s\\0" "$FM_WORD" "$FM_HOST"\n'
TEMPLATE = Template(REMEDY, {"bash": PRINT, "powershell": f"param()\n{MARKER}\n$FM_WORD\n"})
NOWHERE = Provenance(None, None)
# Neither a variable of bash nor a process argument can hold NUL; parameters are refused with it.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


def rendered(word: Value, script_type: ScriptType = "bash", provenance: Provenance = NOWHERE) -> Rendered:
    return render(TEMPLATE, script_type, {"word": word}, provenance)


def arrives(folder: Path, *words: str) -> list[str]:
    """Return what a bash that reads the literals prints."""
    script = folder / "print.sh"
    script.write_text("".join(f"printf '%s\\0' {bash_literal(word)}\n" for word in words))
    out = subprocess.run(["bash", str(script)], cwd=folder, capture_output=True, check=True).stdout
    assert sorted(path.name for path in folder.iterdir()) == ["print.sh"]
    return out.decode().split("\0")[:-1]


@settings(max_examples=25)
@given(st.lists(TEXT, min_size=20, max_size=20))
def test_any_text_arrives_in_bash_as_it_was(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    assert arrives(tmp_path_factory.mktemp("bash"), *words) == words


@given(TEXT)
def test_any_text_arrives_in_powershell_as_it_was(text: str) -> None:
    assert read_assignments(f"$FM_WORD = {powershell_literal(text)}\n") == ({"WORD": text}, "")


@given(TEXT)
def test_a_script_is_plain_ascii_of_as_many_lines_whatever_its_values(text: str) -> None:
    for script_type in ("bash", "powershell"):
        content = rendered(text, script_type).content
        assert content.isascii()
        assert content.replace("\n", "").isprintable()
        assert content.count("\n") == rendered("", script_type).content.count("\n")


def test_only_the_marker_gives_way_to_the_values() -> None:
    before, _, after = PRINT.partition(f"{MARKER}\n")
    content = rendered("a").content
    assert content.startswith(before)
    assert content.endswith(after)
    assert MARKER not in content


def test_a_value_that_names_the_marker_changes_nothing_else() -> None:
    assert rendered(f"x\n{MARKER}\n").content.count("FM_WORD=") == 1


def test_the_block_tells_what_the_script_answers() -> None:
    content = rendered("x", provenance=Provenance(17, "web-1")).content
    assert "FM_REMEDY='test'\nFM_VERSION='1.0.0'\nFM_EVENT='17'\nFM_HOST='web-1'\nFM_WORD='x'\n" in content


def test_the_same_event_gives_the_same_bytes() -> None:
    assert rendered("x", provenance=Provenance(17, "web-1")) == rendered("x", provenance=Provenance(17, "web-1"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (0.5, "0.5"),
        (1764000000.123456, "1764000000.123456"),
        (1e15, "1000000000000000"),
        (0.0000001, "0"),
        ("a", "a"),
    ],
)
def test_values_are_written_as_scripts_read_them(value: Value, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("script_type", "event", "filename", "run_command"),
    [
        ("bash", None, "fleetmedic-test.sh", "bash fleetmedic-test.sh"),
        ("bash", 17, "fleetmedic-test-event-17.sh", "bash fleetmedic-test-event-17.sh"),
        (
            "powershell",
            17,
            "fleetmedic-test-event-17.ps1",
            "powershell -NoProfile -ExecutionPolicy Bypass -File .\\fleetmedic-test-event-17.ps1",
        ),
    ],
)
def test_a_script_comes_with_its_name_and_how_to_run_it(
    script_type: ScriptType, event: int | None, filename: str, run_command: str
) -> None:
    one = rendered("x", script_type, Provenance(event, None))
    assert (one.filename, one.run_command) == (filename, run_command)


@pytest.mark.parametrize("template", load_all().values(), ids=lambda template: template.remedy.issue_type)
def test_every_remedy_assigns_all_of_its_parameters(template: Template) -> None:
    values = {parameter.name: parameter.default for parameter in template.remedy.parameters}
    for script_type in template.remedy.script_types:
        content = render(template, script_type, values, NOWHERE).content
        sign = "$" if script_type == "powershell" else ""
        for name in values:
            assert re.search(rf"^{re.escape(sign)}FM_{name.upper()} ?= ?", content, re.MULTILINE), name
