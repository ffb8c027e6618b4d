"""The learning rate as a pure function of tokens seen."""

import math

from pretrain.config import Train
from pretrain.config.schedule import Constant, Cosine, InverseSquareRoot, Linear, Schedule, Steps


def _half_cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def _factor(schedule: Schedule, tokens: int, warmup: int) -> float:
    if isinstance(schedule, Constant):
        return 1.0
    if isinstance(schedule, InverseSquareRoot):
        return math.sqrt(schedule.peak_tokens / max(tokens, schedule.peak_tokens))
    if isinstance(schedule, Steps):
        return next((share for start, share in reversed(schedule.milestones) if tokens > start), 1.0)
    if isinstance(schedule, Cosine | Linear):
        done = min(max((tokens - warmup) / max(schedule.horizon_tokens - warmup, 1), 0.0), 1.0)
        left = _half_cosine(done) if isinstance(schedule, Cosine) else 1 - done
        return schedule.floor + (1 - schedule.floor) * left
    done = min(max((tokens - schedule.decay_start_tokens) / schedule.decay_tokens, 0.0), 1.0)
    left = {"linear": 1 - done, "1-sqrt": 1 - math.sqrt(done), "cosine": _half_cosine(done)}[schedule.shape]
    return schedule.floor + (1 - schedule.floor) * left


def learning_rate(train: Train, tokens: int) -> float:
    """The rate of a step; `tokens` counts what has been seen when that step ends, so the first rate is not 0."""
    warm = min(tokens / train.warmup_tokens, 1.0) if train.warmup_tokens else 1.0
    return train.optimizer.lr * warm * _factor(train.schedule, tokens, train.warmup_tokens)
