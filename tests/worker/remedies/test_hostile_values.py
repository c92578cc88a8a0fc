"""What a host put into a value is refused by name, or arrives in the script as it was; it never becomes code."""

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.remedies import BadParameter, Parameter, Remedy, Value, check, complete
from store.script_templates import MARKER
from tests.worker.remedies.bash import TEMPLATES
from tests.worker.remedies.hostile import hostile_values
from tests.worker.remedies.powershell import FIXES, POWERSHELL, faults, read_assignments
from worker.remedies.render import Provenance, bash_literal, render
from worker.remedies.templates import Template

VALUES = hostile_values()
# No word of bash can hold NUL.
WITHOUT_NUL = [value for value in VALUES if "\0" not in value]
HEADER = "# Values, written by Fleetmedic; all else is the remedy as it stands.\n"
TEMPLATE = Template(
    Remedy("test", "Test", "A test.", "1.0.0", ("test",), "low", False, (Parameter("word", "string", "any"),)),
    {
        "bash": f'#!/usr/bin/env bash\n{MARKER}\nprintf \'%s\\0\' "$FM_WORD" "$FM_HOST"\n',
        "powershell": f"param()\n{MARKER}\n$Rest = 1\n",
    },
)
PARAMETERS = [(issue_type, one) for issue_type, template in TEMPLATES.items() for one in template.remedy.parameters]
each_parameter = pytest.mark.parametrize(
    ("issue_type", "parameter"), PARAMETERS, ids=[f"{issue_type}-{one.name}" for issue_type, one in PARAMETERS]
)


def test_there_are_enough_of_them() -> None:
    assert len(set(VALUES)) >= 200
    assert max(len(value) for value in VALUES) == 10_000


def test_all_of_them_arrive_in_bash_byte_for_byte_and_run_nothing(tmp_path: Path) -> None:
    script = tmp_path / "print.sh"
    blocks = [render(TEMPLATE, "bash", {"word": value}, Provenance(17, value)).content for value in WITHOUT_NUL]
    script.write_text("".join(blocks))
    done = subprocess.run(["bash", "--norc", str(script)], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split(b"\0")[:-1] == [value.encode() for value in WITHOUT_NUL for _ in ("word", "host")]
    assert [path.name for path in tmp_path.iterdir()] == ["print.sh"]


def test_all_of_them_arrive_in_powershell_byte_for_byte() -> None:
    for value in VALUES:
        content = render(TEMPLATE, POWERSHELL, {"word": value}, Provenance(17, value)).content
        assert content.isascii()
        values, rest = read_assignments(content.removeprefix(f"param()\n{HEADER}"))
        assert rest == "$Rest = 1\n"
        assert (values["WORD"].encode(), values["HOST"].encode()) == (value.encode(), value.encode())


def test_the_reader_ends_a_string_where_powershell_does() -> None:
    assert read_assignments("$FM_A = 'it''s'\n$FM_B = \u2018x\u201b\nrest") == ({"A": "it's", "B": "x"}, "rest")
    for broken in ("'it\u2019s'", "'open", '"$(1)"', "'a' + 'b'", "-join [char[]](65,)", "x"):
        with pytest.raises(ValueError, match=r"stands|no string|no end"):
            read_assignments(f"$FM_A = {broken}\n")


def test_a_word_of_bash_with_nul_is_refused_since_bash_would_cut_it_short() -> None:
    with pytest.raises(ValueError, match="NUL"):
        bash_literal("a\0b")


def test_text_that_no_encoding_has_is_refused_by_name() -> None:
    with pytest.raises(BadParameter, match="word must be a string"):
        check(TEMPLATE.remedy.parameters[0], "\ud800")


def kept_or_refused(issue_type: str, given: dict[str, Value]) -> dict[str, Value] | BadParameter:
    try:
        return complete(TEMPLATES[issue_type].remedy, given)
    except BadParameter as refusal:
        return refusal


@each_parameter
def test_each_of_them_is_refused_by_name_or_kept_as_it_is(issue_type: str, parameter: Parameter) -> None:
    needed: dict[str, Value] = {"pid": 2, "service": "cron"}
    given = {one.name: needed[one.name] for one in TEMPLATES[issue_type].remedy.parameters if one.required}
    for value in VALUES:
        answer = kept_or_refused(issue_type, {**given, parameter.name: value})
        if isinstance(answer, BadParameter):
            assert (answer.name, str(answer).split()[0]) == (parameter.name, parameter.name)
        else:
            assert (parameter.type, answer[parameter.name]) == ("string", value)


def eight_for(parameter: Parameter) -> list[str]:
    """Return eight values, half of them such that they get past the first look that is taken at this parameter."""
    start = 37 * sum(map(ord, parameter.name))
    chosen = [WITHOUT_NUL[(start + 43 * place) % len(WITHOUT_NUL)][:1000] for place in range(8)]
    beginning = {"mount": "/", "directory": "/", "service": "a"}.get(
        parameter.name, "7" if parameter.type != "string" else ""
    )
    return [beginning + value if place % 2 else value for place, value in enumerate(chosen)]


def rendered_with(issue_type: str, parameter: Parameter, value: str, host: str) -> dict[str, Value]:
    """Return all parameters of a remedy, one of them as it would be had nobody looked at it."""
    given = {one.name: one.default for one in TEMPLATES[issue_type].remedy.parameters}
    needed = {"pid": 4_194_304, "service": "no-such.service", "measure_seconds": 1, "mount": host}
    return {**given, **{name: needed[name] for name in needed.keys() & given.keys()}, parameter.name: value}


def plan(script: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", str(script), "plan"], cwd=script.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@each_parameter
def test_the_whole_bash_script_plans_or_refuses_with_eight_of_them(
    tmp_path: Path, issue_type: str, parameter: Parameter
) -> None:
    scripts: Sequence[Path] = [tmp_path / f"fix-{number}.sh" for number in range(8)]
    for script, value in zip(scripts, eight_for(parameter), strict=True):
        values = rendered_with(issue_type, parameter, value, str(tmp_path))
        script.write_text(render(TEMPLATES[issue_type], "bash", values, Provenance(17, value)).content)
    with ThreadPoolExecutor(4) as pool:
        for code, said, complaint in pool.map(plan, scripts):
            result = json.loads(said.splitlines()[-1])
            assert (code, complaint) == (result["exit_code"], "")
            assert code in (0, 2, 3)
            assert said.isascii()
            assert said.replace("\n", "").isprintable()
    assert sorted(tmp_path.iterdir()) == sorted(scripts)


@each_parameter
def test_the_whole_powershell_script_holds_eight_of_them(issue_type: str, parameter: Parameter) -> None:
    for value in eight_for(parameter):
        values = rendered_with(issue_type, parameter, value, "C:")
        script = render(TEMPLATES[issue_type], POWERSHELL, values, Provenance(17, value)).content
        before, _, after = FIXES[issue_type].partition(f"{MARKER}\n")
        read, rest = read_assignments(script.removeprefix(before + HEADER))
        assert rest == after
        assert (read[parameter.name.upper()], read["HOST"]) == (value, value)
    assert faults(script) == []
