"""What a training run has put into quarantine is kept out of another run's corpus."""

import json
from pathlib import Path

import pytest

from pipelines import door
from pipelines.graph import records
from pretrain.engine.suspects import QUARANTINE, Suspect, quarantine
from pretrain.journal import Row
from tests.end_to_end.support import Built, ok, reasons, siku, trained_ids

OUT = "recipe.quarantine={kind: quarantine, input: decontaminate, runs: {spike: %s}}"
TAKEN = "recipe.tokens.input=quarantine"


@pytest.fixture(scope="module")
def store(small: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, list[bytes]]:
    """A store whose run has listed three documents, one twice, two of them its own; a kill tore the last line."""
    store = small.copy(tmp_path_factory.mktemp("quarantine") / ".siku")
    history = store.history("small")
    chosen = [*sorted(trained_ids(history))[:2], b"\xff" * 16]
    row = Row(3, 1, 4, 6, "skipped", 99.0, 0.1, 9.0, 256, 0.1, "loss spike")
    path = history.stages["train"].directory / QUARANTINE
    for documents in (chosen, chosen[:1]):
        quarantine(path, row, [Suspect(each.hex(), "zh", 99.0, 10, float("inf")) for each in documents])
    with path.open("ab") as file:
        file.write(b'{"document": "00')
    return store, chosen


def test_listed_documents_are_dropped_with_a_reason(store: tuple[Built, list[bytes]]) -> None:
    built, chosen = store
    given = [each for each in built.arguments if not each.startswith("run.")]
    ok("run", *given, OUT % "small", TAKEN, "run.until=tokens", "run.name=without")
    before, after = built.history("small"), built.history("without")
    assert trained_ids(after) == trained_ids(before) - {*chosen}
    assert {each for each, reason in reasons(after).items() if reason == "quarantined"} == {*chosen[:2]}
    tally = after.artifact(after.stages["quarantine"]).tally
    assert {reason: count.documents for reason, count in tally.dropped.items()} == {"quarantined": 2}
    told = ok("explain", "--doc", chosen[0].hex(), "--run", "without", f"site.store={built.root}").out
    assert "quarantined" in told

    def digests(run: str) -> dict[str, str]:
        planned = door.plan(*given, OUT % run, TAKEN, "run.until=tokens")
        return {stage.name: stage.digest for stage in planned.stages}

    training = before.stages["train"]
    records.begin(built.root, "failed", "siku run", {}, [training.directory])
    planned = digests("small")
    assert planned["quarantine"] == after.stages["quarantine"].digest
    assert digests(training.digest) == digests("failed") == planned  # documents count, whoever lists them
    path = training.directory / QUARANTINE
    path.write_bytes(
        path.read_bytes().rpartition(b"\n")[0] + b"\n" + json.dumps({"document": "ab" * 16}).encode() + b"\n"
    )
    longer = digests("small")
    assert longer["quarantine"] != after.stages["quarantine"].digest
    assert longer["decontaminate"] == after.stages["decontaminate"].digest


def test_a_run_without_a_list_is_refused(small: Built, tmp_path: Path) -> None:
    for run, message in (
        ("small", "recipe.quarantine.runs.spike='small': it has put no document into quarantine"),
        ("other", r"recipe.quarantine.runs.spike='other': the store"),
    ):
        ended = siku("plan", *small.arguments, OUT % run, TAKEN)
        assert ended.code == 2 and message in ended.said, ended.said
    assert "has no training of that name; its runs are: " in ended.said
