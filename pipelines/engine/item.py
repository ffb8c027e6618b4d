"""The one DoFn: do an item, commit it, say its name."""

from collections.abc import Iterator

import apache_beam as beam

from pipelines.engine.failures import failed_already, note_failure
from pipelines.engine.stage import Item, ItemFunction, Job
from pipelines.engine.store import full_disk_explained


class ItemFn(beam.DoFn):  # type: ignore[misc]
    """Calls `function(job, item)`; the item commits its own output, so nothing bulky crosses the engine."""

    def __init__(self, function: ItemFunction, job: Job) -> None:
        self._function, self._job = function, job

    def process(self, element: Item) -> Iterator[str]:
        """Do one item. A failure is written down, and the parent raises it: Beam's own report of an exception
        prints the traceback once a layer. What follows a failure is not begun."""
        if failed_already(self._job):
            return
        try:
            with full_disk_explained(self._job[0].directory / element.name):
                self._function(self._job, element)
        except Exception as error:
            if not note_failure(self._job, element, error):
                raise
            return
        yield element.name
