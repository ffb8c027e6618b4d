"""Failures of items, written down where the parent of a worker finds them."""

import json
import sys
import traceback

from pipelines.engine.files import Listed, StoreError
from pipelines.engine.stage import Job

_FOLDER = "failures"


class ItemFailedError(RuntimeError):
    """An item raised. `trace` is that worker's own traceback; the engine's is left out."""

    def __init__(self, where: str, message: str, trace: str) -> None:
        super().__init__(f"{where}: {message}")
        self.trace = trace


def says_all(error: BaseException) -> bool:
    """Whether a message needs no traceback: our own classes name what is wrong and the way out."""
    package = sys.modules.get(type(error).__module__.partition(".")[0])
    return getattr(package, "PART_OF", None) == "siku"


def note_failure(job: Job, item: str, error: BaseException) -> bool:
    """Leave a worker's traceback where the parent finds it; False if that cannot be written."""
    trace = "" if says_all(error) else "".join(traceback.format_exception(error))
    body = {"message": f"{type(error).__name__}: {error}", "trace": trace}
    try:
        job[0].files.put(f"{_FOLDER}/{item}.json", json.dumps(body).encode())
    except (StoreError, OSError):  # the disk takes nothing more: the engine has to carry the error
        return False
    return True


def _failures(job: Job) -> list[Listed]:
    return [each for each in job[0].files.list(f"{_FOLDER}/") if each.key.endswith(".json")]


def failed_already(job: Job) -> bool:
    """Whether some item of this phase has failed, so that no other need be begun."""
    return bool(_failures(job))


def forget_failures(job: Job) -> None:
    """Before a phase is tried again."""
    job[0].files.delete(_FOLDER)


def first_failure(job: Job, phase: str) -> ItemFailedError | None:
    """The failure that came first, if any."""
    first = min(_failures(job), key=lambda each: each.modified_ns, default=None)
    if first is None:
        return None
    body = json.loads(job[0].files.read(first.key))
    item = first.key.removeprefix(f"{_FOLDER}/").removesuffix(".json")
    return ItemFailedError(f"{job[0].kind} {phase} {item}", body["message"], body["trace"])
