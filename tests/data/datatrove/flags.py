"""What each of datatrove's rules drops: texts as JSON strings, a line each, from stdin; lists of rules to stdout.

Run by an interpreter that has datatrove 0.10.1 and spaCy; knows nothing of Siku.
"""

import json
import sys

import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as quality
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.utils.text import split_into_words

LAST: dict[str, list[str]] = {}


def words(text: str, language: str) -> list[str]:
    """datatrove's words, cut once a text."""
    if text not in LAST:
        LAST.clear()
        LAST[text] = split_into_words(text, language)
    return LAST[text]


for module in (fineweb, quality, repetition):
    module.split_into_words = words
LIMITS = ("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length", "max_symbol_word_ratio")
LIMITS += ("max_bullet_lines_ratio", "max_ellipsis_lines_ratio", "max_non_alpha_words_ratio", "min_stop_words")
QUALITY = dict.fromkeys(LIMITS)
SHARES = {"dup_line_frac": 0.3, "dup_para_frac": 0.3, "dup_line_char_frac": 0.2, "dup_para_char_frac": 0.2}
REPETITION = dict.fromkeys(SHARES) | {"top_n_grams": (), "dup_n_grams": ()}
FINEWEB = {"line_punct_thr": -1, "short_line_thr": 2, "char_duplicates_ratio": 2, "new_line_ratio": 1e9}
GOPHER = {
    "words": {"min_doc_words": 50, "max_doc_words": 100_000},
    "word_length": {"min_avg_word_length": 3, "max_avg_word_length": 10},
    "symbols": {"max_symbol_word_ratio": 0.1},
    "bullet_lines": {"max_bullet_lines_ratio": 0.9},
    "ellipsis_lines": {"max_ellipsis_lines_ratio": 0.3},
    "alphabetic_words": {"max_non_alpha_words_ratio": 0.8},
    "stop_words": {"min_stop_words": 2},
}
NAMES = ("duplicate_lines", "duplicate_paragraphs", "duplicate_line_characters", "duplicate_paragraph_characters")
RULES = {name: quality.GopherQualityFilter(**QUALITY | given) for name, given in GOPHER.items()}
RULES |= {
    name: repetition.GopherRepetitionFilter(**REPETITION | {key: most})
    for name, (key, most) in zip(NAMES, SHARES.items(), strict=True)
}
for n, most in ((2, 0.2), (3, 0.18), (4, 0.16)):
    RULES[f"top_{n}"] = repetition.GopherRepetitionFilter(**REPETITION | {"top_n_grams": ((n, most),)})
for n in range(5, 11):
    most = round(0.2 - n / 100, 2)
    RULES[f"duplicate_{n}"] = repetition.GopherRepetitionFilter(**REPETITION | {"dup_n_grams": ((n, most),)})
for name, given in {
    "terminal_lines": {"line_punct_thr": 0.12},
    "short_lines": {"short_line_thr": 0.67},
    "text_line_characters": {"char_duplicates_ratio": 0.01},
    "newlines": {"new_line_ratio": 0.3},
}.items():
    RULES[name] = fineweb.FineWebQualityFilter(**FINEWEB | given)

for line in sys.stdin:
    text = json.loads(line)
    print(json.dumps([name for name, rule in RULES.items() if rule.filter(Document(text=text, id="")) is not True]))
