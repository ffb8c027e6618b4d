"""Siku's own extractor: what is content and what is not, on pages of many layouts and on hostile ones."""

import time
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text

from corpus.extract.documents import Extract, extract_page
from corpus.extract.markup import without_scripts
from corpus.extract.names import meaning
from tests.benchmarks.extract import mean, resiliparse, score, siku
from tests.benchmarks.layouts.pages import labelled

PROSE = {
    "en": "The council voted on Tuesday to repair the old bridge before winter, and set aside money for it. " * 4,
    "hans": "市议会周二投票决定在入冬之前修好旧桥，并为此拨出专款，工程下个月开工。" * 4,
    "hant": "市議會週二投票決定在入冬之前修好舊橋，並為此撥出專款，工程下個月開工。" * 4,
}
LINE = "A reader thinks that this is all wrong and says so at some length. 读者认为这全都不对，并且写了很长一段。"


def text_of(body, name="siku"):
    return extract_page(f"<html><body>{body}</body></html>", Extract(extractor={"by": name})).text


def article(language, inner="", wrap="div"):
    paragraphs = "".join(f"<p>{n} {PROSE[language]}</p>" for n in range(4))
    return f"<{wrap}>{paragraphs}{inner}</{wrap}>"


@pytest.fixture(scope="module")
def scored():
    """Scores by kind and language of Siku and Resiliparse over one page a layout and language."""
    found = defaultdict(lambda: defaultdict(list))
    for page in labelled(1):
        for tool in (siku, resiliparse):
            found[page.kind, page.language][tool.__name__].append(score(tool(page.html), page.truth))
    return {key: {name: mean(each) for name, each in tools.items()} for key, tools in found.items()}


def test_labelled_pages_of_every_kind(scored):
    """`python -m tests.benchmarks.extract` scores more of them, beside trafilatura as well."""
    assert len(scored) == 14
    low = {key: tools["siku"] for key, tools in scored.items() if tools["siku"]["f1"] < 0.975}
    assert low == {}
    worse = {key: tools for key, tools in scored.items() if tools["siku"]["f1"] < tools["resiliparse"]["f1"] - 0.002}
    assert worse == {}


@pytest.mark.parametrize("language", PROSE)
@pytest.mark.parametrize(
    "around",
    [
        f'<div id="comments"><p>{LINE}</p><p>{LINE}</p></div>',
        f'<section class="postComments_list"><p>{LINE}</p></section>',
        f"<div><h3>Comments (2)</h3><p>{LINE}</p><p>{LINE}</p></div>",
        f"<div><h3>网友评论</h3><p>{LINE}</p></div>",
        f'<div class="related-posts"><h4>x</h4><p>{LINE}</p></div>',
        f"<h2>相关阅读</h2><div><p>{LINE}</p></div>",
        f'<div class="cookie-banner"><p>{LINE}</p></div>',
        f'<div class="tuijian_box"><p>{LINE}</p></div>',
        "".join(f'<div><h3><a href="/{n}">Title</a></h3><p>{LINE}</p></div>' for n in range(4)),
        f"<footer><p>{LINE}</p></footer><aside><p>{LINE}</p></aside>",
    ],
)
def test_surroundings_are_left_out(language, around):
    text = text_of(article(language) + around)
    assert text == text_of(article(language)) and LINE[:20] not in text
    assert text.count(PROSE[language].strip()) == 4
    if not any(known in around for known in ("footer", "related-posts", "cookie")):  # what the library's rules keep
        assert LINE[:20] in extract_plain_text(f"<body>{article(language)}{around}</body>", main_content=True)


@pytest.mark.parametrize("name", ["related-layout", "main-sidebar", "comments", "share-box", "nav", "footer", "ad"])
def test_what_holds_most_of_the_prose_stays_whatever_it_is_called(name):
    assert text_of(f'<div class="{name}" id="{name}">{article("en")}</div>').count("council") == 16
    assert text_of(f'<div class="{name}">{article("hans")}</div><p>{LINE}</p>').count("市议会") == 16


def test_comments_are_content_where_there_is_nothing_else():
    thread = "".join(f'<div class="comment"><p>{n} {LINE}</p></div>' for n in range(9))
    text = text_of(f"<div><h1>Thread</h1></div><div class=thread>{thread}</div>")
    assert text.count("A reader thinks") == 9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stock-list", None),
        ("protocol", None),
        ("shareholder", None),
        ("autocomplete", None),
        ("stage", None),
        ("shareButtons", "noise"),
        ("post_comment", "comments"),
        ("commentList", "comments"),
        ("has-sidebar", None),
        ("comments-open", None),
        ("tag-social", None),
        ("site-footer", "noise"),
        ("relatedArticles", "noise"),
        ("entry-meta", "small"),
        ("相关", None),
        ("x" * 1000, None),
        ("---", None),
    ],
)
def test_names_are_read_word_by_word(name, expected):
    assert meaning(name) == expected


@pytest.mark.parametrize("name", ["stock-list", "protocol", "shareholder"])
def test_words_that_hold_a_word_of_navigation_are_kept(name):
    kept = f'<div class="{name}"><p>{LINE}</p></div><ul class="{name}"><li>{LINE}</li></ul>'
    assert text_of(article("en", kept)).count("A reader thinks") == 2


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<h2>标题<a class="headerlink" href="#x">¶</a></h2>', "标题"),
        ('<h2>Heading<a class="anchor" href="#x">#</a></h2>', "Heading"),
        ("<p><ruby>汉<rp>(</rp><rt>hàn</rt><rp>)</rp>字<rt>zì</rt></ruby>好</p>", "汉字好"),
        ("<p>第一行\n第二行</p>", "第一行第二行"),
        ("<p>繁體\n<b>中文</b>\n換行</p>", "繁體中文換行"),
        (
            "<figure><table><tr><td class=gutter><pre>1</pre></td><td><pre>x = 1</pre></td></tr></table></figure>",
            "x = 1",
        ),
        ("<p>See<sup class=reference><a href=#n>[1]</a></sup> it.</p>", "See it."),
        ("<pre class='line-numbers'><code>def f():\n    pass</code></pre>", "def f():\n    pass"),
        ("<ul><li>one<li>二</ul>", "• one\n  • 二"),
        ("<aside class='admonition note'><p>Mind the gap</p></aside>", "Mind the gap"),
    ],
)
def test_markup_within_the_content(html, text):
    for language in PROSE:
        assert text_of(article(language, html)).endswith(f"\n{text}") or text in text_of(article(language, html))
        assert text_of(article(language, html)).split()[-1] == text.split()[-1]


def test_manuals_keep_their_lists_of_links_with_descriptions():
    entries = "".join(
        f'<h2><a href="/{n}.html">Command {n}</a></h2><p>Does thing number {n} at once.</p>' for n in range(9)
    )
    text = text_of(f"<div><h1>Menu</h1><p>{PROSE['en']}</p>{entries}</div>")
    assert all(f"Command {n}" in text and f"number {n} at" in text for n in range(9))


def test_contents_are_left_out_but_for_those_of_a_manual():
    """DocBook's are of the text: the publisher's own plain text of Debian's manuals has them."""
    links = "".join(f'<li><a href="#{n}">Chapter {n}</a></li>' for n in range(5))
    terms = "".join(f'<dt><a href="#{n}">Chapter {n}</a></dt>' for n in range(5))
    assert "Chapter 3" not in text_of(f'<div><div class="toc" id="toc"><ul>{links}</ul></div>{article("hans")}</div>')
    sections = article("hans", wrap="section") + article("hant", wrap="section")
    assert "Chapter 3" in text_of(f'<div><div class="toc"><dl class="toc">{terms}</dl></div>{sections}</div>')


@pytest.mark.parametrize(
    ("html", "rest"),
    [
        ("a<!-- <script> -->b<script>1 < 2</script >c<style>p{}</style>d", "abcd"),
        ("a<!-->b-->c<!--->d", "ab-->cd"),
        ("<script>a</SCRIPT>text<script>b</script>c", "<script>a</SCRIPT>text<script>b</script>c"),
        ("a<script>left open", "a<script>left open"),
        ("a<!-- left open", "a<!-- left open"),
        ("a<!-- x --!>b<!-- y -->", "a<!-- x --!>b<!-- y -->"),
        ("<scripted>a</scripted><styles>", "<scripted>a</scripted><styles>"),
        ("<script src=x></script", ""),
    ],
)
def test_scripts_and_comments_go_before_parsing(html, rest):
    assert without_scripts(html) == rest
    assert text_of(f"<p>{html}") == extract_plain_text(f"<p>{html}", preserve_formatting=True)


@pytest.mark.parametrize(
    "piece",
    [
        '<div class="nav{n}x comment-{n} related{n}-posts">a</div>',
        '<div class="comment"><p>text of a comment that is long enough to weigh',
        "<h2>Comments</h2><p>x</p>",
        "<h3><a href=/x>t</a></h3>",
        "<div><br>text that weighs something, over and over again",
        '<p class="related">text that weighs something, over and over again</p>',
        "<aside>text that weighs something, over and over again<div>",
        "<figure><pre>code</pre>",
        "<script><script>",
        "<!--",
        "<!--><style>x",
        "<script>a</script><script",
        "<table><tr><td>a cell that weighs something here and there",
    ],
)
def test_hostile_pages_are_linear(piece):
    """Four times the page, at most ten times the CPU time of this process, the parser's included."""

    def seconds(size):
        html = "".join(piece.replace("{n}", str(n)) for n in range(size // len(piece)))
        start = time.process_time()
        assert text_of(f"<div><p>{PROSE['en']}</p>{html}") is not None
        return time.process_time() - start

    quick = max(min(seconds(15_000), seconds(15_000)), 0.03)
    assert min(seconds(60_000), seconds(60_000)) < 10 * quick


TAGS = [
    "div",
    "p",
    "ul",
    "li",
    "h2",
    "a href=/x",
    "nav",
    "aside",
    "article",
    "table",
    "tr",
    "td",
    "pre",
    "br",
    "figure",
    "form",
]
TOKENS = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag.split()[0]}>" for tag in TAGS]),
    st.sampled_from(
        ['<div class="comment">', '<div id="related">', "<body>", "</html>", "<!--", "-->", "<script>", "&#0;", "<"]
    ),
    st.sampled_from([PROSE["en"], PROSE["hant"], "相关阅读", "Comments", "\x00"]),
)


@given(st.lists(TOKENS, max_size=40))
@settings(deadline=None, max_examples=150)
def test_any_markup_gives_a_text(tokens):
    html = "".join(tokens)
    first = extract_page(html, Extract())
    assert first == extract_page(html, Extract())
