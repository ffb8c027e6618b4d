"""Whether a step's loss and gradient norm are out of the ordinary. No torch here.

A spike is a value far above the median of the last steps, in units of the noise from step to step: the median absolute
deviation (Leys et al., 2013) of neighbours' differences, which neither a falling loss nor a spike among them moves.
Gradient norms are compared by their logarithms, for they vary by factors.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from pretrain.config import Healing

NORMAL = 1.4826  # the standard deviation of a normal distribution in its median absolute deviations
RECENT = 8  # steps that tell where the loss is now
# The least deviation: a loss that hardly moves makes no spike of 0.1 nats, nor a steady norm one of a doubled norm.
LEAST_LOSS = 0.05
LEAST_LOG_NORM = 0.2
NOT_FINITE, LOSS, NORM = "not finite", "loss spike", "gradient spike"


class Seen(NamedTuple):
    """A step that was taken."""

    step: int
    loss: float
    norm: float


def robust_z(value: float, before: Sequence[float], least: float) -> float:
    """Deviations of a value above the median of the last values before it, at least two."""
    steps = [after - each for each, after in pairwise(before)]
    trend = median(steps)
    noise = NORMAL * median(abs(step - trend) for step in steps) / math.sqrt(2)  # a difference has the noise of two
    return (value - median(before[-RECENT:])) / max(noise, least)


class Window:
    """The last steps that were taken."""

    def __init__(self, healing: Healing, taken: Iterable[Seen] = ()) -> None:
        self._healing = healing
        self._seen = deque(taken, healing.window)

    @property
    def loss(self) -> float | None:
        """The median of the last losses, once there are enough steps to compare with."""
        enough = 2 * len(self._seen) >= self._healing.window
        return median([each.loss for each in self._seen][-RECENT:]) if enough else None

    def judge(self, loss: float, norm: float) -> tuple[str, float]:
        """Why a step must not be taken (nothing where it may) and by how many deviations."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return NOT_FINITE, math.inf
        if self.loss is None:
            return "", 0.0
        losses, logs = [each.loss for each in self._seen], [_log(each.norm) for each in self._seen]
        found = {LOSS: robust_z(loss, losses, LEAST_LOSS), NORM: robust_z(_log(norm), logs, LEAST_LOG_NORM)}
        reason = max(found, key=lambda name: found[name])
        return (reason, found[reason]) if found[reason] > self._healing.threshold else ("", found[reason])

    def add(self, seen: Seen) -> None:
        """A step that was taken."""
        self._seen.append(seen)

    def forget(self, after: int) -> None:
        """Steps that were taken back."""
        self._seen = deque((each for each in self._seen if each.step <= after), self._healing.window)


def _log(norm: float) -> float:
    return math.log(max(norm, 1e-30))
