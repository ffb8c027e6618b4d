"""MediaWiki dumps: pages cleaned, redirects and talk pages told apart, damage and nonsense with a reason."""

import bz2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.sources.mediawiki import MediaWikiSource
from corpus.sources.wikitext import plain
from tests.corpus.sources.test_formats import PACK, all_of

ARTICLE = """{{Infobox|name=桥|width=10}}
'''桥'''（{{lang|en|bridge}}）是-{zh-hans:软件;zh-hant:軟體}-中的[[建筑|建筑物]]。<ref name="a">出处</ref>
[[File:Bridge.jpg|thumb|图片说明 [[河]]]]
== 历史 ==
* 第一座[[桥梁]]建于{{year|1900}}年。
# 第二座<br>在[http://x.sample 河上]。
{| class="wikitable"
! 年 !! 座
|-
| 1900 || 1
|}
<!-- 注释 --><gallery>a.jpg|b</gallery>__NOTOC__
[[Category:桥]][[分类:建筑]][[en:Bridge]]
"""
TEXT = ["桥是软件中的建筑物。", "历史", "第一座桥梁建于年。", "第二座", "在河上。"]


def page(title, text, ns=0, redirect=None, model="wikitext", number=1):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    leads = f'<redirect title="{redirect}" />' if redirect else ""
    return (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{leads}<revision><id>9</id><model>{model}</model>"
        f'<format>text/x-wiki</format><text bytes="1" xml:space="preserve">{escaped}</text></revision></page>'
    )


def dump(*pages):
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh"><siteinfo>'
        "<sitename>维基</sitename><base>https://zh.wiki.sample/wiki/Main_Page</base></siteinfo>"
        f"{''.join(pages)}</mediawiki>"
    ).encode()


PAGES = [
    page("桥 (建筑)", ARTICLE),
    page("Talk:桥", "我不同意。", ns=1),
    page("橋", "#REDIRECT [[桥]]", redirect="桥"),
    page("Module:X", "return {}", model="Scribunto"),
    page("长", "字" * 4000),
]


@pytest.mark.parametrize("end", PACK)
def test_pages_in_every_compression(tmp_path, end):
    (tmp_path / f"dump.xml{end}").write_bytes(PACK[end](dump(*PAGES)))
    found = all_of(MediaWikiSource(path=FileRef(tmp_path), max_bytes=9000))
    assert [(c.error, c.detail) for c in found] == [
        (None, ""),
        ("other_namespace", "1"),
        ("redirect_page", "桥"),
        ("not_wikitext", "Scribunto"),
        ("too_large", "over 9000 bytes"),
    ]
    assert found[0].url == "https://zh.wiki.sample/wiki/%E6%A1%A5_%28%E5%BB%BA%E7%AD%91%29"
    assert (found[0].title, found[0].declared_language, found[0].payload) == ("桥 (建筑)", "zh", ARTICLE.encode())
    both = all_of(MediaWikiSource(path=FileRef(tmp_path), namespaces=(0, 1)))
    assert both[1].text == "我不同意。"


def test_wikitext_is_cleaned():
    assert [line for line in plain(ARTICLE, "zh-hans").splitlines() if line] == TEXT
    assert "軟體" in plain(ARTICLE, "zh-hant") and "軟體" in plain(ARTICLE, "zh-tw")
    assert plain("a &amp; b&nbsp;c <math>x^2</math> ''d''", "") == "a & b\xa0c $x^2$ d"
    assert plain("-{简体}- -{R|保留}- -{T|zh-hans:甲;zh-hant:乙}-", "zh-hant") == "简体 保留 乙"


def test_damage_and_what_is_no_dump(tmp_path):
    whole = dump(*PAGES)
    path = tmp_path / "a.xml"
    for data, reasons in (
        (whole[:-60], [None, "other_namespace", "redirect_page", "not_wikitext", "corrupt_record"]),
        (b"", ["truncated_record"]),
        (b"<html><p>no dump", ["corrupt_record"]),
        (b"\x00\x01", ["corrupt_record"]),
    ):
        path.write_bytes(data)
        assert [c.error for c in all_of(MediaWikiSource(path=FileRef(path)))] == reasons, data[:20]
    path.write_bytes(bz2.compress(whole * 9)[:-200])
    assert all_of(MediaWikiSource(path=FileRef(path)))[-1].error in ("truncated_record", "corrupt_record")


def test_entities_that_grow_are_refused(tmp_path):
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE m [<!ENTITY e0 "lol">{lines}]><mediawiki><page><title>&e9;</title></page></mediawiki>'
    (tmp_path / "a.xml").write_text(bomb)
    assert [c.error for c in all_of(MediaWikiSource(path=FileRef(tmp_path)))] == ["corrupt_record"]


MARKUP = st.sampled_from(
    ["{{", "}}", "[[", "]]", "{|", "|}", "|", "<ref>", "</ref>", "''", "==", "\n", "* ", "-{", "}-", "桥", "a:"]
)


@given(st.lists(MARKUP, max_size=60))
@settings(deadline=None, max_examples=150)
def test_any_wikitext_gives_a_text(parts):
    assert isinstance(plain("".join(parts), "zh-hans"), str)
