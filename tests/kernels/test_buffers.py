"""Fixed-size binary arrays as bytes, whatever their offset, chunks and buffers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.buffers import fixed_width


@given(st.integers(1, 24), st.data())
def test_bytes_are_those_of_python(width, data):
    values = data.draw(st.lists(st.binary(min_size=width, max_size=width), max_size=9))
    first = data.draw(st.integers(0, len(values)))
    whole = pa.array([b"\xff" * width, *values], pa.binary(width)).slice(1)
    for array, wanted in (
        (whole, values),
        (whole.slice(first), values[first:]),
        (whole.slice(0, first), values[:first]),
        (pa.chunked_array([whole.slice(0, first), whole.slice(first)]), values),
        (pa.chunked_array([], pa.binary(width)), []),
    ):
        found = fixed_width(array)
        assert found.shape == (len(wanted), width) and found.dtype == np.uint8
        assert [row.tobytes() for row in found] == wanted


def test_what_has_no_bytes_is_refused():
    with pytest.raises(ValueError, match="1 of 2 values are null"):
        fixed_width(pa.array([b"a", None], pa.binary(1)))
    with pytest.raises(TypeError, match="the array is binary"):
        fixed_width(pa.array([b"a"], pa.binary()))
