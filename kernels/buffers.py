"""Arrow arrays as the numpy arrays the kernels read: no copy, no Python object a document."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


T = TypeVar("T", bound=np.generic)


def read_only(array: npt.NDArray[T]) -> npt.NDArray[T]:
    """The array as a contiguous read-only view: kernels are compiled for one kind of array only."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def fixed_width(array: pa.FixedSizeBinaryArray | pa.ChunkedArray) -> Bytes:
    """uint8[n, width] of a fixed-size binary array: a view, but for chunks, which are joined.

    Raises TypeError for another type, ValueError where values are null.
    """
    if not pa.types.is_fixed_size_binary(array.type):
        raise TypeError(f"the array is {array.type}: cast it to binary of a fixed size")
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} values are null, and have no bytes")
    one = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    width, rows = one.type.byte_width, len(one)
    data = one.buffers()[1] if rows else b""  # an empty array may have no buffers
    return np.frombuffer(data, np.uint8, rows * width, one.offset * width if rows else 0).reshape(rows, width)


def utf8(text: pa.Array) -> tuple[Bytes, Offsets]:
    """Bytes and the n + 1 offsets into them of a string or large_string array; a null is empty text.

    Raises TypeError for another type, naming it.
    """
    if pa.types.is_string(text.type):
        width: type[np.signedinteger] = np.int32
    elif pa.types.is_large_string(text.type):
        width = np.int64
    else:
        raise TypeError(f"text is {text.type}: cast it to large_string")
    if text.null_count:
        text = text.fill_null("")
    _, offsets, data = text.buffers()
    if len(text) == 0:
        return np.frombuffer(b"", np.uint8), read_only(np.zeros(1, np.int64))
    ends = np.frombuffer(offsets, width)[text.offset : text.offset + len(text) + 1].astype(np.int64)
    values = np.frombuffer(data if data is not None else b"", np.uint8)
    return read_only(values), read_only(ends)
