"""The filter stage: verdicts and ledger beside a loop over documents as dictionaries."""

import math

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from corpus.filters import LanguageRule, RangeRule
from pipelines.stages.filter import PROGRAM, FilterStage
from tests.pipelines.stages import small

LENGTH = pa.schema([pa.field("bytes", pa.int64(), nullable=False), pa.field("share", pa.float64(), nullable=False)])
LANGUAGE = pa.schema(
    [pa.field("language", pa.string(), nullable=False), pa.field("score", pa.float64(), nullable=False)]
)
CODES = {"zh": "zh", "zh-Hant": "zh", "en": "en", "other": "ru", "mixed": "en"}

bounds = st.dictionaries(st.sampled_from(["zh", "en", "other"]), st.floats(0, 1), min_size=1)


def measured(rows: list[small.Row], seed: int) -> list[small.Row]:
    """Rows with what is measured of them; some shares are NaN, as of documents without a word."""
    return [
        row
        | {"bytes": len(row["text"].encode()), "share": (at * 37 + seed) % 101 / 100 if at % 13 else math.nan}
        | {"language": CODES[row["kind"]], "score": (at * 11 + seed) % 97 / 96}
        for at, row in enumerate(rows)
    ]


def bound(limits: dict[str, float], language: str, absent: float) -> float:
    return limits.get(language, limits.get("other", absent))


def failing(row: small.Row, rules: dict[str, LanguageRule | RangeRule]) -> list[tuple[str, float, float]]:
    """Rules that a document fails, in their order: name, value, threshold."""
    out = []
    for name, rule in sorted(rules.items(), key=lambda each: (each[1].order, each[0])):
        language = row["language"]
        if isinstance(rule, LanguageRule):
            limit = bound(rule.minimum, language, 0.0) if language in rule.languages else 1.0
            if language not in rule.languages or row["score"] < limit:
                out.append((name, row["score"], limit))
            continue
        value = float(row[rule.column.partition(".")[2]])
        low, high = bound(rule.minimum, language, -math.inf), bound(rule.maximum, language, math.inf)
        below = low > -math.inf and not value >= low  # what could not be measured fails a side that is bounded
        if below or (high < math.inf and not value <= high):
            out.append((name, value, low if below else high))
    return out


@small.examples(4)
@given(st.data())
def test_verdicts_and_ledger_are_those_of_a_loop_over_documents(store, data):
    root, seed = store(), data.draw(st.integers(0, 1 << 32))
    rows = measured(small.documents(seed), seed % 1000)
    rules = {
        "长": RangeRule(order=data.draw(st.integers(0, 3)), column="length.bytes", minimum={"zh": 60, "other": 40}),
        "share": RangeRule(order=1, column="length.share", maximum=data.draw(bounds)),
        "语言": LanguageRule(order=2, languages=["zh", "en"], minimum=data.draw(bounds)),
    }
    side = {row["id"]: (0, 0, 0, 1, 2)[at % 5] for at, row in enumerate(rows)}
    train = {identifier for identifier, where in side.items() if where == 0}
    early = {row["id"] for at, row in enumerate(rows) if at % 7 == 0} & train
    edition = small.edition(root, rows)
    inputs = {
        "edition": edition,
        "sides": small.sides(root, rows, side),
        "verdict.00": small.verdicts(root, rows, train, early),
        "measure.length": small.measure(root, edition, rows, LENGTH),
        "measure.language": small.measure(root, edition, rows, LANGUAGE),
    }
    judged = small.made(root, PROGRAM, FilterStage(input="x", rules=rules), inputs)
    came, wanted, dropped = train - early, [], {name: set() for name in rules}
    for shard in small.by_shard(rows):
        for at, row in enumerate(shard):
            fails = failing(row, rules) if row["id"] in came else []
            for index, (name, value, threshold) in enumerate(fails):
                wanted.append((row["id"], at, f"{name}@1", name, index == 0, value, threshold, None))
            if fails:
                dropped[fails[0][0]].add(row["id"])
    assert str([tuple(row.values()) for row in judged.rows("verdicts")]) == str(wanted)
    assert any(at >= 4096 for _, at, *_ in wanted)
    small.reconciled(judged.artifact.tally, came, came - set.union(*dropped.values()), dropped)
    assert judged.artifact.figures == {"edition": edition.stage.digest}
