"""Filter stage: rules over measures. It reads no text and writes none, only the ledger's rows.

Detox is a filter stage whose rules read the toxicity measure.
"""

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa

from corpus.configuration import Doc, configuration
from corpus.filters import AnyRule
from corpus.rule import Rule, ordered
from corpus.verdict import VERDICT
from pipelines.engine import roles
from pipelines.engine.identity import StageName
from pipelines.engine.stage import Context, Job, Phase, Program, Totals
from pipelines.engine.store import Attempt, sum_tallies
from pipelines.stages.shard import Mask, Shard, due, shard_phase
from pipelines.stages.verdicts import Judged, verdict_table


@configuration
class FilterStage:
    """Drops documents by thresholds on measures; every failing rule is stored, the first by `order` is the reason."""

    kind: Literal["filter"] = "filter"
    input: Annotated[StageName, Doc("the stage whose kept documents are judged")]
    rules: Annotated[dict[str, AnyRule], Doc("rules by name; the name is the reason in the funnel")]


def reads(rules: dict[str, AnyRule]) -> list[str]:
    """Names of the measures that a set of rules needs, `language` always among them."""
    return sorted({"language", *(column.partition(".")[0] for rule in rules.values() for column in rule.reads())})


def columns_of(shard: Shard, rules: dict[str, AnyRule]) -> dict[str, np.ndarray]:
    """The measured columns that rules read, by `measure.column`."""
    tables: dict[str, pa.Table] = {}
    columns: dict[str, np.ndarray] = {}
    for wanted in sorted({column for rule in rules.values() for column in rule.reads()} | {"language.language"}):
        measure, _, column = wanted.partition(".")
        if measure not in tables:
            tables[measure] = shard.measured(measure)
        columns[wanted] = tables[measure][column].to_numpy()
    return columns


def judge_rules(rules: dict[str, Rule], columns: dict[str, np.ndarray], came: Mask) -> list[Judged]:
    """Every failure of every rule among the rows that came in, rules in their order."""
    rows = np.flatnonzero(came)
    inside = {name: column[rows] for name, column in columns.items()}
    out: list[Judged] = []
    for name, rule in ordered(rules):
        judgement = rule.judge(inside, inside["language.language"])
        fails = judgement.fails
        out.append(
            Judged(f"{name}@{rule.version}", name, rows[fails], judgement.value[fails], judgement.threshold[fails])
        )
    return out


def judge_shard(shard: Shard, attempt: Attempt) -> None:
    """Verdicts of one home shard."""
    rules, came = shard.context.what.rules, shard.came_in()
    table, tally = verdict_table(shard.ids, came, judge_rules(rules, columns_of(shard, rules), came))
    attempt.shard(shard.named("verdicts"), [table], VERDICT)
    attempt.tally(tally)


def _judge(job: Job) -> Phase:
    return shard_phase("judge", job[0], judge_shard)


def _totals(context: Context) -> Totals:
    return Totals(sum_tallies(context.commits("judge").values()), {"edition": context.inputs[roles.EDITION].digest})


PROGRAM = Program("filter", 1, ("pyarrow", "numpy"), (_judge,), _totals, due=due, makes="verdicts")
