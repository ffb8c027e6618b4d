"""Beam's local worker processes, with two things added: a worker that dies ends the run, and ends with it.

Beam 2.77 waits for ever for the answer of a worker that the kernel has killed for want of memory.
"""

import contextlib
import os
import threading
from collections.abc import Iterator

import grpc  # type: ignore[import-untyped]
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import worker_handlers

LOG = "SIKU_WORKER_LOG"  # environment variable: the file that takes what workers print


class WorkerDiedError(RuntimeError):
    """A worker process ended before its work did."""


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(worker_handlers.SubprocessSdkWorkerHandler):  # type: ignore[misc]
    """Takes the place of Beam's handler once this module is imported."""

    def start_worker(self) -> None:
        """Start the process, its chatter going to LOG, and a thread that waits for its end."""
        beams_own: bytes = self._worker_command_line  # type: ignore[has-type]
        ours = b"-m pipelines.engine.worker %d" % os.getpid()
        command = beams_own.replace(b"-m apache_beam.runners.worker.sdk_worker_main", ours)
        if ours not in command:
            raise WorkerDiedError(f"Beam starts its workers by {beams_own!r}, which this release of Siku does not know")
        self._worker_command_line = b'exec %b >>"$%b" 2>&1' % (command, LOG.encode())
        super().start_worker()
        threading.Thread(target=self._watch, name="watch_worker", daemon=True).start()

    def _watch(self) -> None:
        self.worker_thread.join()
        # After a proper end no answer is outstanding, and this does nothing.
        self.control_conn.abort(
            WorkerDiedError(
                "a worker process died, mostly for want of memory: lower site.workers and run again; "
                f"what it said last is in {os.environ[LOG]}"
            )
        )


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Keep Beam's threads from printing that a worker is gone: the error is raised once, by the run."""
    before = threading.excepthook

    def hook(event: threading.ExceptHookArgs) -> None:
        of_worker = event.thread is not None and event.thread.name == "run_worker"
        if not of_worker and not isinstance(event.exc_value, grpc.RpcError):
            before(event)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
