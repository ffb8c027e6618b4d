"""The one DoFn: do an item, commit it, say its name."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam

from pipelines.engine.failures import failed_already, note_failure
from pipelines.engine.files import explained
from pipelines.engine.work import do_item, load


class ItemFn(beam.DoFn):  # type: ignore[misc]
    """Does items of a plan file by name; each commits its own output, so nothing bulky crosses the engine."""

    def __init__(self, plan: Path) -> None:
        self._path = plan

    def process(self, element: str) -> Iterator[str]:
        """Do one item. A failure is written down, and the parent raises it: Beam's own report of an exception
        prints the traceback once a layer. What follows a failure is not begun."""
        plan, items = load(self._path)
        if failed_already(plan.job):
            return
        try:
            with explained(plan.job[0].directory / element):
                do_item(plan.job, plan.phase, items[element])
        except Exception as error:
            if not note_failure(plan.job, element, error):
                raise
            return
        yield element
