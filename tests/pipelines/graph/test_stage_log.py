"""What a run says of its stages."""

from pipelines.engine.stage import Stage
from pipelines.graph.stage_log import StageLog


def stage(name, kind="edit"):
    return Stage(name, kind, 1, {"name": name}, {}, (), str)


def session(verbose):
    said = []
    log = StageLog(said.append, verbose=verbose)
    for name in ("extract", "clean", "measure.length", "measure.exact"):
        log.reused(stage(name))
    log.reused(stage("source", "files"))
    measures = [stage(f"measure.{name}") for name in ("quality", "language")]
    for each in measures:
        log.begun(each, "first time")
    log.made(measures, 4.0, "first time")
    log.begun(stage("filter"), "recipe.filter.rules.words.minimum.zh: 48 -> 60")
    log.made([stage("filter")], 0.25, "recipe.filter.rules.words.minimum.zh: 48 -> 60")
    log.made([], 0.1, "first time")  # another process made it
    log.reused(stage("tokens"))
    log.flush()
    log.flush()
    return said


def test_a_line_a_stage_and_one_for_all_that_were_reused():
    first, *rest = session(verbose=False)
    assert first.split(maxsplit=1) == ["reused", "extract, clean, measure (2 stages)"]
    digest = stage("filter").digest[:12]
    assert [line.split(maxsplit=1) for line in rest] == [
        ["measure", "2 measures    new in 4.0 s"],
        ["filter", f"{digest}  new in 0.2 s: recipe.filter.rules.words.minimum.zh: 48 -> 60"],
        ["reused", "tokens"],
    ]


def test_verbose_tells_each_before_and_after():
    said = session(verbose=True)
    assert [line.split()[0] for line in said if line.endswith("  reused")] == [
        *("extract", "clean", "measure.length", "measure.exact", "tokens"),
    ]
    assert sum("to do: " in line for line in said) == 3 == sum("new in " in line for line in said)


def test_the_snapshot_of_a_crawl_just_made_is_not_reused():
    said = []
    log = StageLog(said.append)
    log.made([stage("source", "crawl")], 9.0, "first time")
    log.reused(stage("source", "snapshot"))
    log.flush()
    assert len(said) == 1
    other = StageLog(said.append)
    other.reused(stage("source", "snapshot"))
    other.flush()
    assert len(said) == 2
