import re
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.packed import Part
from wire.metrics import INDEX, NAMES

names = st.lists(st.sampled_from(NAMES), max_size=5)
value = st.floats(width=32)
vectors = st.lists(st.lists(value, max_size=len(NAMES) + 3), max_size=5)


@given(names, vectors)
def test_metrics_are_read_by_name_as_far_as_a_vector_goes(names: list[str], vectors: list[list[float]]) -> None:
    part = Part(names)
    start, length = map(int, re.findall(r"\d+", part.sql("core")))
    packed = [struct.pack(f">{len(vector)}f", *vector) for vector in vectors]
    read = part.read([one[start - 1 : start - 1 + length] for one in packed])
    expected = [[vector[INDEX[name]] if INDEX[name] < len(vector) else np.nan for name in names] for vector in vectors]
    np.testing.assert_array_equal(read, np.array(expected, np.float32).reshape(len(vectors), len(names)))


def test_of_a_few_metrics_no_more_is_read_than_lies_between_them() -> None:
    assert Part(["load_15", "load_1"]).sql("core") == f"substr(core, {4 * INDEX['load_1'] + 1}, 12)"
