"""One owner a stage: a second waits and says for whom; the dead are taken over at once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.engine import lease
from pipelines.engine.execute import owned
from pipelines.engine.lease import HEARTBEAT_S, STALE_S, Lease, Owner, this_process, try_acquire
from tests.pipelines.programs import BUCKETS, ITEMS, What, build

HOME = Path(__file__).resolve().parents[3]


def start(root, pause="0", mode="plain"):
    code = f"from tests.pipelines.programs import main; main({str(root)!r}, {mode!r}, {pause!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HOME
    )


def wait_for(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def lease_of(root):
    return next(iter(root.glob("squares/*/*/lease.json")), None)


def test_two_processes_compute_a_stage_once_and_the_second_says_for_whom(tmp_path):
    expected = build(tmp_path / "alone")
    first = start(tmp_path / "s", "0.2")
    wait_for(lambda: lease_of(tmp_path / "s"), "no lease")
    second = start(tmp_path / "s")
    (out1, err1), (out2, err2) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), err1 + err2
    assert out1.strip() == out2.strip() == expected
    waiting = [line for line in err2.splitlines() if "waiting" in line]
    assert len(waiting) == 1 and re.search(
        rf"waiting for squares/\w+/\w+, which process {first.pid} on .* is making", waiting[0]
    )
    log = (tmp_path / "s/log").read_text().splitlines()
    assert sorted(log) == [f"{i:05d} {first.pid}" for i in range(ITEMS)]  # each item once, by the first
    assert lease_of(tmp_path / "s") is None


def test_a_killed_owner_is_taken_over_at_once(tmp_path):
    expected = build(tmp_path / "alone")
    root = tmp_path / "s"
    victim = start(root, "0.3")
    wait_for(lambda: len(list(root.glob("squares/*/*/commits/scatter/*.json"))) >= 2, "no commits")
    os.kill(victim.pid, signal.SIGKILL)  # it is not reaped yet: a zombie holds the lease
    done = start(root)
    out, err = done.communicate(timeout=60)
    assert victim.wait() == -signal.SIGKILL
    assert out.strip() == expected, err
    assert f"from process {victim.pid} on" in err and "which has ended" in err and "waiting" not in err
    counts = [line.split()[0] for line in (root / "log").read_text().splitlines()]
    assert set(counts) == {f"{i:05d}" for i in range(ITEMS)}
    assert len(counts) <= ITEMS + 1  # only the item that was being made is made again
    (stage,) = root.glob("squares/*/*")
    assert len(list(stage.glob("documents-*"))) == BUCKETS
    assert {p.name for p in stage.iterdir()} - {p.name for p in stage.glob("documents-*")} == {
        "manifest.json",
        "lease.lock",
        "commits",
    }


def held_by(directory, owner, age=0.0):
    path = directory / "lease.json"
    path.write_text(json.dumps(asdict(owner)) if isinstance(owner, Owner) else owner)
    os.utime(path, (time.time() - age,) * 2)


def acquired(directory):
    said = []
    found = try_acquire(directory, said.append)
    if isinstance(found, Lease):
        assert json.loads((directory / "lease.json").read_text()) == asdict(this_process())
        found.release()
        assert not (directory / "lease.json").exists()
        return said
    assert said == []
    return found


FAR = Owner("another-host", 1, 1.0, "77")


@pytest.mark.parametrize(("age", "alive"), [(0, True), (STALE_S - 5, True), (STALE_S + 1, False)])
def test_an_owner_elsewhere_is_known_by_its_heartbeat(tmp_path, age, alive):
    held_by(tmp_path, FAR, age)
    found = acquired(tmp_path)
    if alive:
        assert found == FAR and str(found) == "process 1 on another-host (job 77)"
    else:
        assert found == [f"took over the lease of {tmp_path.name} from {FAR}, which has ended"]


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[1]", '{"host": "a"}', '{"host": "a", "pid": 1, "x": 2}', "\xff\xfe"]
)
def test_a_torn_lease_is_taken_over_once_its_writer_must_have_ended(tmp_path, body):
    path = tmp_path / "lease.json"
    path.write_bytes(body.encode("latin-1"))
    assert isinstance(acquired(tmp_path), Owner)
    os.utime(path, (time.time() - HEARTBEAT_S - 1,) * 2)
    assert acquired(tmp_path) == [f"took over the lease of {tmp_path.name} from process 0 on unknown, which has ended"]


def test_owners_here_are_known_by_their_process(tmp_path):
    me = this_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        import psutil

        theirs = replace(me, pid=child.pid, started=psutil.Process(child.pid).create_time())
        for age in (0, STALE_S * 2):  # however old its heartbeat: it may be stopped, and it lives
            held_by(tmp_path, theirs, age)
            assert acquired(tmp_path) == theirs
        held_by(tmp_path, replace(theirs, started=theirs.started - 1000), STALE_S * 2)  # a later process with its pid
        assert len(acquired(tmp_path)) == 1
        held_by(tmp_path, replace(theirs, started=theirs.started - 1000))  # the clock was set: it beats
        assert isinstance(acquired(tmp_path), Owner)
        child.kill()
        time.sleep(0.1)
        held_by(tmp_path, theirs)  # a zombie
        assert len(acquired(tmp_path)) == 1
        child.wait()
        held_by(tmp_path, theirs)  # gone
        assert len(acquired(tmp_path)) == 1
    finally:
        child.kill()
        child.wait()


def test_the_heart_beats_and_stops_for_another_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.02)
    held = try_acquire(tmp_path, print)
    assert isinstance(held, Lease) and held.held()
    path = tmp_path / "lease.json"
    os.utime(path, (1, 1))
    wait_for(lambda: path.stat().st_mtime > 1, "no heartbeat")
    held_by(tmp_path, FAR)  # taken over while this process slept
    wait_for(lambda: not held._thread.is_alive(), "still beating")
    assert not held.held()
    held.release()
    assert json.loads(path.read_text()) == asdict(FAR)  # another's lease stays


def test_owned_does_nothing_for_finished_work_and_waits_for_living_owners(tmp_path, monkeypatch):
    said = []
    with owned(tmp_path / "a" / "b", lambda: True, said.append) as mine:
        assert not mine and not (tmp_path / "a/b/lease.json").exists()
    held_by(tmp_path, FAR)
    asked = iter([False, False, False, True])
    with owned(tmp_path, lambda: next(asked), said.append) as mine:
        assert not mine
    assert said == [f"waiting for {'/'.join(tmp_path.parts[-3:])}, which {FAR} is making"]
    (tmp_path / "lease.json").unlink()
    with pytest.raises(KeyError), owned(tmp_path, lambda: False, said.append) as mine:
        assert mine and (tmp_path / "lease.json").exists()
        raise KeyError
    assert not (tmp_path / "lease.json").exists()
    with owned(tmp_path, iter([False, True]).__next__, said.append) as mine:  # done just before the lease was taken
        assert not mine


def test_a_failed_run_gives_its_lease_back(tmp_path):
    with pytest.raises(LookupError):
        build(tmp_path, what=What(fails="00002"))
    assert lease_of(tmp_path) is None
