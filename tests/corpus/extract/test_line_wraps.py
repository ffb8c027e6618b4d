import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.extract.documents import Extract, extract_page
from corpus.extract.line_wraps import unwrapped


def text_of(html, **kwargs):
    return extract_page(
        f"<html><body><div><p>{html}</p></div></body></html>", Extract(extractor={"by": "siku", **kwargs})
    ).text


@pytest.mark.parametrize("main", [True, False])
@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("第一行\n    第二行", "第一行第二行"),
        ("第一行，\r\n\r\n\t第二行。\n第三行", "第一行，第二行。第三行"),
        ("繁體中文\n換行", "繁體中文換行"),
        ("ひらがな\nカタカナー\nﾊﾝｶｸ\n漢字", "ひらがなカタカナーﾊﾝｶｸ漢字"),
        ("引号”\n后面\n“前面", "引号”后面“前面"),
        ("破折号——\n后面……\n完", "破折号——后面……完"),
        ("《书名》\n（括号）\n【标题】", "《书名》（括号）【标题】"),
        ("点<b>重</b>\n<i>点</i>\n词", "点重点词"),
        ("链接<a href='x'>\n文字\n</a>后", "链接文字后"),
        ("𠀀\n𪚥", "𠀀𪚥"),
        # A space stays where it is one.
        ("한글\n문장", "한글 문장"),
        ("汉字\n한글", "汉字 한글"),
        ("汉字\nLatin\n汉字", "汉字 Latin 汉字"),
        ("汉字\n2024\n年", "汉字 2024 年"),
        ("Latin\nwords ”\n“ here", "Latin words ” “ here"),
        ("汉字 汉字", "汉字 汉字"),
        ("“\n”", "“ ”"),
    ],
)
def test_a_wrapped_line_is_no_space_between_ideographs(html, text, main):
    assert text_of(html, main_content=main) == text


def test_preformatted_lines_and_breaks_stay():
    assert text_of("x</p><pre>第一行\n第二行</pre><p>y").split("\n\n")[1] == "第一行\n第二行"
    assert text_of("第一行<br>\n第二行") == "第一行\n第二行"
    assert text_of("第一段</p>\n<p>第二段") == "第一段\n\n第二段"
    page = "<textarea>一\n二</textarea><script>'一\n二'</script><!-- 一\n二 --><PRE>一\n二"
    assert unwrapped(page) == page
    assert unwrapped(page + "</pre>一\n二") == page + "</pre>一二"


def test_which_characters_are_written_without_spaces():
    """Beside the Unicode database: East_Asian_Width F, W or H but for Hangul, assigned letters and punctuation."""
    wrong = []
    for code in [*range(0x80, 0xD800), *range(0xE000, 0x10000), *range(0x20000, 0x20100)]:
        character = chr(code)
        if unicodedata.category(character)[0] not in "LPN":
            continue
        wide = unicodedata.east_asian_width(character) in "FWH" and "HANGUL" not in unicodedata.name(character, "")
        if (unwrapped(f"{character}\n{character}") == character * 2) != wide:
            wrong.append(f"{code:04x} {unicodedata.name(character, '')}")
    assert wrong == []


@pytest.mark.parametrize(
    "piece", ["中\n", "中<b>", "中<b>\n", "<b>\n", "<pre>", "<!--", "中\n \n", "<script>中", "中<a "]
)
def test_hostile_pages_are_linear(piece):
    def seconds(count):
        start = time.process_time()
        unwrapped(piece * count)
        return time.process_time() - start

    quick = max(min(seconds(20_000), seconds(20_000)), 0.01)
    assert min(seconds(80_000), seconds(80_000)) < 10 * quick


@given(st.text(st.sampled_from("中文。あ한aB1 \n\r\t<>b/“"), max_size=60))
def test_only_white_space_goes(html):
    assert unwrapped(html).translate({ord(c): None for c in " \n\r\t"}) == html.translate(
        {ord(c): None for c in " \n\r\t"}
    )
