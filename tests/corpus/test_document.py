"""The canonical URL, the id, and which pages translate each other."""

import hashlib

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corpus.document import DOCUMENT, canonical_url, document_id, key_prefix, tokens_schema, translation_key

SPELLINGS = {
    "http://help.sample/": [
        "http://help.sample",
        "HTTP://HELP.sample:80/",
        "http://help.sample/#top",
        " http://help.sample./ ",
    ],
    "https://h.org/a/c": [
        "https://h.org:443/a/b/../c",
        "https://h.org/a/./c",
        "https://h.org/a/%63",
        "https://u:p@h.org/a/c",
    ],
    "https://h.org:8443/": ["https://h.org:08443", "https://H.org:8443/.", "https://h.org:8443/../.."],
    "http://h.org/%E4%B8%AD%E6%96%87": [
        "http://h.org/中文",
        "http://h.org/%e4%b8%ad%e6%96%87",
        "http://h.org/%e4%B8%ad文",
    ],
    "http://h.org/?q=%E4%B8%AD&x=~a": ["http://h.org/?q=中&x=%7ea", "http://h.org?q=%e4%b8%ad&x=~%61#f"],
    "http://xn--fsqu00a.xn--0zwm56d/": ["http://例子.测试/", "http://例子。测试", "http://XN--FSQU00A.xn--0zwm56d."],
    "http://[::1]:8080/a": ["http://[::1]:8080/b/../a"],
    "http://h.org/100%25": ["http://h.org/100%", "http://h.org/100%25"],
    "http://h.org/a/": ["http://h.org/a/b/..", "http://h.org/a/.", "http://h.org/a/%2E"],
}

DIFFERENT = [
    ("http://h.org/a%2Fb", "http://h.org/a/b"),
    ("http://h.org/a", "http://h.org/a/"),
    ("http://h.org/A", "http://h.org/a"),
    ("http://h.org/?a=1&b=2", "http://h.org/?b=2&a=1"),
    ("http://h.org/?a=1%262", "http://h.org/?a=1&2"),
    ("http://h.org/%2541", "http://h.org/%41"),
    ("http://h.org:8080/", "http://h.org/"),
    ("https://h.org/", "http://h.org/"),
    ("http://h.org/中", "http://h.org/国"),
]


@pytest.mark.parametrize(("canonical", "spelling"), [(c, s) for c, found in SPELLINGS.items() for s in [c, *found]])
def test_equal_spellings_meet(canonical, spelling):
    assert canonical_url(spelling) == canonical


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_urls_stay_apart(one, other):
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    "url",
    ["", "help.sample/a", "/a", "http://", "http:///a", "http://./", "http://h:x/", "http://[::1", "http://h:99999/"],
)
def test_what_is_no_url_is_refused_by_name(url):
    with pytest.raises(ValueError, match="give it as http://host/path") as caught:
        canonical_url(url)
    assert repr(url) in str(caught.value)


HOSTS = st.sampled_from(
    [
        "h.org",
        "H.ORG",
        "例子.测试",
        "h.org:80",
        "h.org:81",
        "[::1]",
        "a b.org",
        "ü.de",
        "h.org.",
        "x" * 70 + ".de",
        "..",
        "中" * 80,
    ]
)


@given(host=HOSTS, rest=st.text(st.characters(blacklist_characters="#"), max_size=30))
@example(host="h.org", rest="/%")
@example(host="h.org", rest="/%2%35")
@example(host="h.org", rest="/\ud800\udcff?\udfff")
@example(host="h.org", rest="/a\x00b\n c")
@example(host="h.org", rest="//../%2e%2E//.")
def test_canonical_is_idempotent_and_ascii(host, rest):
    try:
        once = canonical_url(f"http://{host}/{rest}")
    except ValueError:
        return
    assert once.isascii() and not any(c.isspace() for c in once)
    assert canonical_url(once) == once
    assert canonical_url(once + "#fragment") == once


def test_an_url_is_a_prefix_look_up():
    url = canonical_url("http://help.sample/zh-CN/文本.html")
    first, second = document_id(url, b"<html>"), document_id(url, "<html>新".encode())
    assert len(first) == len(second) == 16
    assert first[:8] == second[:8] == key_prefix(url) == hashlib.sha256(url.encode()).digest()[:8]
    assert first[8:] == hashlib.sha256(b"<html>").digest()[:8] != second[8:]
    assert document_id("source:记录 1", b"x")[:8] != document_id("source:记录 2", b"x")[:8]
    assert len(document_id("odd \ud800 key", b"")) == 16


LIBREOFFICE = "http://help.sample/{}/text/shared/01/01010000.html"
DEBIAN = "https://www.debian.org/doc/manuals/maint-guide/first.{}.html"
EDITIONS = ("cn", "tw", "hk", "sc", "tc", "gb", "big5", "zh_TW", "en")
TRANSLATIONS = [
    (LIBREOFFICE.format("zh-CN"), LIBREOFFICE.format("en-US")),
    (LIBREOFFICE.format("zh_TW"), LIBREOFFICE.format("en-US")),
    (LIBREOFFICE.format("zh-Hans-CN"), LIBREOFFICE.format("en")),
    (DEBIAN.format("zh-cn"), DEBIAN.format("en")),
    (DEBIAN.format("zh-tw"), DEBIAN.format("zh-cn")),
    ("https://www.debian.org/intro/about.zh-cn.html?x=1", "https://www.debian.org/intro/about.en.html?x=1"),
    ("https://www.debian.org/index.html.zh-cn", "https://www.debian.org/index.html.en"),
    ("https://zh.wikipedia.org/wiki/X", "https://en.wikipedia.org/wiki/X"),
    ("https://h.org/docs/zh", "https://h.org/docs/en"),
    *(("https://h.org/zh/a/b.html", f"https://h.org/{edition}/a/b.html") for edition in EDITIONS),
    *(("https://h.org/a.html", f"https://h.org/a{tail}.html") for tail in ("_zh", "-tw", "_zh_CN", "-zh-hk", "_big5")),
    ("https://h.org/a.html", "https://h.org/a.zh_CN.html"),
    ("https://zh.h.org/a?p=2&lang=zh-tw", "https://www.h.org/a?p=2"),
    ("https://h.org/a?variant=zh-cn&p=2", "https://h.org/a?p=2&hl=en"),
    ("https://tw.h.org/a", "https://cn.h.org/a"),
]
NOT_TRANSLATIONS = [
    (LIBREOFFICE.format("zh-CN"), LIBREOFFICE.format("en-US").replace("01010000", "01010001")),
    ("https://h.org/ab/xx/a.html", "https://h.org/ab/yy/a.html"),
    ("https://h.org/jquery.min.js", "https://h.org/jquery.js"),
    ("https://h.org/a.html?p=1", "https://h.org/a.html?p=2"),
    ("https://h.org/zh/a.html", "https://g.org/zh/a.html"),
    ("https://h.org/a?lang=python", "https://h.org/a?lang=rust"),
    ("https://h.org/a-one.html", "https://h.org/a-two.html"),
    ("https://h.org/_tw", "https://h.org/_other"),
]


@pytest.mark.parametrize(("one", "other"), TRANSLATIONS)
def test_translations_share_a_key(one, other):
    assert translation_key(canonical_url(one)) == translation_key(canonical_url(other))


@pytest.mark.parametrize(("one", "other"), NOT_TRANSLATIONS)
def test_other_pages_do_not(one, other):
    assert translation_key(canonical_url(one)) != translation_key(canonical_url(other))


def test_schemas():
    assert DOCUMENT.field("id").type == pa.binary(16) and not DOCUMENT.field("id").nullable
    assert DOCUMENT.field("text").type == pa.large_string()
    for dtype, kind in (("uint16", pa.uint16()), ("uint32", pa.uint32())):
        assert tokens_schema(dtype).field("tokens").type.value_type == kind
