"""Extract against a plain reading of the same lines: every record is a document or a dead letter, and is counted."""

import gzip
import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.crawling.source import CrawlSource
from corpus.shard import ShardError
from corpus.sources.jsonl import JsonlSource
from corpus.verdict import Tally, count_ids
from pipelines.engine import shuffle
from pipelines.engine.execute import external, load, make
from pipelines.engine.identity import digest_of
from pipelines.engine.runner import Workers
from pipelines.engine.stage import Context, Stage
from pipelines.engine.store import seal
from pipelines.engine.work import do_item
from pipelines.stages.extract import PROGRAM, ExtractStage

STORES = itertools.count()
STAGE = Stage("extract", "extract", 1, ExtractStage(input="web", source="web"), {}, ("pyarrow",), str)
CRAWL = CrawlSource(seeds=["http://help.sample/"])
QUIET = settings(max_examples=2, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
ROWS = 14_000  # some 9,000 are documents: in two shards more than a batch in each
TEXTS = ("第{}页：繁體與简体混排，English too.", "Page {}: plain text.", "短{}", "é{}\u0301 ſ", "{}" + "长文。" * 30)


def line_of(kind, number):
    """One line of the source; of every kind that a record may be."""
    text = TEXTS[number % len(TEXTS)].format(number)
    match kind:
        case "page":
            return {"url": f"http://例子.example/{number}", "text": text}
        case "record":
            return {"id": f"r{number}", "text": text, "language": "zh", "title": f"题 {number}"}
        case "changed":  # the same URL at another time, as another text: another document
            return {"url": "http://news.example/", "text": f"今日 {number}"}
        case "empty":
            return {"url": f"http://e.example/{number}", "text": " \n\t"}
        case "no text":
            return {"id": f"n{number}", "body": text}
        case "half":
            return {"id": f"h{number}", "text": "\ud800" + text}
    raise ValueError(kind)


KINDS = ("page", "record", "changed", "empty", "no text", "half")


def lines_of(pattern, rows, again):
    """Lines in a repeating pattern; every `again`-th is followed by an earlier one."""
    lines = []
    for number in range(rows):
        kind = pattern[number % len(pattern)]
        lines.append(json.dumps(line_of(kind, number)).encode() if kind != "torn" else b'{"text": "torn %d' % number)
        if number % again == again - 1:
            lines.append(lines[-min(10 + number % 7, len(lines))])
    return lines


def read_plainly(lines):
    """Ids kept with their texts, and reason, id and bytes of the rest."""
    kept, dead, offset = {}, [], 0
    for line in lines:
        record, key, payload, reason = f"pages.jsonl@{offset}", None, line + b"\n", None
        offset += len(line) + 1
        try:
            row = json.loads(line)
        except ValueError:
            row, reason = {}, "bad_json"
        if row:
            key = row["url"].replace("例子", "xn--fsqu00a") if "url" in row else f"web:{row.get('id', record)}"
            if not isinstance(row.get("text"), str):
                reason = "missing_text"
            elif "\ud800" in row["text"]:
                reason = "bad_unicode"
            else:
                payload = row["text"].encode()
                reason = None if row["text"].strip() else "empty_text"
        prefix = hashlib.sha256((key or f"web:{record}").encode()).digest()[:8]
        identifier = prefix + hashlib.sha256(payload).digest()[:8]
        if reason is None and identifier in kept:
            reason = "same_capture"
        if reason is None:
            kept[identifier] = row["text"]
        else:
            dead.append((reason, identifier, len(payload)))
    return kept, dead


def context_of(folder, name, data, **where):
    """The stage over one file of JSON lines, in a store of its own."""
    root = folder / f"store{next(STORES)}"
    (root / "in").mkdir(parents=True)
    (root / "in" / name).write_bytes(data)
    source = external("files", "0" * 24, root / "in", {})
    where = {"source": JsonlSource(path=FileRef(root / "in")), **where}
    return Context("extract", "extract", STAGE.what, root / "extract", {"source": source}, where)


def extracted(context):
    """The stage's result."""
    make(replace(PROGRAM, beam=False), [STAGE], (context,), Workers(), print)
    found = load("extract", STAGE.digest, context.directory)
    assert found is not None
    return found


def rows_of(artifact, part):
    return [row for name in artifact.names(part) for row in artifact.table(name).to_pylist()]


def counted(identifiers):
    return count_ids(pa.array(sorted(identifiers), pa.binary(16)))


@QUIET
@given(
    pattern=st.lists(st.sampled_from([*KINDS, "torn"]), max_size=1).map(lambda drawn: ["page", "record", *drawn]),
    again=st.integers(2, 50),
    memory=st.sampled_from([1 << 20, 1 << 30]),
    fan_in=st.sampled_from([2, 300]),
)
@example(pattern=["page", *KINDS, "torn", *["page", "record"] * 3], again=9, memory=1 << 20, fan_in=2)
def test_every_record_is_a_document_or_a_dead_letter(tmp_path, monkeypatch, pattern, again, memory, fan_in):
    monkeypatch.setattr("corpus.sources.jsonl.RANGE", 1_000_000)  # several items
    monkeypatch.setattr(shuffle, "FAN_IN", fan_in)
    lines = lines_of(pattern, ROWS, again)
    kept, dead = read_plainly(lines)
    size = sum(len(text.encode()) for text in kept.values())
    text = size + sum(lost for reason, _, lost in dead if reason == "same_capture")
    monkeypatch.setattr(shuffle, "TARGET", text - 1)
    found = extracted(context_of(tmp_path, "pages.jsonl", b"\n".join(lines) + b"\n", memory=memory))
    documents, letters = rows_of(found, "documents"), rows_of(found, "dead")
    ids = [row["id"] for row in documents]
    assert ids == sorted(kept) and {row["id"]: row["text"] for row in documents} == kept
    assert Counter((row["reason"], row["id"], row["bytes"]) for row in letters) == Counter(dead)
    by_reason = {reason: [i for r, i, _ in dead if r == reason] for reason, _, _ in dead}
    assert by_reason.get("same_capture") or "torn" in pattern  # what is repeated may be torn
    assert dict(found.tally.dropped) == {reason: counted(found) for reason, found in by_reason.items()}
    assert (found.tally.kept, found.tally.came) == (counted(kept), Tally().came)
    assert found.tally.born == counted([*kept, *(i for _, i, _ in dead)])
    lost = {reason: sum(b for r, _, b in dead if r == reason) for reason in by_reason}
    assert (found.tally.bytes_out, found.tally.bytes_in) == (size, size + sum(lost.values()))
    assert dict(found.tally.removed) == {**lost, "markup": 0} and dict(found.tally.added) == {"transcoding": 0}
    shards = found.names("documents")
    assert len(shards) == 2 and min(found.files[name].rows for name in shards) > 4_096
    letters_in = [row["id"] for row in letters]
    assert letters_in == sorted(letters_in)


def test_shards_are_sized_by_text_whatever_its_compression(tmp_path, monkeypatch):
    """H11: 4 MB of text that gzip makes 20 kB of was one shard, since its file is small."""
    monkeypatch.setattr(shuffle, "TARGET", 1 << 20)
    data = b"\n".join(json.dumps({"id": f"{n}", "text": "一样的话。" * 250 + str(n)}).encode() for n in range(1000))
    plain = extracted(context_of(tmp_path, "pages.jsonl", data))
    packed = extracted(context_of(tmp_path, "pages.jsonl.gz", gzip.compress(data)))
    assert len(plain.names("documents")) == 4 and plain.content_hash == packed.content_hash


POOLS: list[pa.MemoryPool] = []  # a buffer that outlives its pool is freed into nothing


def test_a_gather_takes_no_more_memory_for_more_rows(tmp_path, monkeypatch):
    """H11: it took 3.2 times the text of its shard."""
    monkeypatch.setattr("corpus.shard.BYTES_PER_BATCH", 1 << 20)
    monkeypatch.setattr(shuffle, "TARGET", 1 << 30)
    peaks, usual = {}, pa.default_memory_pool()
    for rows in (3_000, 12_000):  # 9 and 36 MB of text in one shard
        texts = (f"{n} " + "文字" * 500 for n in range(rows))
        data = "\n".join(json.dumps({"id": text[:8], "text": text}, ensure_ascii=False) for text in texts)
        monkeypatch.setattr("corpus.sources.jsonl.RANGE", len(data.encode()) // 4 + 1)
        context = context_of(tmp_path, "pages.jsonl", data.encode(), memory=8 << 20)
        context.directory.mkdir()
        for phase_of in PROGRAM.phases:
            phase, pool = phase_of((context,)), pa.proxy_memory_pool(usual)
            POOLS.append(pool)
            pa.set_memory_pool(pool)
            for item in phase.items:
                do_item((context,), phase, item)
            pa.set_memory_pool(usual)
        peaks[rows] = pool.max_memory()
        assert context.commit("gather", "00000").tally.kept.documents == rows
    assert peaks[12_000] < 1.2 * peaks[3_000] and peaks[12_000] < 12 << 20, peaks


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9, None])
def test_a_damaged_snapshot_is_no_smaller_snapshot(tmp_path, monkeypatch, where):
    """H4: three damaged WARCs of unchanged size gave 195 documents less, and exit status 0. S5: a flipped bit too."""
    monkeypatch.setattr("pipelines.stages.extract.read", lambda source, piece: iter(()))
    crawl, identity = Context("crawl", "crawl", None, tmp_path / "crawl", {}, {}), {"kind": "crawl"}
    with crawl.begin("seal", "snapshot") as attempt:
        (crawl.directory / "warc").mkdir(parents=True)
        path = crawl.directory / "warc" / "help.sample-00000.warc.gz"
        path.write_bytes(gzip.compress(b"WARC/1.1\r\n" * 90))
        attempt.add(path.name, path, 0)
    seal(crawl.directory, identity, crawl.commits("seal"), {"captures": 1}, Tally(), {})
    found = load("crawl", digest_of(identity), crawl.directory)
    context = Context("extract", "extract", STAGE.what, tmp_path / "x", {"source": found}, {"source": CRAWL})
    phase = PROGRAM.phases[0]((context,))
    if where is None:
        do_item((context,), phase, phase.items[0])
        assert len(context.commits("scatter")) == 1
        return
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ShardError, match=f"{path} does not hold the bytes"):
        do_item((context,), phase, phase.items[0])
    assert not context.commits("scatter")
