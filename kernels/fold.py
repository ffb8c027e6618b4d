"""One spelling of what looks alike: width, case, single-letter ligatures, traditional Chinese, look-alike letters.

For comparing only: folded text is nobody's text.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernels.characters import CODE_POINTS

# Letters of other alphabets that stand for Latin ones: Unicode's confusables.txt, lower case, letters of one form only.
_LOOKALIKES = dict(zip("аеорсухіѕјԁһԛԝɡαορυνικτ", "aeopcyxisjdhqwgaopuvikt", strict=True))


@lru_cache(maxsize=1)
def simplified() -> dict[str, str]:
    """Traditional characters and what each is in simplified text (OpenCC's TSCharacters)."""
    lines = (Path(__file__).parent / "traditional.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    return {a: b for pair in zip(lines[::2], lines[1::2], strict=True) for a, b in zip(*pair, strict=True)}


@lru_cache(maxsize=1)
def simplified_table() -> npt.NDArray[np.uint32]:
    """What each of the 0x110000 code points is in simplified text, in as many UTF-8 bytes; read-only."""
    out = np.arange(CODE_POINTS, dtype=np.uint32)
    for traditional, other in simplified().items():
        if len(traditional.encode()) == len(other.encode()):
            out[ord(traditional)] = ord(other)
    out[:] = out[out]
    out.flags.writeable = False
    return out


@lru_cache(maxsize=1)
def table() -> npt.NDArray[np.uint32]:
    """What each of the 0x110000 code points folds to; read-only, and folding twice changes nothing."""
    out = np.arange(CODE_POINTS, dtype=np.uint32)
    pairs = simplified()
    for code in [*range(0x3400), *range(0xA640, 0xAC00), *range(0xF900, 0x20000), *range(0x2F800, 0x2FA20)]:
        plain = unicodedata.normalize("NFKC", chr(code)).lower()
        plain = _LOOKALIKES.get(plain, pairs.get(plain, plain))
        if len(plain) == 1:
            out[code] = ord(plain)
    for traditional, other in pairs.items():
        out[ord(traditional)] = ord(other)
    out[out[out] != out] = out[out][out[out] != out]
    out.flags.writeable = False
    return out


def fold(text: str) -> str:
    """The text, folded character by character."""
    return text.translate(_translation())


@lru_cache(maxsize=1)
def _translation() -> dict[int, int]:
    folded = table()
    return {int(code): int(folded[code]) for code in np.flatnonzero(folded != np.arange(CODE_POINTS))}
