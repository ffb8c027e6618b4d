# mypy: disable-error-code="no-any-return"
"""Code points replaced in UTF-8 by others of as many bytes, where they stand."""

import numpy as np
from numba import njit, uint32


@njit(nogil=True, cache=True)
def replace(data: np.ndarray, table: np.ndarray) -> None:
    """Rewrite characters of three and four bytes by `table`, uint32 by code point; bytes that are no UTF-8 stay.

    data: uint8[n], written. The table may map a character only to one of as many bytes.
    """
    i, size = 0, len(data)
    while i < size:
        lead = data[i]
        if lead < 0xE0:
            i += 1
        elif lead < 0xF0 and i + 2 < size:
            code = (uint32(lead & 0x0F) << 12) | (uint32(data[i + 1] & 0x3F) << 6) | uint32(data[i + 2] & 0x3F)
            other = table[code]
            if other != code:
                data[i] = 0xE0 | (other >> 12)
                data[i + 1] = 0x80 | ((other >> 6) & 0x3F)
                data[i + 2] = 0x80 | (other & 0x3F)
            i += 3
        elif i + 3 < size:
            code = (uint32(lead & 0x07) << 18) | (uint32(data[i + 1] & 0x3F) << 12)
            code |= (uint32(data[i + 2] & 0x3F) << 6) | uint32(data[i + 3] & 0x3F)
            other = table[code] if code < len(table) else code
            if other != code:
                data[i] = 0xF0 | (other >> 18)
                data[i + 1] = 0x80 | ((other >> 12) & 0x3F)
                data[i + 2] = 0x80 | ((other >> 6) & 0x3F)
                data[i + 3] = 0x80 | (other & 0x3F)
            i += 4
        else:
            i += 1
