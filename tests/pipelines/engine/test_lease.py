"""One owner a stage: a second waits and says for whom; the dead are taken over, by no clock but the watcher's own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from corpus.fault import VARIABLE
from pipelines.engine import lease
from pipelines.engine.execute import owned
from pipelines.engine.files import Posix, StoreError
from pipelines.engine.lease import FREE, KEY, STALE_S, Lease, Owner, Watch, holder, runs, this_process
from tests.pipelines.programs import BUCKETS, ITEMS, What, build

HOME = Path(__file__).resolve().parents[3]
FAR = Owner("another-host", "another-boot 1", 1, 1, "77", "t")


@pytest.fixture
def files(tmp_path):
    return Posix(tmp_path)


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def hold(files, owner, beat=0):
    """Write a lease as its owner would; a text is written as it is."""
    current = files.tagged(KEY)
    data = lease._encode(owner, beat) if isinstance(owner, Owner) else owner
    assert files.swap(KEY, data, current[1] if current else None) is not None


def acquired(watch, files):
    """What a try ends in: the owner that holds the lease, or what is said on the way to having it."""
    said = []
    found = watch.try_acquire(said.append)
    if not isinstance(found, Lease):
        assert said == []
        return found
    assert found.held() and holder(files).pid == os.getpid()
    found.release()
    assert not found.held() and holder(files) is None and files.tagged(KEY)[0] == FREE
    return said


# Two processes.


def start(root, aim="", mode="plain"):
    code = f"from tests.pipelines.programs import main; main({str(root)!r}, {mode!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HOME,
        env={**os.environ, VARIABLE: aim},
    )


def test_two_processes_compute_a_stage_once_and_the_second_says_for_whom(tmp_path):
    expected, root = build(tmp_path / "alone"), tmp_path / "s"
    first = start(root, "squares.scatter:commit:2:stop")
    assert os.WIFSTOPPED(os.waitpid(first.pid, os.WUNTRACED)[1])
    second = start(root)
    waiting = second.stderr.readline()
    assert re.search(rf"waiting for squares/\w+/\w+, which process {first.pid} on .* is making", waiting)
    first.send_signal(signal.SIGCONT)
    (out1, err1), (out2, err2) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), err1 + err2
    assert out1.strip() == out2.strip() == expected and "waiting" not in err2
    log = (root / "log").read_text().splitlines()
    assert sorted(log) == [f"{i:05d} {first.pid}" for i in range(ITEMS)]  # each item once, by the first


def test_a_killed_owner_is_taken_over_at_once(tmp_path):
    expected, root = build(tmp_path / "alone"), tmp_path / "s"
    victim = start(root, "squares.scatter:committed:3")
    os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)  # not reaped: a zombie holds the lease
    done = start(root)
    out, err = done.communicate(timeout=60)
    assert victim.wait() == -signal.SIGKILL
    assert out.strip() == expected, err
    assert f"from process {victim.pid} on" in err and "which has ended" in err and "waiting" not in err
    counts = [line.split()[0] for line in (root / "log").read_text().splitlines()]
    assert sorted(counts) == [f"{i:05d}" for i in range(ITEMS)]
    (stage,) = root.glob("squares/*/*")
    assert len(list(stage.glob("documents-*"))) == BUCKETS
    here = {path.name.partition("-")[0] for path in stage.iterdir()}
    assert here == {"manifest.json", "lease", "commits", "documents"}


# Who holds it.


def test_an_owner_elsewhere_is_stale_when_its_beat_stood_still_while_watched(files, tmp_path):
    """H14: its clock, and that of the file server, may be anything."""
    clock = Clock()
    hold(files, FAR)
    for shift in (-1e6, 1e6):  # a future mtime, and an old one: S13
        path = next((tmp_path / KEY).iterdir())
        os.utime(path, (path.stat().st_mtime + shift,) * 2)
        clock.now += STALE_S * 10
        assert acquired(Watch(files, "s", clock), files) == FAR  # just seen for the first time
    watch = Watch(files, "s", clock)
    for beat in range(1, 5):
        assert acquired(watch, files) == FAR
        clock.now += STALE_S - 1
        assert acquired(watch, files) == FAR
        hold(files, FAR, beat)
    assert acquired(watch, files) == FAR
    clock.now += STALE_S
    found = acquired(watch, files)
    assert found == [f"took over the lease of s from {FAR}, whose heart has not beaten for {STALE_S:.0f} s"]


GARBAGE = [
    "", "{", "null", "[1]", '{"owner": {"host": "a"}}', '{"owner": {}}', "\xff\xfe",
    *(json.dumps({"owner": {**asdict(FAR), **change}}) for change in (
        {"pid": "x"}, {"pid": -1}, {"pid": 0}, {"pid": 10**30}, {"pid": True}, {"pid": 1.5}, {"x": 2},
        {"started": None}, {"host": 7},
    )),
]  # fmt: skip


@pytest.mark.parametrize("body", GARBAGE[1:])
def test_a_damaged_lease_is_taken_over_once_no_one_beats_it(files, body):
    """S13: a bad pid was a traceback."""
    clock = Clock()
    hold(files, body.encode("latin-1"))
    watch = Watch(files, "s", clock)
    assert str(acquired(watch, files)) == "someone whose lease is damaged"
    assert holder(files) == lease.UNKNOWN
    clock.now += STALE_S
    assert acquired(watch, files)[0].startswith("took over the lease of s from someone whose lease is damaged, whose")


@contextmanager
def process():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield child, replace(this_process(), pid=child.pid, started=lease._state(child.pid)[1], token="c")
    finally:
        child.kill()
        child.wait()


def test_owners_here_are_known_by_their_process(files):
    clock = Clock()
    with process() as (child, theirs):
        hold(files, theirs)
        watch = Watch(files, "s", clock)
        for _ in range(2):  # it may be stopped, and it lives
            assert acquired(watch, files) == theirs == holder(files)
            clock.now += STALE_S * 2
        hold(files, replace(theirs, started=theirs.started - 1))  # another process that had its pid: S13
        assert holder(files) is None and "which has ended" in acquired(watch, files)[0]
        hold(files, replace(theirs, place="another-boot 1"))  # the same host, started anew
        assert runs(replace(theirs, place="another-boot 1")) is None
        assert acquired(watch, files).pid == child.pid
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        hold(files, theirs)
        assert "which has ended" in acquired(watch, files)[0]  # a zombie
        child.wait()
        hold(files, theirs)
        assert "which has ended" in acquired(watch, files)[0]  # gone


def test_the_start_of_a_process_does_not_move_with_the_clock():
    """As psutil's would, which adds the time of day at boot."""
    ticks, uptime = lease._state(os.getpid())[1], float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < ticks / os.sysconf("SC_CLK_TCK") <= uptime


# The heart.


class Beats(Posix):
    """Files that tell of every swap, and may refuse them."""

    def swap(self, key, data, tag):
        if REFUSE:
            SWAPPED.release()
            raise REFUSE[0]
        found = super().swap(key, data, tag)
        SWAPPED.release()
        return found


REFUSE, SWAPPED = [], threading.Semaphore(0)


def test_the_heart_beats_and_stops_for_another_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.001)
    files = Beats(tmp_path)
    held = Watch(files, "s").try_acquire(print)
    seen = set()
    for _ in range(5):
        assert SWAPPED.acquire(timeout=60)
        seen.add(files.tagged(KEY))
    assert len({tag for _, tag in seen}) >= 2 and len({data for data, _ in seen}) >= 2 and held.held()
    REFUSE.append(StoreError("a disk that is full for a moment"))
    for _ in range(5):
        assert SWAPPED.acquire(timeout=60)
    REFUSE.clear()
    for _ in range(8):  # it beats again
        assert SWAPPED.acquire(timeout=60)
    assert held._thread.is_alive() and held.held()
    while True:  # taken over while this process slept
        current = files.tagged(KEY)
        if Posix(tmp_path).swap(KEY, lease._encode(FAR, 0), current[1]) is not None:
            break
    held._thread.join(60)
    assert not held._thread.is_alive() and not held.held()
    held.release()
    assert holder(files) == FAR  # another's lease stays


def test_a_lease_is_given_back_on_a_full_disk(tmp_path):
    files = Beats(tmp_path)
    held = Watch(files, "s").try_acquire(print)
    REFUSE.append(StoreError("no space left"))
    held.release()
    REFUSE.clear()
    assert files.tagged(KEY) is None


def test_of_watchers_that_race_for_a_free_lease_one_has_it(tmp_path):
    files, found, barrier = Posix(tmp_path), [], threading.Barrier(6)

    def race():
        barrier.wait(60)
        found.append(Watch(files, "s").try_acquire(print))

    for _ in range(10):
        threads = [threading.Thread(target=race) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (held,) = [each for each in found if isinstance(each, Lease)]
        assert len(found) == 6 and all(each.pid == os.getpid() for each in found if isinstance(each, Owner))
        held.release()
        found.clear()


class Before(Posix):
    """Files that let something else happen first, once: before a swap, or at its link, when its data is written."""

    def swap(self, key, data, tag):
        if FIRST.get("swap"):
            FIRST.pop("swap")()
        return super().swap(key, data, tag)


FIRST = {}


@pytest.mark.parametrize("moment", ["swap", "link"])
@pytest.mark.parametrize("since", [0, 1, 3, "free"])
def test_of_two_that_take_an_expired_lease_at_once_the_second_finds_the_first(tmp_path, monkeypatch, moment, since):
    """The other has it between this one's look and its swap, beats so often, or has given it back."""
    mine, theirs = Before(tmp_path), Posix(tmp_path)
    monkeypatch.setattr(lease, "HEARTBEAT_S", 3600)
    clock, found = Clock(), []
    hold(theirs, FAR)
    watches = [Watch(files, "s", clock) for files in (mine, theirs)]
    assert [watch.try_acquire(print) for watch in watches] == [FAR, FAR]
    clock.now += STALE_S

    def other():
        found.append(watches[1].try_acquire(print))
        for beat in range(1, since + 1 if since != "free" else 1):
            hold(theirs, found[0]._owner, beat)
            found[0]._tag = theirs.tagged(KEY)[1]
        if since == "free":
            found[0].release()

    real = os.link

    def link(source, target):
        if FIRST.get("link"):
            FIRST.pop("link")()
        return real(source, target)

    FIRST[moment] = other
    monkeypatch.setattr(os, "link", link)
    got = watches[0].try_acquire(print)
    assert not FIRST and isinstance(found[0], Lease) and not isinstance(got, Lease)
    if since == "free":
        assert holder(theirs) is None and isinstance(watches[0].try_acquire(print), Lease)
    else:
        assert got == found[0]._owner and found[0].held()
        found[0].release()


RACER = """
import sys
from pathlib import Path
from pipelines.engine import lease
from pipelines.engine.files import Posix

class Gate(Posix):
    def swap(self, key, data, tag):
        print("at the gate", flush=True)
        sys.stdin.readline()
        return super().swap(key, data, tag)

for folder in sys.argv[1:]:
    clock = [0.0]
    watch = lease.Watch(Gate(Path(folder)), "s", lambda: clock[0])
    watch.try_acquire(print)
    clock[0] += lease.STALE_S
    got = watch.try_acquire(lambda line: None)
    print("mine" if isinstance(got, lease.Lease) else got.pid, flush=True)
sys.stdin.readline()  # one that ends gives its lease back
"""


def test_of_processes_that_take_an_expired_lease_at_once_one_has_it(tmp_path):
    """All have seen it expire before any of them may swap."""
    folders = [tmp_path / str(number) for number in range(20)]
    for folder in folders:
        hold(Posix(folder), FAR)
    line = [sys.executable, "-c", RACER, *map(str, folders)]
    racers = [
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=HOME)
        for _ in range(3)
    ]
    try:
        for folder in folders:
            assert [racer.stdout.readline() for racer in racers] == ["at the gate\n"] * 3
            for racer in racers:
                racer.stdin.write("\n")
            ends = [racer.stdout.readline().strip() for racer in racers]
            assert ends.count("mine") == 1, ends
            winner = racers[ends.index("mine")].pid
            assert holder(Posix(folder)).pid == winner
            assert {end for end in ends if end != "mine"} <= {str(winner)}
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_owned_does_nothing_for_finished_work_and_waits_for_living_owners(tmp_path):
    said, files = [], Posix(tmp_path)
    with owned(tmp_path / "a" / "b", lambda: True, said.append) as mine:
        assert not mine and not (tmp_path / "a").exists()
    hold(files, FAR)
    asked = iter([False, False, False, True])
    with owned(tmp_path, lambda: next(asked), said.append) as mine:
        assert not mine
    assert said == [f"waiting for {'/'.join(tmp_path.parts[-3:])}, which {FAR} is making"]
    files.delete(KEY)
    with pytest.raises(KeyError), owned(tmp_path, lambda: False, said.append) as mine:
        assert mine and holder(files).pid == os.getpid()
        raise KeyError
    assert holder(files) is None
    with owned(tmp_path, iter([False, True]).__next__, said.append) as mine:  # done just before the lease was taken
        assert not mine


def test_a_failed_run_gives_its_lease_back(tmp_path):
    with pytest.raises(LookupError):
        build(tmp_path, what=What(fails="00002"))
    (stage,) = tmp_path.glob("squares/*/*")
    assert holder(Posix(stage)) is None and (stage / KEY).exists()
