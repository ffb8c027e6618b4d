"""Text in two scripts and hostile text, for property tests of everything that reads text."""

from hypothesis import strategies as st

ENGLISH = [
    "the",
    "be",
    "to",
    "of",
    "and",
    "that",
    "have",
    "with",
    "Click",
    "OK.",
    '"Save',
    'As..."',
    "It's",
    "3.14,",
    "e.g.",
    "file.txt!",
    "(see",
    "A-Z)",
    "can't",
    "{x}",
    "#",
    "…",
    "fuck",
    "ass\n\n-",
    "item\n•",
    "item\nline",
    "one.\nline",
    "one.\n",
]
CHINESE = [
    *"的年在月是和日了中为，。！？；：“”「」《》（）…、\n　々〇ー",
    "他妈的",
    "单元格",
    "繁體為與後",
    "１２３ＡＢＣ",
    "函数。\n",
]
HOSTILE = [
    *"\x00\x01\x1f\x7f\x85\xa0\xad\u0301\u0345\u034f\u061f\u06d4\u0964\u0e01\u0e31\u1100\u1161\u11a8\u115f\u1160"
    "\u200b\u200c\u200d\u200e\u2019\u2028\u2029\u202e\u2060\u20dd\u3000\u3099\u309b\u30fb\u3164\u312a\uac00\ue000\uf900"
    "\ufe0f\ufeff\uff61\uff66\uff9e\uffa0\ufffc\ufffd\ufffe\uffff\U0001f468\U0001f3fd\U00020000\U0002ebf0\U000e0100\U0010ffff",
    "e\u0301",
    "\r\n",
    "...",
    "....",
    "'''",
    "..a..b",
    "a.",
    ".a",
    "  ",
    "\t",
    "_",
    "a'b'c",
    "ß",
    "İ",
    "K",
    "ﬁ",
    "ῼ",
]

pieces = st.one_of(st.sampled_from(ENGLISH), st.sampled_from(CHINESE), st.sampled_from(HOSTILE), st.just(" "))
composed = st.lists(pieces, max_size=60).map("".join)
spaced = st.lists(st.one_of(st.sampled_from(ENGLISH), st.sampled_from(CHINESE)), max_size=60).map(" ".join)
characters = st.characters(exclude_categories=("Cs",))
texts = st.one_of(composed, spaced, st.text(characters, max_size=80), st.just(""))
batches = st.lists(texts, max_size=6)
