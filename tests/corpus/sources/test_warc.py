import gzip
import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.sources.capture import SourceError
from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body, split_message
from corpus.sources.source import pieces, read
from corpus.sources.warc import WarcSource, read_warc

BODY = "<html><body><p>正文 body</p></body></html>".encode()


def http(body=BODY, status="200 OK", headers=("Content-Type: text/html; charset=utf-8",)):
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def record(url, block=None, kind="response", length=None, content_type="application/http; msgtype=response"):
    block = http() if block is None else block
    lines = ["WARC/1.1", f"WARC-Type: {kind}", "WARC-Record-ID: <urn:uuid:1>", "WARC-Date: 2026-01-01T00:00:00Z"]
    lines += [f"WARC-Target-URI: {url}"] if url else []
    lines += [f"Content-Type: {content_type}", f"Content-Length: {len(block) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + block + b"\r\n\r\n"


RECORDS = [record(f"http://h.sample/{n}", http(BODY + os.urandom(n + 200).hex().encode())) for n in range(4)]


def captures(tmp_path, data, name="a.warc.gz", most=1 << 20):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_warc(path, name, most))


def summary(found):
    return [capture.error or capture.url for capture in found]


URLS = [f"http://h.sample/{n}" for n in range(4)]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_whole_files(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    found = captures(tmp_path, b"".join(map(pack, RECORDS)), name)
    assert summary(found) == URLS
    assert {(c.content_type, c.charset, c.status, c.record) for c in found} == {("text/html", "utf-8", 200, None)}
    assert all(c.payload.startswith(BODY) for c in found)


def test_one_gzip_member_of_many_records(tmp_path):
    assert summary(captures(tmp_path, gzip.compress(b"".join(RECORDS)))) == URLS
    cut = gzip.compress(b"".join(RECORDS))[:-300]
    assert summary(captures(tmp_path, cut))[-1] == "truncated_record"


@pytest.mark.parametrize("cut", [1, 3, 5, 15, 60, 150, 300, -40])
@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_truncated_file_yields_all_before_and_says_so(tmp_path, name, cut):
    pack = gzip.compress if name.endswith("gz") else bytes
    last = pack(RECORDS[3])
    data = b"".join(map(pack, RECORDS[:3])) + (last[:cut])
    assert summary(captures(tmp_path, data, name)) == [*URLS[:3], "truncated_record"]


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_reading_goes_on_after_a_corrupt_record(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    parts = [bytearray(pack(r)) for r in RECORDS]
    if name.endswith("gz"):
        parts[1][len(parts[1]) // 2] ^= 0xFF
        parts[1][len(parts[1]) // 2 + 1] ^= 0xFF
    else:
        parts[1][:8] = b"CORRUPT!"
    found = summary(captures(tmp_path, b"".join(parts), name))
    assert found[0] == URLS[0]
    assert found[-2:] == URLS[2:]
    assert set(found[1:-2]) <= {"corrupt_record", "truncated_record", URLS[1]}
    assert set(found[1:-2]) & {"corrupt_record", "truncated_record"}


def test_a_length_that_runs_over_the_next_record(tmp_path):
    data = RECORDS[0] + record("http://h.sample/bad", http(b"short"), length=100_000) + RECORDS[2]
    assert summary(captures(tmp_path, data, "a.warc")) == [URLS[0], "truncated_record", URLS[2]]


@pytest.mark.parametrize(
    ("block", "kind", "reason", "detail"),
    [
        (b"", "revisit", "revisit", ""),
        (b"x", "request", "not_response", "request"),
        (b"x", "warcinfo", "not_response", "warcinfo"),
        (b"x", "conversion", "not_response", "conversion"),
        (http(status="404 Not Found"), "response", "http_status", "404"),
        (http(status="301 Moved"), "response", "http_status", "301"),
        (b"no status line", "response", "bad_http", "no HTTP status line"),
        (http(b"\x1f\x8b\x08 broken", headers=["Content-Encoding: gzip"]), "response", "bad_coding", None),
        (http(BODY, headers=["Content-Encoding: zstd"]), "response", "bad_coding", None),
        (http(b"x" * 2000), "response", "too_large", "2059 bytes, over 1000"),
        (http(gzip.compress(b"x" * 2000), headers=["Content-Encoding: gzip"]), "response", "too_large", None),
    ],
)
def test_every_record_that_is_no_page_has_its_reason(tmp_path, block, kind, reason, detail):
    found = captures(tmp_path, record("http://h.sample/x", block, kind) + RECORDS[0], "a.warc", most=1000)
    assert summary(found) == [reason, URLS[0]]
    assert found[0].url == "http://h.sample/x"
    assert detail is None or found[0].detail == detail


def test_resources_and_responses_without_url(tmp_path):
    data = record("http://h.sample/r", BODY, "resource", content_type="text/html; charset=gbk") + record(None)
    resource, anonymous = captures(tmp_path, data, "a.warc")
    assert (resource.payload, resource.content_type, resource.charset) == (BODY, "text/html", "gbk")
    assert (anonymous.url, anonymous.record) == (
        None,
        f"a.warc@{len(record('http://h.sample/r', BODY, 'resource', content_type='text/html; charset=gbk'))}",
    )


@pytest.mark.parametrize("data", [b"", b"not a warc " * 50, gzip.compress(b"not a warc"), b"\x1f\x8b\x08"])
def test_files_that_are_no_warc(tmp_path, data):
    found = captures(tmp_path, data)
    assert len(found) == 1
    assert found[0].error in ("truncated_record", "corrupt_record")
    assert found[0].record == "a.warc.gz@0"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_loses_no_record_silently(tmp_path_factory, data):
    gz = data.draw(st.booleans())
    whole = b"".join((gzip.compress if gz else bytes)(r) for r in RECORDS)
    at = data.draw(st.integers(0, len(whole) - 1))
    width = data.draw(st.integers(1, 40))
    damaged = whole[:at] + data.draw(st.binary(min_size=width, max_size=width)) + whole[at + width :]
    found = captures(tmp_path_factory.mktemp("w"), damaged, "a.warc.gz" if gz else "a.warc")
    whole_urls = {c.url for c in found if c.error is None}
    # Four records went in: as many come out, or a dead letter says that one did not.
    assert len(whole_urls & set(URLS)) == 4 or any(c.error for c in found) or len(found) >= 4


def test_folder_items_are_relative_and_cover_all(tmp_path):
    for n in range(3):
        (tmp_path / f"子/{n}").mkdir(parents=True)
        (tmp_path / f"子/{n}/x.warc.gz").write_bytes(gzip.compress(RECORDS[n]))
    (tmp_path / "notes.txt").write_text("no")
    source = WarcSource(path=FileRef(tmp_path))
    found = pieces(source)
    assert [piece.name for piece in found] == ["files-000000-000004"]
    assert [c.url or c.error for piece in found for c in read(source, piece)] == ["unknown_file", *URLS[:3]]
    with pytest.raises(SourceError, match=r"holds no file named \*\.warc"):
        pieces(WarcSource(path=FileRef(_made(tmp_path / "empty"))))
    with pytest.raises(FileNotFoundError, match="missing"):
        pieces(WarcSource(path=FileRef(tmp_path / "missing")))


def _made(path):
    path.mkdir()
    return path


def test_bodies():
    def head(**headers):
        return Head(200, {name.replace("_", "-"): value for name, value in headers.items()})

    chunked = b"5\r\nhello\r\n3;x=1\r\n wo\r\n0\r\n\r\n"
    assert decoded_body(head(transfer_encoding="chunked"), chunked, 99) == b"hello wo"
    assert decoded_body(head(transfer_encoding="chunked"), b"<html>", 99) == b"<html>"  # dechunked before it was stored
    with pytest.raises(CodingError, match="runs past the end"):
        decoded_body(head(transfer_encoding="chunked"), b"9\r\nhello", 99)
    import zlib

    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(BODY) + raw.flush()
    for coding, data in [
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare),
        ("gzip", BODY),
    ]:
        assert decoded_body(head(content_encoding=coding), data, 999) == BODY
    assert decoded_body(head(content_encoding="gzip"), gzip.compress(b"a") + gzip.compress(b"b"), 99) == b"ab"
    with pytest.raises(CodingError, match="ends early"):
        decoded_body(head(content_encoding="gzip"), gzip.compress(BODY * 9)[:-12], 9999)
    with pytest.raises(TooLargeError):
        decoded_body(head(content_encoding="gzip"), gzip.compress(bytes(10_000_000)), 1000)


def test_heads():
    head, body = split_message(
        b'HTTP/1.1 200\r\nA: 1\r\na: 2\r\nbad line\r\nContent-Type: Text/HTML; Charset="GBK"\r\n\r\nx'
    )
    assert (head.status, head.headers["a"], head.media_type, head.charset, body) == (
        200,
        "1, 2",
        "text/html",
        "GBK",
        b"x",
    )
    assert split_message(b"HTTP/1.0 302 \n\nbody")[0].status == 302
    assert split_message(b"") is None and split_message(b"GET / HTTP/1.1\r\n\r\n") is None


def test_reasons_are_counted(tmp_path):
    data = b"".join(
        [*RECORDS, record("http://h.sample/r", b"", "revisit"), record("http://h.sample/q", b"", "request")]
    )
    assert Counter(c.error for c in captures(tmp_path, data, "a.warc")) == {None: 4, "revisit": 1, "not_response": 1}
