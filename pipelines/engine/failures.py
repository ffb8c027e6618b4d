"""Failures of items, written down where the parent of a worker finds them."""

import json
import os
import traceback

from pipelines.engine.stage import Job


class ItemFailedError(RuntimeError):
    """An item raised. `trace` is that worker's own traceback; the engine's is left out."""

    def __init__(self, where: str, message: str, trace: str) -> None:
        super().__init__(f"{where}: {message}")
        self.trace = trace


def note_failure(job: Job, item: str, error: BaseException) -> bool:
    """Leave a worker's traceback where the parent finds it; False if that cannot be written."""
    folder = job[0].directory / "failures"
    body = {"message": f"{type(error).__name__}: {error}", "trace": "".join(traceback.format_exception(error))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{item}.{os.getpid()}"
        temporary.write_text(json.dumps(body))
        temporary.replace(folder / f"{item}.json")
    except OSError:  # the disk is full: the engine has to carry the error
        return False
    return True


def failed_already(job: Job) -> bool:
    """Whether some item of this phase has failed, so that no other need be begun."""
    return any((job[0].directory / "failures").glob("*.json"))


def first_failure(job: Job, phase: str) -> ItemFailedError | None:
    """The failure that came first, if any."""
    paths = sorted((job[0].directory / "failures").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    if not paths:
        return None
    body = json.loads(paths[0].read_text())
    return ItemFailedError(f"{job[0].kind} {phase} {paths[0].stem}", body["message"], body["trace"])
