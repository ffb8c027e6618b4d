"""What `siku plan` prints: of one configuration every stage, of a sweep every cell and what cells share."""

from collections.abc import Iterator, Mapping, Sequence

from pipelines.past.outlook import Cost, Outlook, Planned, cost
from pipelines.past.sweep import heads


def lines(outlook: Outlook) -> Iterator[str]:
    """Every stage, read in place, reused, or new and why; then the cost."""
    for stage in outlook.stages:
        yield f"{stage.name:<22} {stage.digest[:12]}  {_fate(stage)}"
    if not outlook.complete:
        yield "what follows the crawl is known once its snapshot is sealed"
    yield from (_trains(stage) for stage in outlook.new if stage.memory is not None)
    yield _told(cost(outlook.new), outlook.bytes_free)


def _fate(stage: Planned) -> str:
    if stage.kind == "files":  # a user's own: nothing of them is in the store
        return "read in place"
    return "reused" if stage.reused else f"new: {stage.why}"


def _trains(stage: Planned) -> str:
    """What training takes: FLOPs in all, and bytes on the rank that holds most."""
    held = stage.memory
    if held is None:
        return ""
    parts = ("weights", "gradients", "optimizer", "activations")
    shares = ", ".join(f"{part} {_size(getattr(held, part))}" for part in parts)
    return f"{stage.name}: {stage.flops:.3g} FLOPs; a rank holds {_size(held.total)} ({shares}) besides the libraries"


def _size(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def cell_lines(swept: Sequence[Mapping[str, str]], outlooks: Sequence[Outlook]) -> Iterator[str]:
    """A line a cell; the new stages once each, with the cells that need them; then the cost of all."""
    names = heads(list(dict.fromkeys(key for cell in swept for key in cell)))
    settings = [" ".join(f"{names[key]}={value}" for key, value in cell.items()) for cell in swept]
    needs: dict[str, list[int]] = {}
    planned: dict[str, Planned] = {}
    for number, outlook in enumerate(outlooks, 1):
        for stage in outlook.new:
            needs.setdefault(stage.digest, []).append(number)
            planned.setdefault(stage.digest, stage)
    width = max(len(setting) for setting in settings)
    for number, (setting, outlook) in enumerate(zip(settings, outlooks, strict=True), 1):
        shared = sum(needs[stage.digest][0] < number for stage in outlook.new)
        reused = sum(stage.reused and stage.kind != "files" for stage in outlook.stages)
        line = f"{reused} reused, {len(outlook.new) - shared} new"
        yield f"cell {number}  {setting:<{width}}  {line}" + (f", {shared} shared with cells before" if shared else "")
    for digest, stage in planned.items():
        cells = ", ".join(map(str, needs[digest])) if len(needs[digest]) < len(outlooks) else "all"
        yield f"{stage.name:<22} {digest[:12]}  new for {cells}: {stage.why}"
    if not all(outlook.complete for outlook in outlooks):
        yield "what follows the crawl is known once its snapshot is sealed"
    yield _told(cost([stage for outlook in outlooks for stage in outlook.new]), outlooks[0].bytes_free)


def _told(cost: Cost, free: int) -> str:
    line = f"to be written: about {cost.bytes / 1e6:.1f} MB"
    if cost.steps:
        line += f" and the checkpoints; to be trained: {cost.tokens:,} tokens in {cost.steps:,} steps"
    if cost.seconds:
        line += f"; about {_duration(cost.seconds)}, as these stages last took here"
    return f"{line}; free: {free / 1e6:,.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
