"""Expressions that wait for their first use do what those of `re` do."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.pattern import pattern

USED = "import re\nimport conf.schema\nimport corpus.pii\nprint(any('身份证' in str(key[1]) for key in re._cache))"


@given(st.sampled_from([r"(\d+)(?P<x>[年月])?", "[一-鿿]+", r"\b(a)|(b)\b"]), st.text("aAbB 0一年月", max_size=20))
def test_it_is_the_compiled_expression(source: str, text: str) -> None:
    mine, known = pattern(source, re.IGNORECASE), re.compile(source, re.IGNORECASE)
    for _ in range(2):  # before and after it has been compiled
        assert [m.span() for m in mine.finditer(text)] == [m.span() for m in known.finditer(text)]
    assert mine.sub("<>", text) == known.sub("<>", text) and mine.groupindex == known.groupindex
    assert (mine.pattern, mine.flags) == (known.pattern, known.flags)


def test_a_wrong_expression_is_told_at_its_first_use() -> None:
    with pytest.raises(re.error, match="unterminated"):
        pattern("[").search("x")


def test_a_plan_compiles_none_of_them() -> None:
    assert subprocess.run([sys.executable, "-c", USED], capture_output=True, text=True, check=True).stdout == "False\n"
