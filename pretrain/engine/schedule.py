"""The learning rate as a pure function of tokens seen."""

import math

from pretrain.config.train import Constant, Cosine, Schedule, Train


def _factor(schedule: Schedule, tokens: int, warmup: int) -> float:
    if isinstance(schedule, Constant):
        return 1.0
    if isinstance(schedule, Cosine):
        span = max(schedule.horizon_tokens - warmup, 1)
        done = min(max((tokens - warmup) / span, 0.0), 1.0)
        return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * done))
    done = min(max((tokens - schedule.decay_start_tokens) / schedule.decay_tokens, 0.0), 1.0)
    fall = done if schedule.shape == "linear" else math.sqrt(done)
    return 1 - (1 - schedule.floor) * fall


def learning_rate(train: Train, tokens: int) -> float:
    """The rate of a step; `tokens` counts what has been seen when that step ends, so the first rate is not 0."""
    warm = min(tokens / train.warmup_tokens, 1.0) if train.warmup_tokens else 1.0
    return train.optimizer.lr * warm * _factor(train.schedule, tokens, train.warmup_tokens)
