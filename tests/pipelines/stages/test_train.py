"""How the trainer is started and listened to."""

import io
import sys
from pathlib import Path

import pytest

from pipelines.stages.display import Display
from pipelines.stages.train import TrainerFailedError, start
from tests.pipelines.talker import Talk

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def tests_can_be_imported(monkeypatch):
    """An installed Siku has no `tests`, and its trainers start without the working directory on their path."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def talk(folder, does, verbose=False):
    start("tests.pipelines.talker", Talk(does), folder / "job.json", folder / "log", verbose)


@pytest.mark.parametrize("verbose", [False, True])
def test_details_are_kept_in_the_log_and_shown_on_request(tmp_path, capfd, verbose):
    talk(tmp_path, "talk", verbose)
    shown = capfd.readouterr().err.splitlines()
    everything = [
        "adapted streams",
        "step 1/2  loss 3.5",
        "Traceback (most recent call last):",
        "  DEBUG not a level",
    ]
    assert (tmp_path / "log").read_text().splitlines() == everything
    assert shown == (everything if verbose else everything[1:])


def test_an_interrupt_is_passed_on_and_the_last_words_are_heard(tmp_path, capfd):
    """T12: the trainer's line on how to go on was lost with the pipe."""
    with pytest.raises(KeyboardInterrupt):
        talk(tmp_path, "interrupt")
    last = "stopped by SIGINT; the same command goes on"
    assert capfd.readouterr().err.splitlines()[-1] == last
    assert (tmp_path / "log").read_text().splitlines()[-1] == last and len((tmp_path / "log").read_text()) > 200_000


def test_a_trainer_that_fails_names_its_log(tmp_path):
    with pytest.raises(TrainerFailedError, match=rf"talker ended with status 3; its log is {tmp_path}/log"):
        talk(tmp_path, "fail")


@pytest.mark.parametrize("terminal", [False, True])
def test_steps_are_lines_or_on_a_terminal_one_bar(monkeypatch, tmp_path, terminal):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    told = ["INFO starts [1/2]\n", "DEBUG detail\n", "INFO step 5/20  loss 3.25  lr 0.1\n", "plain traceback\n"]
    with (tmp_path / "log").open("w") as log, Display(log, verbose=False) as display:
        for line in told:
            display.line(line)
    assert (tmp_path / "log").read_text() == "".join(line.replace("INFO ", "").replace("DEBUG ", "") for line in told)
    shown = screen.getvalue()
    assert "starts [1/2]\n" in shown and "plain traceback\n" in shown and "detail" not in shown
    assert "loss 3.25  lr 0.1" in shown and ("step 5/20  loss" in shown) is not terminal and ("5/20" in shown)
