"""`python -m MODULE` by fork of a process that has imported the trainer: torch and megatron cost five CPU-seconds.

`Forked` is subprocess.Popen by fork of this process, `Served` by fork of a server that this process starts once. The
child is what the command would be (arguments, environment, streams, exit status, a session or descriptors of its own)
but for what the imports left. Whatever a trainer starts by itself is forked too.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
PARENT = "SIKU_PARENT_PID"
MODULES = ("torch._dynamo", "pretrain.trainer", "pretrain.evaluate", "pretrain.engine.healing", "pretrain.models.build")
_FDS = 16


def read_modules() -> None:
    """Import what a trainer on a CPU does, adapted as it adapts it. Starts no thread and draws no number."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    warnings.filterwarnings("ignore", module=r"megatron\.|torch\.distributed")
    warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning, "runpy")
    from pretrain.parallel import platform

    platform.install = functools.cache(platform.install)  # once a process
    platform.install(platform.detect("cpu"))
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # what a collection writes to is copied in every child


def _run(command: Sequence[str]) -> int:
    """What `python [-P] -m module ...` or `python -c code ...` does; its exit status."""
    flag = next(index for index, each in enumerate(command) if each in ("-m", "-c"))
    what, arguments = command[flag + 1], [*command[flag + 2 :]]
    sys.argv = [what if command[flag] == "-m" else "-c", *arguments]
    code: object = 0
    try:
        if command[flag] == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - as an interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # waits for threads that are no daemons
    return code if isinstance(code, int) else int(code is not None)


def _become(
    command: Sequence[str],
    streams: Sequence[int],
    keep: Sequence[int],
    environment: dict[str, str],
    cwd: str,
    session: bool,
) -> NoReturn:
    """Turn a forked child into the command; `streams` are its descriptors 0 to 2, -1 for those it has."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if session:
            os.setsid()
        for number, stream in enumerate(streams):
            if stream >= 0:
                os.dup2(stream, number)
        for number in {int(path.name) for path in Path("/proc/self/fd").iterdir()} - {0, 1, 2, *keep}:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(number)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        if PARENT in environment:
            os.environ[PARENT] = str(os.getppid())
        sys.stdin, sys.excepthook = open(0, closefd=False), sys.__excepthook__  # noqa: SIM115
        sys.stdout = open(1, "w", 1, "utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        importlib.import_module("pretrain.parallel.launch").subprocess = here  # ranks are forked too
        code = _run(command)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - must not go on as the process that it was forked from
        os.write(2, traceback.format_exc().encode())
        code = 120
    finally:
        os._exit(code & 0xFF)


class Forked(subprocess.Popen):
    """By fork of this process, which has called `read_modules`."""

    def _execute_child(  # the place where Popen makes the child
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, process_group,
    ) -> None:  # fmt: skip
        streams = (p2cread, c2pwrite, errwrite)
        self._start([*map(str, args)], streams, pass_fds, dict(env or os.environ), str(cwd or "."), start_new_session)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _start(self, command, streams, keep, environment, cwd, session) -> None:
        self.pid = os.fork()
        if not self.pid:
            _become(command, streams, keep, environment, cwd, session)


class Served(Forked):
    """By fork of the server, which this process starts with the first and which ends with it."""

    def _start(self, command, streams, keep, environment, cwd, session) -> None:
        self._server, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given = [number if number >= 0 else standard for standard, number in enumerate(streams)]
        request = json.dumps([command, environment, str(Path(cwd).absolute()), session])
        with theirs, _lock:
            socket.send_fds(_server(), [request.encode()], [theirs.fileno(), *given])
        self.pid = int(self._server.recv(32))

    def _internal_poll(self, _deadstate=None, **_) -> int | None:
        if self.returncode is None:
            self._received(0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None and not self._received(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def _received(self, timeout: float | None) -> bool:
        """Whether the server has said, within `timeout` seconds, that the child has ended, and how."""
        if not self._waitpid_lock.acquire(blocking=timeout != 0):
            return False  # a signal's handler looks while its own thread waits
        try:
            if self.returncode is None:
                self._server.settimeout(timeout)
                try:
                    self.returncode = int(self._server.recv(32))
                except (TimeoutError, BlockingIOError):
                    return False
                self._server.close()
        finally:
            self._waitpid_lock.release()
        return True


# Each in the place of `subprocess` in a module.
served, here = (
    SimpleNamespace(Popen=kind, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT) for kind in (Served, Forked)
)
_lock = threading.Lock()


@functools.cache
def _server() -> socket.socket:
    """The way to the server: descriptors come with each message, what becomes of a child goes over the first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    fd = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", str(fd)],
        env=environment,
        cwd=ROOT,
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(lambda: (ours.close(), process.wait(60)))
    return ours


def serve(control: socket.socket) -> None:
    """Fork what is asked for until nobody can ask."""
    read_modules()
    woken, wakes = socket.socketpair()
    for each in (woken, wakes):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    children: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4096)
                _tell(children)
            if control in ready:
                request, descriptors, _, _ = socket.recv_fds(control, 1 << 20, _FDS)
                if not request:
                    return
                client, *streams = descriptors
                child = os.fork()
                if not child:
                    command, environment, cwd, session = json.loads(request)
                    _become(command, streams, (), environment, cwd, session)
                for number in streams:
                    os.close(number)
                children[child] = socket.socket(fileno=client)
                children[child].send(str(child).encode())


def _tell(children: dict[int, socket.socket]) -> None:
    """Say of every child that has ended how, to who asked for it."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        with children.pop(child) as client, contextlib.suppress(BrokenPipeError):  # nobody waits for it
            client.send(str(os.waitstatus_to_exitcode(status)).encode())


def run(command: Sequence[str], timeout: float = 600, **options: Any) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of a `Served`, its output captured as text."""
    with Served(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            out, error = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, error)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
