"""Published thresholds and numbers of identity, written down once more: a slip in a YAML file or table is seen.

Sources: Gopher (Rae et al. 2021, arXiv:2112.11446, A.1.1, table A1); FineWeb, datatrove examples/fineweb.py and
filters/gopher_quality_filter.py; FineWeb-2, configs/cmn_Hani.yml; MAP-NEO, filter.py; GB/T 2260 and GB 11643.
"""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

import conf
from corpus.filters import AnyRule
from corpus.normalize import normalized
from corpus.pii import personal_data
from corpus.rule import ordered

FILTERS = Path(conf.__file__).parent / "filters"

GOPHER = {
    "words": ("length.words", {"other": 50}, {"other": 100_000}),
    "word_length": ("quality.mean_word_length", {"other": 3, "zh": 1, "ja": 1}, {"other": 10, "zh": 100, "ja": 100}),
    "hashes": ("quality.hashes", {}, {"other": 0.1}),
    "ellipses": ("quality.ellipses", {}, {"other": 0.1}),
    "bullet_lines": ("quality.bullet_lines", {}, {"other": 0.9}),
    "ellipsis_lines": ("quality.ellipsis_lines", {}, {"other": 0.3}),
    "alphabetic_words": ("quality.alphabetic_words", {"other": 0.8}, {}),
    "stop_words": ("quality.stop_words", {"other": 2}, {}),
    "duplicate_lines": ("repetition.duplicate_lines", {}, {"other": 0.3}),
    "duplicate_paragraphs": ("repetition.duplicate_paragraphs", {}, {"other": 0.3}),
    "duplicate_line_characters": ("repetition.duplicate_line_characters", {}, {"other": 0.2}),
    "duplicate_paragraph_characters": ("repetition.duplicate_paragraph_characters", {}, {"other": 0.2}),
    **{f"top_{n}": (f"repetition.top_{n}", {}, {"other": most}) for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"duplicate_{n}": (f"repetition.duplicate_{n}", {}, {"other": round(0.2 - n / 100, 2)}) for n in range(5, 11)},
}
ZH_REPEATS = (0.198, 0.182, 0.167, 0.154, 0.14, 0.127)  # FineWeb-2's n-grams of 5 to 10
FINEWEB = {
    "words": GOPHER["words"],
    "word_length": ("quality.mean_word_length", {"en": 3, "other": 1}, {"other": 10, "zh": 100}),
    **{name: GOPHER[name] for name in ("hashes", "ellipses", "bullet_lines", "ellipsis_lines", "stop_words")},
    "alphabetic_words": ("quality.alphabetic_words", {"zh": 0.735, "other": 0.8}, {}),
    "duplicate_lines": ("repetition.duplicate_lines", {}, {"zh": 0.287, "other": 0.3}),
    "top_2": ("repetition.top_2", {}, {"zh": 0.256, "other": 0.2}),
    "top_3": ("repetition.top_3", {}, {"zh": 0.201, "other": 0.18}),
    "top_4": ("repetition.top_4", {}, {"zh": 0.171, "other": 0.16}),
    **{
        f"duplicate_{n}": (f"repetition.duplicate_{n}", {}, {"zh": zh, "other": round(0.2 - n / 100, 2)})
        for n, zh in enumerate(ZH_REPEATS, 5)
    },
    "sentences": ("length.sentences", {"en": 5}, {}),  # C4
    "brackets": ("quality.brackets", {}, {"en": 0}),  # C4
    "terminal_lines": ("quality.terminal_lines", {"zh": 0.106, "other": 0.12}, {}),
    "short_lines": ("quality.short_lines", {}, {"en": 0.67}),
    "duplicate_line_characters": ("repetition.duplicate_line_characters", {}, {"other": 0.1}),  # FineWeb .01, declared
    "newlines": ("quality.newlines", {}, {"zh": 0.178, "other": 0.3}),
}
# What the file marks `own` differs from the published value beside it.
BILINGUAL = {
    "words": ("length.words", {"en": 32, "zh": 48, "other": 50}, {"other": 100_000}),
    "word_length": ("quality.mean_word_length", {"en": 2.5, "other": 1}, {"other": 10, "zh": 100}),
    **{name: GOPHER[name] for name in ("hashes", "ellipses", "bullet_lines", "ellipsis_lines")},
    "alphabetic_words": FINEWEB["alphabetic_words"],
    "stop_words": ("quality.stop_words", {"en": 2, "zh": 1, "other": 0}, {}),
    "digits": ("quality.digits", {}, {"other": 0.3}),  # MAP-NEO
    "replacements": ("quality.replacements", {}, {"other": 3}),
    "terminal_lines": ("quality.terminal_lines", {"other": 0.02}, {}),
    "duplicate_lines": ("repetition.duplicate_lines", {}, {"zh": 0.4, "other": 0.4}),
    "duplicate_line_characters": GOPHER["duplicate_line_characters"],
    **{name: FINEWEB[name] for name in ("top_2", "top_3")},
    "duplicate_5": ("repetition.duplicate_5", {}, {"zh": 0.36, "other": 0.36}),
    "duplicate_10": ("repetition.duplicate_10", {}, {"zh": 0.27, "other": 0.25}),
}
YUE_REPEATS = (0.241, 0.241, 0.241, 0.241, 0.241, 0.17)  # yue_Hani.yml, of which the first and last are known
FINEWEB2 = FINEWEB | {
    "word_length": ("quality.mean_word_length", {"en": 3, "other": 1}, {"other": 10, "zh": 100, "yue": 100}),
    "alphabetic_words": ("quality.alphabetic_words", {"zh": 0.735, "yue": 0.735, "other": 0.8}, {}),
    "duplicate_lines": ("repetition.duplicate_lines", {}, {"zh": 0.287, "yue": 0.442, "other": 0.3}),
    "top_2": ("repetition.top_2", {}, {"zh": 0.256, "yue": 1, "other": 0.2}),
    "top_3": ("repetition.top_3", {}, {"zh": 0.201, "yue": 0.854, "other": 0.18}),
    "top_4": ("repetition.top_4", {}, {"zh": 0.171, "yue": 0.623, "other": 0.16}),
    **{
        f"duplicate_{n}": (f"repetition.duplicate_{n}", {}, {"zh": zh, "yue": yue, "other": round(0.2 - n / 100, 2)})
        for n, zh, yue in zip(range(5, 11), ZH_REPEATS, YUE_REPEATS, strict=True)
    },
    "terminal_lines": ("quality.terminal_lines", {"zh": 0.106, "yue": 0.106, "other": 0.12}, {}),
    "duplicate_line_characters": ("repetition.duplicate_line_characters", {}, {"en": 0.01, "other": 0.1}),
    "newlines": ("quality.newlines", {}, {"zh": 0.178, "yue": 0.178, "other": 0.3}),
}
FINEWEB2 = {name: bounds for name, bounds in FINEWEB2.items() if name not in ("sentences", "brackets")}  # no C4
C4 = {
    "sentences": ("length.sentences", {"other": 5}, {}),
    "brackets": ("quality.brackets", {}, {"other": 0}),
    "lorem_ipsum": ("quality.lorem_ipsum", {}, {"other": 0}),
}
MNBVC = {
    "chinese_share": ("language.han", {"other": 0.7}, {}),
    "words": ("length.words", {"other": 10}, {}),
    "replacements": ("quality.replacements", {}, {"other": 0}),
}
WORKS = {
    "words": ("length.words", {"en": 4, "other": 8}, {}),
    "alphabetic_words": ("quality.alphabetic_words", {"other": 0.5}, {}),
    "digits": ("quality.digits", {}, {"other": 0.5}),
    "replacements": ("quality.replacements", {}, {"other": 0}),
    "duplicate_lines": ("repetition.duplicate_lines", {}, {"other": 0.6}),
}
ROOTS = {
    "words": ("length.words", {"en": 20, "zh": 1}, {"en": 100_000, "zh": 1_000_000}),
    "character_repetition": ("survey.character_repetition", {}, {"en": 0.106, "zh": 0.2}),
    "word_repetition": ("survey.word_repetition", {}, {"en": 0.19, "zh": 0.96}),
    "special_characters": ("survey.special_characters", {}, {"en": 0.4, "zh": 0.3}),
    "flagged_words": ("toxicity.share", {}, {"en": 0.01, "zh": 0.001}),
}
MAP_NEO = {
    "characters": ("length.characters", {"other": 50}, {"other": 10_000}),
    "sentences": ("length.sentences", {"other": 2}, {}),
    "word_length": ("published.mean_word_length", {"other": 1.3}, {"other": 10}),
    "hashes": ("published.hashes", {}, {"other": 0.1}),
    "ellipses": ("published.ellipses", {}, {"other": 0.1}),
    "digits": ("quality.digits", {}, {"other": 0.3}),
    "ellipsis_lines": ("published.ellipsis_lines", {}, {"other": 0.3}),
    "bullet_lines": ("published.bullet_lines", {}, {"other": 0.9}),
    "lenticular_brackets": ("survey.lenticular_brackets", {}, {"other": 0.1}),
    "punctuation": ("quality.punctuation", {"other": 0.000001}, {}),  # more than none
    "unique_characters": ("survey.unique_characters", {"other": 0.1}, {}),
    "entropy": ("survey.entropy", {"other": 3}, {}),
    **{f"top_{n}": (f"published.top_{n}", {}, {"other": most}) for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"duplicate_{n}": (f"published.duplicate_{n}", {}, {"other": 0.6}) for n in range(5, 11)},
}
CHINESEWEBTEXT = {
    "characters": ("length.characters", {"other": 200}, {}),
    "mean_line": ("survey.mean_line", {"other": 10}, {}),
    "chinese_share": ("language.han", {"other": 0.3}, {}),
    "repeated_13": ("survey.repeated_13", {}, {"other": 0.5}),
}
OWN = {"length.words", "quality.mean_word_length"} | {
    f"quality.{name}"
    for name in (
        *("hashes", "ellipses", "alphabetic_words", "stop_words", "bullet_lines", "ellipsis_lines", "terminal_lines"),
        *("short_lines", "newlines"),
    )
}


def published(rules):
    """The same bounds on what datatrove counts."""
    return {
        name: (
            f"published.{column.partition('.')[2]}" if column in OWN or "repetition" in column else column,
            low,
            high,
        )
        for name, (column, low, high) in rules.items()
    }


GOPHER_PUBLISHED = published(GOPHER) | {"word_length": ("published.mean_word_length", {"other": 3}, {"other": 10})}
FINEWEB_PUBLISHED = published(FINEWEB) | {
    "word_length": ("published.mean_word_length", {"en": 3, "other": 1}, {"en": 10, "zh": 5, "other": 10}),
    "duplicate_line_characters": ("published.text_line_characters", {}, {"en": 0.01, "other": 0.1}),
}
SETS = {
    "gopher_published": GOPHER_PUBLISHED,
    "fineweb_published": FINEWEB_PUBLISHED,
    "gopher": GOPHER,
    "fineweb": FINEWEB,
    "fineweb2": FINEWEB2,
    "bilingual": BILINGUAL,
    "c4": C4,
    "clue": {name: C4[name] for name in ("brackets", "lorem_ipsum")},
    "mnbvc": MNBVC,
    "works": WORKS,
    "roots": ROOTS,
    "map_neo": MAP_NEO,
    "chinesewebtext": CHINESEWEBTEXT,
    "refinedweb": GOPHER,
    "none": {},
}
WANTED = {
    "fineweb2": ["zh", "yue", "en"],
    "works": ["zh", "yue", "en"],
    "mnbvc": ["zh", "yue"],
    "clue": ["zh"],
    "map_neo": ["zh"],
    "chinesewebtext": ["zh"],
}
LISTED = {"chinesewebtext": {"traditional": ["Hant"]}}
LANGUAGE = {
    "fineweb2": {"zh": 0.692, "yue": 0.412, "en": 0.65},
    "c4": {"other": 0.65},
    "clue": {"other": 0.5},
    "mnbvc": {"other": 0.5},
    "works": {"other": 0.3},
    "roots": {"zh": 0.85, "en": 0.8},
    "map_neo": {"other": 0.4},
    "chinesewebtext": {"other": 0.5},
    "refinedweb": {"other": 0.65},
    "gopher": None,
    "gopher_published": None,
    "fineweb_published": {"zh": 0.692, "en": 0.65},
    "fineweb": {"zh": 0.692, "en": 0.65},  # FineWeb-2 and FineWeb
    "bilingual": {"zh": 0.45, "en": 0.45},
}


@pytest.mark.parametrize(("name", "wanted"), SETS.items())
def test_thresholds(name, wanted):
    rules = yaml.safe_load((FILTERS / f"{name}.yaml").read_text(encoding="utf-8"))
    language = rules.pop("language", None)
    assert (language and language["minimum"]) == LANGUAGE.get(name)
    assert language is None or language["languages"] == WANTED.get(name, ["zh", "en"])
    found = {
        key: (rule["column"], rule.get("minimum", {}), rule.get("maximum", {}))
        for key, rule in rules.items()
        if rule["rule"] == "range"
    }
    assert found == wanted
    listed = {key: rule["words"] for key, rule in rules.items() if rule["rule"] == "listed"}
    assert listed == LISTED.get(name, {})
    assert len(found) + len(listed) == len(rules)


def test_every_set_of_rules_is_written_down_here():
    assert {path.stem for path in FILTERS.glob("*.yaml")} == set(SETS)


STEP = 1e-6
RULES = TypeAdapter(dict[str, AnyRule])


@pytest.mark.parametrize("language", ["zh", "en", "yue"])
@pytest.mark.parametrize("name", sorted(set(SETS) - {"none"}))
def test_every_threshold_just_inside_and_just_outside(name, language):
    """One document at all bounds is kept; moved a step over any one of them it goes, for that reason alone."""
    rules = RULES.validate_python(yaml.safe_load((FILTERS / f"{name}.yaml").read_text(encoding="utf-8")))
    languages, inside, outside = np.array([language]), {}, []
    for key, (column, low, high) in SETS[name].items():
        least, most = (bounds.get(language, bounds.get("other")) for bounds in (low, high))
        inside[column] = least if least is not None else most if most is not None else 0.0
        outside += [(key, column, least - STEP)] if least is not None else []
        outside += [(key, column, most + STEP)] if most is not None else []
    score = (LANGUAGE[name] or {}).get(language, (LANGUAGE[name] or {}).get("other", 1.0))
    inside["language.score"] = score
    if LANGUAGE[name]:
        outside.append(("language", "language.score", score - STEP))
    inside |= dict.fromkeys(("language.script", "address.host"), "")
    wanted = LANGUAGE[name] is None or language in WANTED.get(name, ["zh", "en"])

    def failing(values):
        columns = {column: np.array([value]) for column, value in values.items()}
        return [key for key, rule in ordered(rules) if rule.judge(columns, languages).fails[0]]

    assert failing(inside) == ([] if wanted else ["language"])
    for key, column, value in outside:
        assert failing(inside | {column: value}) == ([key] if wanted or key == "language" else ["language", key])


def id_number(province):
    """A number of 18 characters with its check digit: ISO 7064 MOD 11-2, computed as GB 11643 words it."""
    digits = f"{province:02d}010119900307451"
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


def test_provinces_of_id_numbers():
    """GB/T 2260; 71 Taiwan, 81 Hong Kong, 82 Macao, 83 residents of Taiwan."""
    known = {
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    }
    masked = {p for p in range(10, 100) if personal_data(f"号码 {id_number(p)} 。")[:1] == [(3, 21, "id_number")]}
    assert masked == known


@pytest.mark.parametrize("extension", ["转8", "轉123", " 转 8", "-801", "x12", " ext. 5", " ext5", "转12345"])
def test_extensions_of_phones_are_masked_with_them(extension):
    text = f"电话010-62345678{extension}。"
    assert personal_data(text) == [(2, len(text) - 1, "phone")]


def test_controls_that_stay_and_go():
    """Cc but for tab and line ends, invisible formatting of words and direction, noncharacters: all others stay."""
    ends = {0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029}
    invisible = {0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF}
    invisible |= {*range(0x2066, 0x2070), 0xFFF9, 0xFFFA, 0xFFFB, 0xE0001, *range(0xE0020, 0xE0080)}
    wrong = []
    for code in [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200), 0x10FFFE, 0x10FFFF]:
        character = chr(code)
        if code in ends or unicodedata.category(character)[0] in "ZM" or code in (0x20, 0x09):
            continue
        noncharacter = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
        goes = unicodedata.category(character) == "Cc" or code in invisible or noncharacter
        if ("x" + unicodedata.normalize("NFC", character) + "x" == normalized(f"x{character}x")) == goes:
            wrong.append(f"{code:04x}")
    assert wrong == []
    assert normalized("می\u200cخواهم \U0001f468\u200d\U0001f4bb") == "می\u200cخواهم \U0001f468\u200d\U0001f4bb"
