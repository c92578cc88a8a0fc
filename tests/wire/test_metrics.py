import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.metrics import CATALOGUE, CORE_BYTES, INDEX, NAMES, pack_core, unpack_core

any_value = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.dictionaries(st.sampled_from(NAMES), any_value))
def test_what_is_finite_survives_packing_and_the_rest_is_missing(values: dict[str, float]) -> None:
    packed = pack_core(values)
    assert len(packed) == CORE_BYTES
    assert unpack_core(packed) == {name: value for name, value in values.items() if abs(value) < 3.4e38}


def test_a_value_too_large_for_float32_is_missing() -> None:
    assert unpack_core(pack_core({"load_1": 1e300, "load_5": -1e300})) == {}


def test_the_vector_is_little_endian_in_the_catalogue_s_order() -> None:
    packed = pack_core({"cpu_percent": 50.0})
    assert struct.unpack_from("<f", packed, 4 * INDEX["cpu_percent"]) == (50.0,)
    assert math.isnan(struct.unpack_from("<f", packed, 4 * INDEX["load_1"])[0])


def test_a_vector_of_a_shorter_or_longer_catalogue_is_read_as_far_as_both_go() -> None:
    packed = pack_core(dict.fromkeys(NAMES, 1.0))
    assert list(unpack_core(packed[:8])) == list(NAMES[:2])
    assert list(unpack_core(packed + packed[:8])) == list(NAMES)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        pack_core({"cpu_percentage": 1.0})


def test_half_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="float32"):
        unpack_core(b"\0" * 6)


def test_names_are_unique_and_every_metric_explains_itself() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(metric.help and metric.minimum < metric.maximum for metric in CATALOGUE)
