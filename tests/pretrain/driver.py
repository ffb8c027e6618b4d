"""The trainer with something done to it: `python driver.py JOB.json ACTION [ARGUMENT]`.

record PATH    saves what the model was fed
kill POINT     dies by SIGKILL at a point of its choice (`full`: finds the disk full instead)
differ FIELD   is another job on every rank but the first
order PIPE     says when it waits for the folder, holds it and joins its groups
hang STEP      is stopped on the last rank before that step's update
wreck STEP     turns its weights round after that step
"""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pretrain import train as entry


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def arm(point: str) -> None:
    """Have the process die at the point."""
    from pretrain.engine import optimizer
    from pretrain.journal import Journal
    from pretrain.state import checkpoint

    name, _, count = point.partition(":")
    calls = iter(range(1, 10**9))

    def before(original):
        def wrapped(*arguments, **named):
            if next(calls) == int(count):
                die()
            return original(*arguments, **named)

        return wrapped

    if name == "box":  # in the middle of a checkpoint's tensors
        checkpoint.write_box = before(checkpoint.write_box)
    elif name == "gap":  # between the tensors and the manifest
        checkpoint.commit = die
    elif name == "sync":  # 1: the manifest is written, the folder not yet renamed; 3: renamed, nothing after it done
        checkpoint.sync = before(checkpoint.sync)
    elif name == "full":  # the disk is full in the middle of a checkpoint
        checkpoint.write_box = full
    elif name == "update":  # between backward and the update
        optimizer.Optimizer.apply = before(optimizer.Optimizer.apply)
    elif name == "journal":  # half a row is written
        original = Journal.append

        def torn(self: Journal, rows) -> None:
            if next(calls) == int(count):
                with self.path.open("ab") as file:
                    file.write(b'{"step": 9, "attem')
                die()
            original(self, rows)

        Journal.append = torn
    else:
        raise ValueError(point)


def say_order(path: str) -> None:
    """Have each rank say its way to the folder and to the groups."""
    from pretrain.parallel import mesh
    from pretrain.state import trajectory

    rank = os.environ["RANK"]

    def say(line: str) -> None:
        with Path(path).open("w") as pipe:
            pipe.write(f"{rank} {line}\n")

    class Saying(NamedTuple):
        store: object

        def wait(self, keys: list[str], limit: timedelta) -> None:
            say(f"waits for {limit.days} days")
            self.store.wait(keys, limit)

        def set(self, key: str, value: bytes) -> None:
            say("holds")
            self.store.set(key, value)

    @contextmanager
    def owned(directory: Path, tell) -> Iterator[None]:
        with ownership(directory, lambda line: (tell(line), say("waits"))):
            yield

    def joined(*arguments):
        say("joins")
        return join(*arguments)

    join, ownership, folder = mesh.join, trajectory.ownership, entry._folder
    mesh.join, trajectory.ownership = joined, owned
    entry._folder = lambda directory, store, number: folder(directory, Saying(store), number)


def after_updates(count: int, harm) -> None:
    """Have something done with the optimizer before its `count`th update, or after it."""
    from pretrain.engine.optimizer import Optimizer

    original, calls = Optimizer.apply, iter(range(1, 10**9))

    def apply(self, rate: float, scale: float) -> None:
        if next(calls) == count:
            harm(self, lambda: original(self, rate, scale))
        else:
            original(self, rate, scale)

    Optimizer.apply = apply


def hang(optimizer, update) -> None:
    """As a rank does whose node has died: its connections stay, and nothing comes."""
    if os.environ["RANK"] != "0":
        os.kill(os.getpid(), signal.SIGSTOP)
    update()


def wreck(optimizer, update) -> None:
    import torch

    update()
    with torch.no_grad():
        for unit in optimizer.units:
            unit.master.mul_(-3)
        optimizer.publish()


def main(job: str, action: str, argument: str) -> int:
    """Run the trainer with its build step wrapped: everything is imported by then."""
    build, seen = entry._build, []

    def wrapped(*arguments):
        state = build(*arguments)
        if action == "kill":
            arm(argument)
        elif action in ("hang", "wreck"):
            after_updates(int(argument), {"hang": hang, "wreck": wreck}[action])
        elif action == "record":
            (part,) = state.computer.parts
            part.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy().copy()))
        return state

    entry._build = wrapped
    if action == "differ" and os.environ.get("RANK", "0") != "0":
        original = entry.read_job
        entry.read_job = lambda *arguments: replace(original(*arguments), **{argument: "other"})
    if action == "order" and "RANK" in os.environ:
        say_order(argument)
    status = entry.main([job])
    if action == "record":
        np.save(Path(argument), np.concatenate(seen))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
