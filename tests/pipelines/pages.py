"""Documents of the run that is made by hand (`fixtures`), each with its fate, and the edits made to their texts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus.document import canonical_url, document_id
from corpus.edit import SPANS, apply_spans, spans_from_lists
from pipelines.engine.shuffle import bucket_of

SHARDS = 2
EMAIL, PHONE = re.compile(r"[\w.]+@[\w.]+\.\w+"), re.compile(r"1[3-9]\d{9}")
HOSTILE = (
    '</p><script>alert(1)</script> "quoted" & \u202eRTL\u202c NUL\x00 ESC\x1b[31m 坏标签'
    " </style><img src=x onerror=alert(2)>"
)


@dataclass(frozen=True)
class Page:
    """A document and the fate that is made for it."""

    key: str  # URL, or `source:record`
    language: str
    text: str
    fate: str = "kept"  # kept, held_out, unfit, short, toxic, duplicate, near_held_out

    @property
    def id(self) -> bytes:
        """The document's id."""
        return document_id(canonical_url(self.key) if "://" in self.key else self.key, self.text.encode())


def pages() -> list[Page]:
    """Documents in id order."""
    made = [
        Page("http://help.sample/zh-CN/文档/a.html", "zh", "联系  张三 zhang@example.com 电话13812345678。" * 3),
        Page("http://help.sample/en-US/a.html", "en", "Write to  jane.doe@example.org today. " * 4),
        Page("web:record 7", "en", "A record without a URL, with enough words to be kept. " * 3),
        Page("http://help.sample/en-US/hostile.html", "en", HOSTILE * 2, "toxic"),
        Page("http://help.sample/zh-CN/short.html", "zh", "短", "short"),
        Page("http://help.sample/en-US/short.html?q=1", "en", "tiny", "short"),
        Page("http://help.sample/zh-CN/copy.html", "zh", "重复的内容，李四 li.si@example.cn。" * 9, "duplicate"),
        Page("http://help.sample/zh-CN/leak.html", "zh", "泄漏的内容，与保留集相同。" * 5, "near_held_out"),
    ]
    made += [
        Page(f"http://help.sample/en-US/tiny{i}.html?mail=t{i}%40example.com", "en", f"tiny {i}", "short")
        for i in range(6)
    ]
    for i in range(12):
        chinese = (
            f"http://help.sample/zh-CN/{i}.html" if i != 5 else "http://help.sample/u/zhang.san@example.com/0.html"
        )
        english = f"http://help.sample/en-US/{i}.html" if i != 5 else "web:rows/13812345678"
        made.append(Page(chinese, "zh", f"第{i}页的中文内容，" * (6 + i)))
        made.append(Page(english, "en", f"English page number {i} says this. " * (3 + i)))
    for i in range(3):
        made.append(Page(f"http://help.sample/zh-CN/held{i}.html", "zh", f"保留集第{i}页。" * 20, "held_out"))
        made.append(Page(f"http://help.sample/en-US/held{i}.html", "en", f"Held out page {i}. " * 20, "held_out"))
    made.append(Page("http://help.sample/en-US/unfit.html", "en", "no", "unfit"))
    return sorted(made, key=lambda page: page.id)


def shard_of(page: Page) -> int:
    """Home shard."""
    return int(bucket_of(pa.array([page.id], pa.binary(16)), SHARDS)[0])


def keeper(all_pages: Iterable[Page]) -> Page:
    """The document that duplicates are dropped for."""
    return next(page for page in all_pages if page.key.endswith("zh-CN/3.html"))


def edits_of(text: str, steps: list[tuple[str, str, re.Pattern[str], str]]) -> tuple[str, list[dict[str, Any]]]:
    """Apply regular expressions in turn: the text, and EDITS rows without id and row."""
    rows = []
    for step, (edit, reason, pattern, replacement) in enumerate(steps):
        spans = [(m.start(), m.end()) for m in pattern.finditer(text)]
        offsets = [(len(text[:a].encode()), len(text[:b].encode())) for a, b in spans]
        n = len(offsets)
        batch = spans_from_lists(
            [0] * n, [a for a, _ in offsets], [b for _, b in offsets], [replacement] * n, [reason] * n
        )
        assert batch.schema == SPANS
        for a, b in offsets:
            rows.append(
                {"step": step, "edit": edit, "start": a, "stop": b, "replacement": replacement, "reason": reason}
            )
        text = apply_spans(pa.array([text], pa.large_string()), batch)[0].as_py()
    return text, rows


STEPS = [
    ("normalize@1", "whitespace", re.compile(r" {2,}"), " "),
    ("mask@1", "email", EMAIL, "<EMAIL>"),
    ("mask@1", "phone", PHONE, "<PHONE>"),
]
