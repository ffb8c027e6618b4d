"""Records made to stop, slow or deceive the reader."""

import gzip
import json
import time
import tracemalloc
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.sources import jsonl, warc
from corpus.sources.jsonl import JsonlSource
from corpus.sources.source import pieces, read
from corpus.sources.warc import read_warc
from tests.corpus.sources.test_warc import RECORDS, URLS, captures, http, record, summary


def seconds(work, *arguments):
    """CPU seconds of the quickest of two runs."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work(*arguments)
        taken.append(time.process_time() - start)
    return min(taken)


def assert_linear(work, small, large):
    """Four times the input takes at most ten times the time: a square would take sixteen."""
    quick = max(seconds(work, small), 0.01)
    assert seconds(work, large) < 10 * quick


@pytest.mark.parametrize(
    ("block", "reason", "detail"),
    [
        (http(status="²00 OK"), "bad_http", "no HTTP status line"),
        (http(status="99999 OK"), "bad_http", "no HTTP status line"),
        (http(status="-200 OK"), "bad_http", "no HTTP status line"),
        (http(b"-6\r\n<p>text", headers=["Content-Type: text/html", "Transfer-Encoding: chunked"]), None, ""),
        (http(b"9" * 5000 + b"\r\n", headers=["Content-Type: text/html", "Transfer-Encoding: chunked"]), None, ""),
        (http(headers=["Content-Type: text/html; charset*=utf-8''a; charset*0=b"]), None, ""),
        (http(headers=["Content-Type: text/html; charset=\x00\x01\x85\xff"]), None, ""),
        (http(headers=["Content-Type: text/html; charset=" + "x" * 100_000]), None, ""),
        (http(headers=["Content-Type: " + "; charset" * 20_000]), None, ""),
        (http(headers=["a: b"] * 200_000), "bad_http", "no HTTP status line"),  # a head over 256 KiB
    ],
)
def test_one_odd_record_leaves_the_others_alone(tmp_path, block, reason, detail):
    found = captures(tmp_path, record("http://h.sample/x", block) + RECORDS[0], "a.warc", most=1 << 22)
    assert [(c.error, c.detail) for c in found[:-1]] == [(reason, detail)]
    assert summary(found)[-1] == URLS[0]


@pytest.mark.parametrize("length", ["9" * 5000, "²", "-1", "+5", "1_0", "", "0x10", "٥", "1e3"])
def test_lengths_that_are_no_number(tmp_path, length):
    found = captures(tmp_path, record("http://h.sample/x", length=length) + RECORDS[0], "a.warc")
    assert summary(found) == ["corrupt_record", URLS[0]]
    assert found[0].detail.startswith("Content-Length ")


def test_whatever_a_record_raises_is_its_own_dead_letter(tmp_path, monkeypatch):
    def broken(head, body, most):
        if b"<p>" not in body[:40]:
            raise KeyError("nobody thought of it")
        return body

    monkeypatch.setattr(warc, "decoded_body", broken)
    data = record("http://h.sample/x", http(b"x")) + RECORDS[0]
    found = captures(tmp_path, data, "a.warc")
    assert summary(found) == ["bad_record", URLS[0]]
    assert found[0].detail == "KeyError: 'nobody thought of it'"


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_tail_of_zeros_is_a_dead_letter(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    data = b"".join(map(pack, RECORDS[:2]))
    assert summary(captures(tmp_path, data + bytes(100_000), name)) == [*URLS[:2], "corrupt_record"]
    found = captures(tmp_path, data + bytes(5000) + pack(RECORDS[2]), name)
    assert summary(found) == [*URLS[:2], "corrupt_record", URLS[2]]
    assert found[2].detail.startswith("zero bytes")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json"])
def test_a_tail_of_zeros_in_json_is_a_dead_letter(tmp_path, name):
    data = b"".join(json.dumps({"text": f"第{n}行"}).encode() + b"\n" for n in range(3))
    packed = {"gz": gzip.compress(data), "zst": pa.compress(data, "zstd", asbytes=True)}.get(
        name.rpartition(".")[2], data
    )
    (tmp_path / name).write_bytes(packed + bytes(70_000))
    source = JsonlSource(path=FileRef(tmp_path / name))
    found = [capture for piece in pieces(source) for capture in read(source, piece)]
    texts = [c.text for c in found if c.error is None]
    assert texts == [f"第{n}行" for n in range(3)] or (name.endswith("zst") and texts == [])
    assert found[-1].error == ("zero_bytes" if packed is data else "corrupt_record")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_claims_of_sixty_megabytes_cost_nothing(tmp_path, pack):
    """A record that claims more than the file holds, or runs into the next, is known by its header."""

    def work(count):
        one = pack(record("http://h.sample/x", http(b"short" * 40), length=60_000_000))
        found = captures(tmp_path, one * count + pack(RECORDS[0]), "a.warc")
        assert summary(found) == ["truncated_record"] * count + [URLS[0]]
        assert all(len(c.payload) <= 4096 for c in found[:-1])

    assert_linear(work, 500, 2000)


class Counting:
    """zlib.decompressobj that counts the bytes it is given."""

    given = 0
    new = staticmethod(zlib.decompressobj)

    def __init__(self, wbits):
        self._one = Counting.new(wbits)

    def decompress(self, data, most=0):
        Counting.given += len(data)
        return self._one.decompress(data, most)

    def __getattr__(self, name):
        return getattr(self._one, name)


def test_empty_gzip_members_cost_their_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("zlib.decompressobj", Counting)
    empty, last = gzip.compress(b""), gzip.compress(RECORDS[0])
    for count in (5000, 20_000):
        Counting.given = 0
        assert summary(captures(tmp_path, empty * count + last)) == [URLS[0]]
        assert Counting.given < 2000 * count
    assert summary(captures(tmp_path, empty * 1000)) == ["truncated_record"]


def test_a_bomb_is_let_go_at_the_limit(tmp_path):
    data = gzip.compress(record("http://h.sample/x", bytes(50_000_000))) + gzip.compress(RECORDS[0])
    tracemalloc.start()
    assert summary(captures(tmp_path, data, most=1 << 20)) == ["too_large", URLS[0]]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_magic_numbers_everywhere_cost_their_bytes(tmp_path):
    def work(count):
        data = gzip.compress(RECORDS[0]) + b"\x1f\x8b\x08" * count
        assert summary(captures(tmp_path, data))[0] == URLS[0]

    assert_linear(work, 4000, 16_000)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_one_endless_line_is_read_once(tmp_path, monkeypatch, name):
    """Each range finds the end of the line before it; none reads on to the end of a line that runs through it."""
    monkeypatch.setattr(jsonl, "RANGE", 1 << 13)

    def work(size):
        line = b'{"text": "' + b"x" * size + b'"}\n'
        data = line + b'{"text": "after"}\n'
        (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.endswith("gz") else data)
        source = JsonlSource(path=FileRef(tmp_path / name), max_bytes=1 << 18)
        found = [capture for piece in pieces(source) for capture in read(source, piece)]
        assert [c.error or c.text for c in found] == ["too_large", "after"]
        assert found[0].detail == "a line over 262144 bytes"

    assert_linear(work, 6_000_000, 24_000_000)


def test_a_long_line_is_never_held_whole(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"x" * 60_000_000)
    source = JsonlSource(path=FileRef(tmp_path / "a.jsonl"), max_bytes=1 << 20)
    tracemalloc.start()
    found = [capture for piece in pieces(source) for capture in read(source, piece)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [c.error for c in found] == ["too_large"]
    assert peak < 8_000_000


@given(st.binary(max_size=2000))
def test_any_file_ends_in_captures(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    for name, head in (("a.warc", b"WARC/1.0\r\n"), ("b.arc", b"filedesc://x 1.1.1.1 20200101000000 text/plain 2\n")):
        (folder / name).write_bytes(head + data)
        assert list(read_warc(folder / name, name, 1 << 20))
