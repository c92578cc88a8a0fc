import re
from pathlib import Path

from wire.environment import SECRETS

ROOT = Path(__file__).parents[2]
STATIONS = ["api", "cli", "collector", "store", "wire", "worker", "migrations"]
NAME = re.compile(r"FLEETMEDIC_[A-Z_]*[A-Z]")


def _names(files: list[Path]) -> set[str]:
    return {name for file in files for name in NAME.findall(file.read_text())}


def test_the_documented_settings_are_those_that_the_code_reads() -> None:
    in_code = _names([file for station in STATIONS for file in (ROOT / station).rglob("*.py")])
    in_table = {
        name
        for line in (ROOT / "docs" / "settings.md").read_text().splitlines()
        for name in re.findall(r"^\| `(FLEETMEDIC_[A-Z_]+)` \|", line)
    }
    assert in_table == in_code


def test_the_documented_secrets_are_those_that_may_be_in_files() -> None:
    paragraphs = (ROOT / "docs" / "settings.md").read_text().split("\n\n")
    (paragraph,) = (paragraph for paragraph in paragraphs if "may be in a file" in " ".join(paragraph.split()))
    assert {name for name in NAME.findall(paragraph) if not name.endswith("_FILE")} == set(SECRETS)
