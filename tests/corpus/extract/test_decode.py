import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.html import DecodingError, declared_charset, decode, links, looks_like_html

CHINESE = "汉字编码有许多种，网页常常不说自己用的是哪一种。" * 4
PAGE = "<html><head>{meta}<title>标题</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize(
    ("label", "codec_name", "read_as"),
    [
        ("gb2312", "gb18030", "gb18030"),
        ("GBK", "gbk", "gb18030"),
        ("x-gbk", "gbk", "gb18030"),
        ("gb18030", "gb18030", "gb18030"),
        ("big5", "big5", "big5hkscs"),
        ("utf-8", "utf-8", "utf-8"),
    ],
)
@pytest.mark.parametrize("where", ["header", "meta", "http-equiv", "nowhere"])
def test_chinese_encodings(label, codec_name, read_as, where):
    text = CHINESE if codec_name != "big5" else "漢字編碼有許多種，網頁常常不說自己用的是哪一種。" * 4
    meta = {
        "meta": f'<meta charset="{label}">',
        "http-equiv": f'<meta http-equiv="Content-Type" content="text/html; charset={label}">',
    }.get(where, "")
    page = PAGE.format(meta=meta, text=text)
    found = decode(page.replace("标题", "").encode(codec_name), label if where == "header" else None)
    assert text in found.text
    assert found.replaced == 0.0
    if where != "nowhere":
        assert found.encoding == read_as


def test_gb18030_characters_under_a_gb2312_label():
    # The label names 6,763 characters; pages under it hold more.
    found = decode("镕堃喆€".encode("gb18030"), "gb2312")
    assert found.text == "镕堃喆€"


@pytest.mark.parametrize(
    ("bom", "name"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_byte_order_mark_outweighs_header(bom, name):
    assert decode(bom + "中文 text".encode(name), "big5").text == "中文 text"


def test_latin1_header_over_a_utf8_page():
    assert decode("中文 naïve".encode(), "ISO-8859-1").text == "中文 naïve"


def test_latin1_page_reads_as_windows_1252():
    found = decode("“naïve café” is a phrase — really".encode("cp1252"), "iso-8859-1")
    assert (found.text, found.encoding) == ("“naïve café” is a phrase — really", "cp1252")


def test_unknown_and_non_text_labels_are_passed_over():
    for label in ("base64", "no-such-charset", "", "utf-8\0", "zlib"):
        assert decode("中文".encode(), label).text == "中文"


def test_a_few_bad_bytes_are_replaced_and_many_are_refused():
    good = ("中文" * 500).encode()
    found = decode(good[:1500] + b"\xff" + good[1500:], "utf-8")
    assert 0 < found.replaced < 0.01
    assert found.text.count("�") == 1
    with pytest.raises(DecodingError, match="unreadable"):
        decode(b"\xff\xfe\xfa\x80\x81" * 300 + b"\x80", "utf-8", max_replaced=0.0)


def test_declaration_beyond_scripts_and_in_xml():
    assert declared_charset(b"<script>" + b" " * 1500 + b'</script><meta charset="gbk">') == "gbk"
    assert declared_charset(b'<?xml version="1.0" encoding="Big5"?><html>') == "Big5"
    assert declared_charset(b"<html>") is None


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "gbk", "big5", "utf-16", "hz", "idna", "punycode"]))
def test_any_bytes_decode_or_say_why(payload, label):
    try:
        found = decode(payload, label, 1.0)
    except DecodingError:
        return
    assert 0.0 <= found.replaced <= 1.0


def test_looks_like_html():
    assert looks_like_html(b"\n<!DOCTYPE html><p>")
    assert looks_like_html("中文<div>".encode())
    assert not looks_like_html(b"%PDF-1.4 <<")
    assert not looks_like_html(b"")


def test_links_honour_base_entities_quotes_and_order():
    page = """<html><head><base href="../../"><!-- <a href="/comment"> --></head><body>
    <script>document.write('<a href="/script">x</a>')</script>
    <a href="zh/b.html#part">1</a> <A class=x HREF='/a?x=1&amp;y=2'>2</A> <area href=plain.html>
    <a href="mailto:x@y.z">m</a> <a href="javascript:void(0)">j</a> <a rel="nofollow" href="/no">n</a>
    <a href="zh/b.html">again</a> <a name="top">anchor</a> <a href="//other.sample/中文.html">o</a>
    <a href="http://[broken/">b</a></body></html>"""
    assert links(page, "http://h.sample/zh/text/guide/a.html") == [
        "http://h.sample/zh/zh/b.html",
        "http://h.sample/a?x=1&y=2",
        "http://h.sample/zh/plain.html",
        "http://other.sample/中文.html",
        "http://[broken/",
    ]


@pytest.mark.parametrize("piece", ["<!--", "<script ", "<a ", "<base ", '<a href="', "<style>", "<ul>", "<a href=x "])
def test_links_of_hostile_pages_end(piece):
    assert links(piece * 100_000, "http://h.sample/") == []


@given(st.text(max_size=200))
def test_links_never_fail(text):
    links(f'<a href="{text}">{text}</a><a href={text}>', "http://h.sample/")
