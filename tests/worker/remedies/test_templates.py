"""Remedies as they lie in their folders."""

from pathlib import Path

import pytest

from store.script_templates import MARKER
from worker.remedies.templates import BadRemedy, load, load_all

TOML = """
issue_type = "mine"
title = "Mine"
description = "Does it."
version = "1.0.0"
events = ["mine"]
risk = "low"
requires_admin = false
"""
SCRIPT = f"#!/usr/bin/env bash\n{MARKER}\n"


def write(folder: Path, toml: str = TOML, script: str | None = SCRIPT) -> Path:
    remedy = folder / "mine"
    remedy.mkdir()
    (remedy / "remedy.toml").write_text(toml)
    if script is not None:
        (remedy / "fix.sh").write_text(script)
    return remedy


def test_the_six_of_the_product_have_both_scripts() -> None:
    loaded = load_all()
    assert set(loaded) == {
        "cpu_high",
        "memory_high",
        "disk_full",
        "process_memory_high",
        "service_restart",
        "disk_health",
    }
    assert all(template.remedy.script_types == ("bash", "powershell") for template in loaded.values())


def test_no_type_of_event_is_answered_by_two() -> None:
    answered = [event for template in load_all().values() for event in template.remedy.events]
    assert len(answered) == len(set(answered))


def test_a_remedy_has_the_scripts_that_lie_beside_it(tmp_path: Path) -> None:
    assert load(write(tmp_path)).remedy.script_types == ("bash",)


@pytest.mark.parametrize(
    ("toml", "script", "fault"),
    [
        ("issue_type =", SCRIPT, "remedy.toml: "),
        (TOML + 'colour = "red"\n', SCRIPT, "remedy.toml: .*colour"),
        (TOML.replace('risk = "low"', 'risk = "none"'), SCRIPT, "remedy.toml: .*risk"),
        (TOML.replace('issue_type = "mine"', 'issue_type = "yours"'), SCRIPT, "remedy.toml: issue_type is 'yours'"),
        (
            TOML + '[[parameters]]\nname="n"\ntype="integer"\ndescription="x"\nmaximum=3\ndefault=4\n',
            SCRIPT,
            "remedy.toml: n must be an integer up to 3",
        ),
        (TOML, None, "neither fix.sh nor fix.ps1"),
        (TOML, "#!/usr/bin/env bash\n", "fix.sh: needs the line"),
        (TOML, SCRIPT + MARKER + "\n", "fix.sh: needs the line"),
        (TOML, SCRIPT + "# \u2019\n", "fix.sh line 3: it has a character that is not ASCII"),
    ],
)
def test_a_bad_one_is_refused_with_its_file_and_fault(
    tmp_path: Path, toml: str, script: str | None, fault: str
) -> None:
    with pytest.raises(BadRemedy, match=fault):
        load(write(tmp_path, toml, script))
