"""Beam's local worker processes, with three things added: one that dies ends the run, at whatever moment; it ends with
the run; and what Beam serves them is bound to this machine's own interface.

Beam 2.77 waits for ever for the answer of a worker that the kernel has killed for want of memory, or that has died
before it was asked, and it listens on all interfaces, where any stranger may join as a worker.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from google.protobuf import json_format, text_format  # type: ignore[import-untyped]

LOG = "SIKU_WORKER_LOG"  # environment variable: the file that takes what workers print
START_S = 300.0  # for a worker to say its first word
_ALL, _OWN = "[::]", "127.0.0.1"


class WorkerDiedError(RuntimeError):
    """A worker process ended before its work did."""


class _Loopback:
    """grpc as Beam's servers see it."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(grpc, name)

    @staticmethod
    def server(*arguments: Any, **options: Any) -> grpc.Server:  # noqa: ANN401
        """A server that binds to this machine's own interface what would be bound to all."""
        server = grpc.server(*arguments, **options)
        server.add_insecure_port = partial(_bind, server.add_insecure_port)
        return server


def _bind(bind: Callable[[str], int], address: str) -> int:
    return bind(address.replace(_ALL, _OWN))


class _Logging(worker_handlers.BasicLoggingService):  # type: ignore[misc]
    """Takes what workers log to where they print."""

    def Logging(self, log_bundles: Iterator[Any], context: object = None) -> Iterator[beam_fn_api_pb2.LogControl]:  # noqa: N802
        yield beam_fn_api_pb2.LogControl()
        with open(os.environ[LOG], "a", encoding="utf-8") as log:  # noqa: PTH123
            for bundle in log_bundles:
                for entry in bundle.log_entries:
                    log.write(f"{entry.log_location} {entry.message}\n{entry.trace}")
                log.flush()


worker_handlers.grpc = _Loopback()
worker_handlers.BasicLoggingService = _Logging


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(worker_handlers.GrpcWorkerHandler):  # type: ignore[misc]
    """Takes the place of Beam's handler once this module is imported."""

    def __init__(self, command: bytes, *rest: object) -> None:
        super().__init__(*rest)
        self._thread = threading.Thread(target=self._run, name="run_worker", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        """Start the process in a thread that waits for its end: the kernel ends it with that thread."""
        self._thread.start()

    def _run(self) -> None:
        try:
            with open(os.environ[LOG], "ab") as log, worker_handlers.SUBPROCESS_LOCK:  # noqa: PTH123
                command = [sys.executable, "-m", "pipelines.engine.worker", str(os.getpid())]
                self._process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(START_S)
            if not self._connected:
                self._process.kill()
            self._process.wait()
        finally:
            self._abort()

    @property
    def _connected(self) -> bool:
        return bool(self.control_conn._state != worker_handlers.BeamFnControlServicer.UNSTARTED_STATE)

    def _environment(self) -> dict[str, str]:
        """What Beam's worker reads: where to ask for work and to log, the options, its name."""
        addresses = {
            "CONTROL_API_SERVICE_DESCRIPTOR": endpoints_pb2.ApiServiceDescriptor(url=self.control_address),
            "LOGGING_API_SERVICE_DESCRIPTOR": self.logging_api_service_descriptor(),
        }
        return {
            **os.environ,
            **{name: text_format.MessageToString(address) for name, address in addresses.items()},
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }

    def _abort(self) -> None:
        """Fail what the worker was asked, and what it will be. After a proper end nothing is."""
        error = WorkerDiedError(
            "a worker process died, mostly for want of memory: lower site.workers and run again; "
            f"what it said last is in {os.environ[LOG]}"
        )
        connection = self.control_conn
        connection.push = partial(_refuse, connection.push, error)  # first: then none slips through
        for future in list(connection._futures_by_id.values()):
            future.abort(error)
        self.data_conn._exception = error  # for who waits for its output, and not yet for its answer

    def stop_worker(self) -> None:
        """Wait for the end of the process; one that has not yet connected would wait for a server that is gone."""
        if self._process is not None and not self._connected:
            self._process.kill()
        self._thread.join()


def _refuse(push: Callable[[Any], Any], error: WorkerDiedError, request: object) -> object:
    future = push(request)
    if future is not None:
        future.abort(error)
    return future


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Keep Beam's threads from printing that a worker is gone: the error is raised once, by the run."""
    before = threading.excepthook

    def hook(event: threading.ExceptHookArgs) -> None:
        if not isinstance(event.exc_value, grpc.RpcError):
            before(event)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
