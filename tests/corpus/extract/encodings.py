"""`python -m tests.corpus.extract.encodings --pages DIR`: pages transcoded, labelled rightly, wrongly or not at all.

Every page of DIR (UTF-8 HTML) is read back from each encoding under each label and with each damage. A reading is
wrong when it is another text than a lossy reading of the same bytes in the encoding they were written in.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.charset import DecodingError, codec, decode

ENCODINGS = ("utf-8", "gb2312", "gbk", "gb18030", "big5", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252")
FALSE = ("iso-8859-1", "windows-1252", "utf-8", "gb2312", "gbk", "big5", "utf-16")
OUTCOMES = ("right", "lossy", "wrong", "dead")
DAMAGES = ("none", "lost", "changed")
_META = re.compile(r"<meta[^>]*charset[^>]*>|<\?xml[^>]*\?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """How a page is written, what is said about it, and what happens to it; a label of None is not given."""

    encoding: str
    header: str | None
    meta: str | None
    damage: str = "none"


def cases(encoding: str) -> Iterator[Case]:
    """All cases of an encoding: right, missing and false labels, and damage where a label is right or missing."""
    for damage in DAMAGES:
        for header, meta in ((encoding, None), (None, encoding), (None, None)):
            yield Case(encoding, header, meta, damage)
    for label in FALSE:
        if label != encoding:
            yield from (Case(encoding, label, None), Case(encoding, None, label), Case(encoding, label, encoding))


def written(page: str, case: Case, draw: random.Random) -> bytes | None:
    """The page's bytes under the case's label; None if it is ASCII, or a tenth of what is not has no bytes there."""
    text = _META.sub("", page)
    if case.meta is not None:
        text = text.replace("<head>", f'<head><meta charset="{case.meta}">', 1)
    able = len(text.encode(case.encoding, "ignore").decode(case.encoding))
    if 9 * (len(text) - able) > able - len(text.encode("ascii", "ignore")):
        return None
    payload = bytearray(text.encode(case.encoding, "xmlcharrefreplace"))
    beyond = [at for at, byte in enumerate(payload) if byte >= 0x80]
    if not beyond and not case.encoding.startswith("utf-16"):
        return None  # nothing that an encoding decides
    at = draw.choice(beyond or range(len(payload)))
    if case.damage == "lost":
        del payload[at]
    elif case.damage == "changed":
        payload[at] = draw.randrange(256)
    return bytes(payload)


def judged(payload: bytes, case: Case) -> str:
    """`right`, `lossy` (right but for U+FFFD), `wrong` or `dead`, beside a reading in the page's own charset."""
    expected = payload.decode(codec(case.encoding) or case.encoding, "replace")
    try:
        found = decode(payload, case.header).text
    except DecodingError:
        return "dead"
    if found == expected:
        return "right"
    same = len(found) == len(expected) and all(a in (b, "\ufffd") for a, b in zip(found, expected, strict=True))
    return "lossy" if same else "wrong"


def main() -> int:
    """Print one line a case; 1 if more than `--most` of a case is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=100, help="pages a case, drawn with a fixed seed")
    parser.add_argument("--most", type=float, default=0.005, help="share of wrong readings allowed in a case")
    options = parser.parse_args()
    files = sorted(path for folder in options.pages for path in folder.rglob("*.html"))
    random.Random(0).shuffle(files)
    failed = False
    for encoding in ENCODINGS:
        for case in cases(encoding):
            draw, counts = random.Random(1), Counter[str]()
            for path in files:
                if counts.total() == options.count:
                    break
                page = written(path.read_text("utf-8", "replace"), case, draw)
                if page is not None:
                    counts[judged(page, case)] += 1
            if counts:
                failed |= counts["wrong"] > options.most * counts.total()
                label = f"header={case.header} meta={case.meta}"
                print(f"{encoding:13}{label:42}{case.damage:9}" + "".join(f"{k} {counts[k]:5} " for k in OUTCOMES))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
