from pathlib import Path

import pytest

from wire.environment import SettingError, data_dir, number, text


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
