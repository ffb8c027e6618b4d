"""Paragraphs that documents share, cut out of all but the first: every span in its row, bytes that reconcile."""

import re
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from corpus.dedup import ParagraphKey
from corpus.dedup.paragraph import paragraphs
from corpus.document import DOCUMENT
from pipelines.stages.dedupe_spans import PROGRAM, DedupeSpansStage
from pipelines.stages.shard import OUT, TRAIN
from tests.pipelines.stages.bench import Bench, counted, identifier, table_of
from tests.pipelines.stages.small import examples

LEAST = 24
SHARED = (
    "版权所有，未经许可不得转载本站内容。",
    "\u3000\u3000版權所有，未經許可不得轉載本站內容。 ",
    "All rights reserved; subscribe to our newsletter.",
    "Cookies 政策：本站 uses cookies，繼續瀏覽即表示同意。",
    "短",
    "",
    " \t",
)


def lines(text: str) -> list[tuple[str, int, int]]:
    """Each line without the white space around it, and its bytes with its newline."""
    out, at = [], 0
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        out.append((line.strip(), at, at := at + len(line.encode())))
    return out


@given(st.text(st.sampled_from("ab 文é🙂\n\u3000"), max_size=60), st.integers(1, 12))
@example("", 1)
@example("一\n\n一", 1)
@example("一\n", 1)
def test_paragraphs_are_lines_with_their_newline(text, least):
    found = list(paragraphs(text.encode(), least))
    wanted = [(line, start, stop) for line, start, stop in lines(text) if len(line.encode()) >= least]
    assert [(start, stop) for _, start, stop in found] == [(start, stop) for _, start, stop in wanted]
    same = {(found[a][0] == found[b][0], wanted[a][0] == wanted[b][0]) for a in range(len(found)) for b in range(a)}
    assert same <= {(True, True), (False, False)}


def written(seed: int, documents: int = 9400) -> list[dict]:
    """Documents of lines of their own and of shared ones, some of them twice in one document."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(documents):
        own = (f"第{number}篇文章的正文，與別篇不同。", f"Body of article {number}, unlike others.", f"{number}")
        body = [SHARED[k] if k < len(SHARED) else own[k - len(SHARED)] for k in rng.integers(0, 10, rng.integers(0, 6))]
        rows.append({"id": identifier(f"{seed} {number}"), "text": "\n".join(body)})
    return rows


def cut(rows: list[dict], came: set[bytes]) -> tuple[dict[bytes, str], list[tuple[bytes, int, int]]]:
    """The texts and the spans, by going through all documents in the order of their ids."""
    seen, texts, spans = set(), {}, []
    for row in sorted(rows, key=lambda row: row["id"]):
        data, out, at = row["text"].encode(), b"", 0
        for line, start, stop in lines(row["text"]) if row["id"] in came else []:
            if len(line.encode()) < LEAST:
                continue
            if line in seen:
                out += data[at:start]
                at = stop
                spans.append((row["id"], start, stop))
            seen.add(line)
        texts[row["id"]] = (out + data[at:]).decode()
    return texts, spans


@given(st.integers(0, 1 << 30))
@examples(1)
def test_of_each_paragraph_the_first_stays_and_the_rest_are_cut_where_they_stand(seed):
    rows = written(seed)
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(Path(folder), rows)
        assert min(np.diff(made.edges)) > 4096
        side = np.random.default_rng(seed).choice([TRAIN, OUT], len(rows), p=[0.9, 0.1])
        made.sides(side)  # as a union that has dropped some, which keep their rows
        made.inputs["union"] = made.inputs["sides"]
        made.keys(paragraph=ParagraphKey(least=LEAST))
        done = made.made("cut", PROGRAM, DedupeSpansStage(input="keys", key="paragraph"), memory=1 << 20)
        documents, changes = (table_of(done, part).to_pylist() for part in ("documents", "edits"))
        edition = table_of(made.inputs["edition"], "documents").to_pylist()
    came = {row["id"] for row, at in zip(made.rows, side, strict=True) if at == TRAIN}
    texts, spans = cut(rows, came)
    assert documents == [row | {"text": texts[row["id"]]} for row in edition] and len(spans) > 5000
    assert list(documents[0]) == DOCUMENT.names
    assert [(row["id"], row["start"], row["stop"]) for row in changes] == spans
    told = {(row["edit"], row["step"], row["reason"], row["replacement"]) for row in changes}
    assert told == {("paragraph@1", 0, "repeated_paragraph", "")}
    place = {row["id"]: at - (0 if at < made.edges[1] else made.edges[1]) for at, row in enumerate(made.rows)}
    assert all(row["row"] == place[row["id"]] for row in changes)
    tally, gone = done.tally, sum(stop - start for _, start, stop in spans)
    assert tally.came == tally.kept == counted(came) and not tally.dropped
    assert dict(tally.removed) == {"repeated_paragraph": gone} and tally.bytes_in - gone == tally.bytes_out
    assert tally.bytes_out == sum(len(text.encode()) for text in texts.values())
