"""Siku from Python: `from pipelines import open_run, plan, run`. The command line goes through here too.

    run = open_run(store=".siku")                      # the latest finished run of a store
    run.documents().table().to_pandas()                # what every stage kept, personal data masked
    for batch in run.verdicts("all"):                  # every rule that a document fails, streamed shard by shard
        ...
    run.tokens()["zh"]["tokens"]                       # memory-mapped, nothing is copied
    run.bits_per_byte, run.figures["funnel"]

    plan("recipe=mixed", "run.steps=20").new           # what `run` would make, and why
    run({"recipe": "mixed", "run.steps": 20})          # overrides as on the command line, or mappings

A mistake is an exception whose message names the field, the value and the way out, as the command line says it:
ConfigError, PluginError, RecipeError and PlanError before any work, StoreError for a store, TooEarlyError and
RestrictedError for what a run does not hold or does not show. Reading a run never writes: a read-only store will do.
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from conf.load import Cell, load, load_cell, load_cells
from conf.overrides import written
from conf.schema import WHERE
from conf.search import ConfigError, Search, search
from pipelines.graph.imported import start_from as start_from
from pipelines.graph.keep_record import keep_record
from pipelines.graph.plan import make_plan
from pipelines.graph.records import store_root
from pipelines.graph.run import Session, run_plan
from pipelines.graph.stage_log import StageLog
from pipelines.graph.where import Site
from pipelines.launch.chain import elsewhere, refuse_cluster
from pipelines.past.history import History, histories
from pipelines.past.history import open_run as open_history
from pipelines.past.samples import printable

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

    from pipelines.past.explain import Explanation
    from pipelines.past.export import Format, What
    from pipelines.past.outlook import Outlook
    from pipelines.past.sweep import Sweep
    from pipelines.past.tables import Rows, Side

Overrides = str | Mapping[str, Any]
Say = Callable[[str], None]


def tell(text: str) -> None:
    """Lines of progress on standard error, of which a terminal obeys nothing, whoever wrote what they quote."""
    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run of a store. What it holds is read when it is asked for, and verified as it is read."""

    history: History

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.history.name

    @property
    def folder(self) -> Path:
        """Where `run.json`, `summary.json` and `report.html` lie."""
        return self.history.folder

    @property
    def report(self) -> Path:
        """Its report, one HTML file."""
        return self.folder / "report.html"

    @property
    def command(self) -> str:
        """The command that makes it."""
        return str(self.history.record["command"])

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration, every key with its value, as plain JSON values."""
        found: Mapping[str, Any] = self.history.record["config"]
        return found

    @property
    def figures(self) -> Mapping[str, Any]:
        """`summary.json`: stages, funnel, documents, tokens, training, bits per byte. Raises StoreError."""
        return self.history.summary

    @property
    def bits_per_byte(self) -> dict[str, float]:
        """Of the held-out documents, by language; empty for a run that did not evaluate."""
        scores = self.figures["validation"]["bits_per_byte"]
        return {name: score["model"] for name, score in scores.items() if score["model"] is not None}

    def documents(self, side: "Side" = "train", *, raw: bool = False) -> "Rows":
        """Documents that every stage kept: id, url, source, licence, record, language, side, tokens, text.

        Personal data is masked in texts, URLs and records; `raw` gives the text as extracted and everything as it was.
        `side` is "train", "held_out" or "all". Raises TooEarlyError where the run has no documents yet.
        """
        from pipelines.past.tables import Side, documents

        _check("side", side, Side)
        return documents(self.history, side, raw=raw)

    def verdicts(self, side: "Side" = "train") -> "Rows":
        """Every rule that a document fails: stage, side, id, rule, reason, first, value, threshold, keeper.

        `first` marks the reason counted in the funnel. Raises TooEarlyError.
        """
        from pipelines.past.tables import Side, verdicts

        _check("side", side, Side)
        return verdicts(self.history, side)

    def tokens(self, side: "Side" = "train", *, raw: bool = False) -> "dict[str, pa.Table]":
        """Token shards by component, memory-mapped: `id` (16 bytes), `bytes` of the text, `tokens` ending in EOD.

        Raises TooEarlyError, and RestrictedError for tokens of texts that no edit has masked, unless `raw`.
        """
        from pipelines.past.tables import Side, token_shards

        _check("side", side, Side)
        return token_shards(self.history, side, raw=raw)

    def tokenizer(self) -> "Tokenizer":
        """What tokens are read with: `run.tokenizer().decode(ids)`. Raises TooEarlyError."""
        from pipelines.past.tables import tokenizer

        return tokenizer(self.history)

    def explain(
        self, *, doc: str | None = None, step: int | None = None, rule: str | None = None, raw: bool = False
    ) -> "Explanation":
        """Why a document was kept or dropped, what a training step saw, or what a rule drops: one of the three.

        A document is named by its URL in any spelling, `source:record`, its file, or the beginning of its hex id.
        """
        from pipelines.past.explain import explain

        return explain(self.history, doc=doc, step=step, rule=rule, raw=raw)

    def export(
        self, what: "What", form: "Format", to: str | Path, side: "Side" = "train", *, raw: bool = False
    ) -> dict[str, Any]:
        """Write "documents", "verdicts" or "tokens" as "parquet" or "jsonl" to a new folder; what `export.json` says.

        `datasets.load_dataset(to)` reads it. Raises ExportError, TooEarlyError, RestrictedError, StoreError.
        """
        from pipelines.past.export import Format, What, export
        from pipelines.past.tables import Side

        for field, value, choices in (("what", what, What), ("form", form, Format), ("side", side, Side)):
            _check(field, value, choices)
        return export(self.history, what, form, Path(to), side, raw=raw)

    def export_model(self, to: str | Path) -> dict[str, Any]:
        """Write the trained model, its tokenizer and its card to a new folder; what `export.json` says.

        `transformers.AutoModelForCausalLM.from_pretrained(to)` reads it. Raises ExportError, StoreError.
        """
        from pipelines.past.export_model import export_model

        return export_model(self.history, Path(to))


def runs(store: str | Path | None = None) -> list[FinishedRun]:
    """Every finished run of a store, newest first; a damaged one is passed over, with a warning."""
    return [FinishedRun(history) for history in histories(_root(store))]


def open_run(name: str = "", store: str | Path | None = None) -> FinishedRun:
    """A finished run by name, the latest by default; `store` is the folder that `site.store` names, else its default.

    Raises NoRunError for a store without runs, and for a name that it has not, naming those it has.
    """
    return FinishedRun(open_history(_root(store), name))


def _root(store: str | Path | None) -> Path:
    return store_root(Site().store if store is None else store)


def run(
    *overrides: Overrides, config_dir: str | Path | None = None, say: Say = tell, verbose: bool = False
) -> FinishedRun:
    """Make whatever a configuration misses, up to bits per byte and a report; reused where it is there.

    `overrides` are those of the command line ("recipe=mixed", "run.steps=20", "~key", "@file.yaml") and mappings
    (`{"run.steps": 20}`, nested or dotted); `config_dir` is a folder of one's own groups, by default the environment's
    SIKU_CONFIG. `say` takes lines of progress, of every stage by itself where `verbose`.

    Raises ConfigError, PluginError, RecipeError or PlanError before any work, what a stage raised, NothingLeftError
    where a recipe has kept no document at its own end, and HandedOver where the configuration's cluster goes on.
    """
    started, where = time.monotonic(), search(config_dir)
    cell = load_cell(_texts(overrides, where), where)
    command = _command(cell, where)
    others = elsewhere(cell.config, command)
    session = run_plan(cell.config, StageLog(say, verbose=verbose), shlex.join(command), others)
    seconds = time.monotonic() - started
    folder, changed = keep_record(session, command, cell.record(), seconds, _finish)
    if not changed:
        say(f"nothing to do: all {len(session.done())} stages are reused, in {seconds:.1f} s")
    done = open_run(folder.name, session.plan.store.root)
    if not cell.config.run.until:
        _refuse_nothing(done)
    return done


def _refuse_nothing(done: FinishedRun) -> None:
    """Raise NothingLeftError where a whole recipe has kept no document; its record is there to be asked."""
    if done.figures["documents"]["training"]:
        return
    from pipelines.stages.tokenize import NothingLeftError

    dropped = Counter[str]()
    for row in done.figures["funnel"]:
        dropped.update(row["dropped"])
    largest = ", ".join(f"{name} {count:,}" for name, count in dropped.most_common(6))
    raise NothingLeftError(
        f"recipe.{done.figures['funnel'][-1]['stage']}: no document is left; dropped: {largest or 'none'}. Loosen what "
        f"drops them: `siku explain --rule NAME --run {done.name}` tells how near the thresholds were"
    )


def sweep(
    *overrides: Overrides, config_dir: str | Path | None = None, say: Say = tell, verbose: bool = False
) -> "tuple[Sweep, Path]":
    """Make every cell of an ablation (`"train.seed=1,2"`) as one graph; its table, and the page that shows it.

    Raises what `run` does, and RecipeError for cells that cannot be compared.
    """
    from pipelines.graph.multirun import multirun
    from pipelines.past.sweep import Sweep, cell_of
    from pipelines.report.sweep import write_sweep

    where = search(config_dir)
    given = _texts(overrides, where)
    cells = _cells(given, where)
    for cell in cells:
        refuse_cluster(cell.config)
    made = multirun(cells, [_command(cell, where) for cell in cells], StageLog(say, verbose=verbose), _finish)
    root = Path(cells[0].config.site.store)
    command = shlex.join(["siku", *_folder(where), "run", "-m", *given])
    each = tuple(cell_of(root, run.name, cell.swept) for run, cell in zip(made.runs, cells, strict=True))
    table = Sweep(made.folder.name, command, time.time(), each)
    return table, write_sweep(made.folder, table)


def plan(*overrides: Overrides, config_dir: str | Path | None = None) -> "Outlook":
    """What `run` would do with these overrides, and what it would cost: reads records and manifests, no data.

    Raises ConfigError, PluginError, RecipeError and PlanError for what `run` would refuse.
    """
    from pipelines.past.outlook import outlook

    where = search(config_dir)
    return outlook(make_plan(load(_texts(overrides, where), where)))


def plan_sweep(
    *overrides: Overrides, config_dir: str | Path | None = None
) -> "tuple[list[Mapping[str, str]], list[Outlook]]":
    """What `sweep` would do: each cell's values of the swept keys, and its outlook."""
    from pipelines.past.outlook import outlooks

    where = search(config_dir)
    cells = _cells(_texts(overrides, where), where)
    return [cell.swept for cell in cells], outlooks([make_plan(each.config, n) for n, each in enumerate(cells, 1)])


def _check(field: str, value: str, choices: Any) -> None:  # noqa: ANN401 - a Literal
    if value not in get_args(choices):
        raise ValueError(f"{field}={value!r} is none of {', '.join(map(repr, get_args(choices)))}")


def _texts(overrides: Sequence[Overrides], where: Search) -> list[str]:
    """Overrides as the command line has them, so that the record's command gives the same run."""
    for each in overrides:
        if not isinstance(each, str | Mapping):
            raise TypeError(f'{each!r} is no override: give each by itself, as in plan("source=jsonl"), or a mapping')
    return [text for each in overrides for text in ([each] if isinstance(each, str) else written(each, where))]


def _cells(given: Sequence[str], where: Search) -> list[Cell]:
    """The cells of a sweep. Raises ConfigError for one over keys that say where a run happens."""
    cells = load_cells(given, where)
    for key in cells[0].swept:
        top = key.partition(".")[0]
        if top in WHERE - {"run"} and not cells[0].config.run.repeat:
            raise ConfigError(
                f"a sweep over {key} repeats one result, for {top} says where a run happens, not "
                "what it is: set run.repeat=true if the repetition is meant"
            )
    return cells


def _command(cell: Cell, where: Search) -> list[str]:
    """The exact command that gives a cell, wherever its configuration folder was named."""
    return ["siku", *_folder(where), "run", *cell.given.overrides]


def _folder(where: Search) -> list[str]:
    return ["--config-dir", str(where.own)] if where.own else []


def _finish(session: Session, folder: Path, record: Mapping[str, Any], seconds: float) -> None:
    """Write the report of a run; its modules are loaded only where there is one to write."""
    from pipelines.report.report import finish

    finish(session, folder, record, seconds)
