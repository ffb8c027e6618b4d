"""Framing and codings of stored messages, where a server or an archive lies."""

import contextlib
import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources.http import CodingError, Head, TooLargeError, decoded_body, split_message

CHUNKED = Head(200, {"transfer-encoding": "chunked"})
GZIP = Head(200, {"content-encoding": "gzip"})


def chunked(pieces, extension=b"", trailer=b""):
    return b"".join(b"%X%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n" + trailer + b"\r\n"


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.sampled_from([b"", b";a=b", b" ; x"]), st.booleans()
)
def test_a_chunked_body_is_its_pieces(pieces, extension, trailer):
    body = chunked(pieces, extension, b"A: b\r\nC: d\r\n" if trailer else b"")
    assert decoded_body(CHUNKED, body, 9999) == b"".join(pieces)


NO_CHUNKS = (
    *(
        b"-6\r\nabcdef",
        b"-6\r\n-6\r\n",
        b"0\r\nmore",
        b"0\r\n\r\nmore",
        b"+5\r\nhello\r\n0\r\n\r\n",
        "²\r\nab".encode(),
    ),
    *(b"0x5\r\nhello\r\n0\r\n\r\n", b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n", b"5\r\nhelloworld", b"<html>", b""),
    b"f" * 5000 + b"\r\n",
)


@pytest.mark.parametrize("body", NO_CHUNKS)
def test_what_is_no_chunk_was_dechunked_before_it_was_stored(body):
    assert decoded_body(CHUNKED, body, 9999) == body


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"5\r\nhello\r\n-6\r\n", "bad chunk"),
        (b"5\r\nhello\r\n6\r\nabc", "runs past the end"),
        (b"5\r\nhello\r\n3\r\nabcdef\r\n", "bad chunk"),
        (b"5\r\nhello\r\n", "bad chunk"),
        (b"ffffffffffffffff\r\nabc", "runs past the end"),
    ],
)
def test_a_chunked_body_that_breaks_off_is_no_document(body, problem):
    with pytest.raises(CodingError, match=problem):
        decoded_body(CHUNKED, body, 9999)


@given(st.binary(max_size=60) | st.text("0123456789abcdef-;\r\n ", max_size=60).map(str.encode))
def test_no_framing_loops_or_fails(body):
    for head in (CHUNKED, GZIP, Head(200, {"content-encoding": "deflate", "transfer-encoding": "chunked"})):
        with contextlib.suppress(CodingError):
            assert len(decoded_body(head, body, 9999)) < 9999


def test_many_gzip_members_end_and_are_linear():
    with pytest.raises(CodingError, match="over 1000 gzip members"):
        decoded_body(GZIP, gzip.compress(b"") * 400_000, 1 << 20)
    assert decoded_body(GZIP, gzip.compress(b"ab") * 999, 1 << 20) == b"ab" * 999
    large = gzip.compress(b"")

    def seconds(size):  # the members' data stands behind, not within: only copies of the rest would grow
        body = large * 900 + gzip.compress(bytes(range(256)) * size, 0)
        start = time.process_time()
        assert len(decoded_body(GZIP, body, 1 << 30)) == 256 * size
        return time.process_time() - start

    assert seconds(160_000) < 64 * max(seconds(10_000), 0.001)


@pytest.mark.parametrize("wbits", [31, 15, -15])
def test_sizes_and_ratio_are_limits(wbits):
    head = Head(200, {"content-encoding": "gzip" if wbits == 31 else "deflate"})

    def packed(data):
        stream = zlib.compressobj(9, zlib.DEFLATED, wbits)
        return stream.compress(data) + stream.flush()

    page = "".join(f"<p>第{n}段 paragraph {n}</p>" for n in range(200_000)).encode()
    assert decoded_body(head, packed(page), 64 << 20) == page
    with pytest.raises(TooLargeError, match=f"over {len(page) - 1} bytes"):
        decoded_body(head, packed(page), len(page) - 1)
    zeros = packed(bytes(60 << 20))
    with pytest.raises(TooLargeError, match=f"over {250 * len(zeros)} bytes"):
        decoded_body(head, zeros, 64 << 20)
    with pytest.raises(CodingError, match="9 content codings"):
        decoded_body(Head(200, {"content-encoding": ",".join(["gzip"] * 9)}), b"x", 99)


@pytest.mark.parametrize(
    ("kind", "charset"),
    [
        ("text/html; charset=GBK", "GBK"),
        ('text/html;CharSet="big5"; x=y', "big5"),
        ("text/html; charset='gb18030'", "gb18030"),
        ("text/html; charset=utf-8; charset=gbk", "utf-8"),
        ("text/html; charset*=utf-8''a; charset*0=b", None),
        ("text/html; charset*0*=utf-8''%zz; charset*1=b", None),
        ("text/html; xcharset=a", None),
        ('text/html; charset="', None),
        ("text/html; charset=", None),
        ("", None),
    ],
)
def test_charsets_of_any_spelling(kind, charset):
    assert Head(200, {"content-type": kind}).charset == charset


@given(st.text(max_size=60))
def test_no_content_type_fails(kind):
    head = Head(200, {"content-type": kind})
    assert head.charset is None or head.charset in kind
    assert head.media_type is None or head.media_type == head.media_type.strip().lower()


@pytest.mark.parametrize("status", ["²00", "20", "2000", "-20", "OK", "", "२००"])
def test_a_status_is_three_digits(status):
    assert split_message(f"HTTP/1.1 {status} X\r\n\r\n".encode()) is None


def test_a_value_cannot_forge_a_header_and_a_head_ends():
    head, body = split_message(b"HTTP/1.1 200 X\r\nA: b\x85C: d\x0bE: f\x1cG: h\r\nA: i\r\n\r\nbody")
    assert head.headers == {"a": "b\x85C: d\x0bE: f\x1cG: h, i"} and body == b"body"
    assert split_message(b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 100_000 + b"\r\nbody") is None
