"""Published units beside datatrove 0.10.1 and spaCy: words, and what each rule drops of pages that they judged.

tests/data/datatrove/pages.jsonl was written by flags.py beside it: pages of LibreOffice's help (MPL-2.0) and lists.
"""

import json
from pathlib import Path

import pytest

from corpus.measures import Published
from corpus.measures.published import words
from tests.benchmarks.agreement import RULES, dropped, measured

PAGES = Path(__file__).parents[1] / "data" / "datatrove" / "pages.jsonl"
# spaCy's words, parted by spaces.
SENTENCES = {
    "Don't panic: it's the user's well-known e-mail, isn't it?": (
        "Do n't panic : it 's the user 's well - known e - mail , is n't it ?"
    ),
    "Open https://example.org/a?b=1 and press Ctrl+A/Ctrl+C (see p. 3).": (
        "Open https://example.org/a?b=1 and press Ctrl+A / Ctrl+C ( see p. 3 ) ."
    ),
    'He said "Stop!" and left... then 3.14 of 1,000 (50%) files.': (
        'He said " Stop ! " and left ... then 3.14 of 1,000 ( 50 % ) files .'
    ),
    "end.Next and/or one,two x=1 a:b 10-12 $5 #tag U.S.A. Mr. O'Neil": (
        "end . Next and/or one , two x=1 a : b 10 - 12 $ 5 # tag U.S.A. Mr. O'Neil"
    ),
    "[1] {x} <y> a_b file.txt -v --all 'quoted' “curly” it’s don’t we'll": (
        "[ 1 ] { x } < y > a_b file.txt -v --all ' quoted ' “ curly ” it ’s do n’t we 'll"
    ),
    "": "",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_english_words_are_spacys(text):
    assert words(text, chinese=False) == SENTENCES[text].split()


def test_chinese_words_are_jiebas():
    text = "他来到了网易杭研大厦，南京市长江大桥。 数字"
    assert words(text, chinese=True) == "他 来到 了 网易 杭研 大厦 ， 南京市 长江大桥 。 数字".split()


def test_every_rule_drops_what_datatrove_drops():
    pages = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    flags = dropped(measured([page["text"] for page in pages], Published()))
    assert {rule for page in pages for rule in page["dropped"]} == set(RULES)
    for row, page in enumerate(pages):
        assert [rule for rule in flags if flags[rule][row]] == [rule for rule in flags if rule in page["dropped"]]
