"""How far a run is, whatever computes it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cursor:
    """Steps taken, the sample to read next, tokens trained on, batches that were read and not taken."""

    step: int = 0
    next_sample: int = 0
    tokens: int = 0
    skipped: int = 0

    def taken(self, samples: int, tokens: int) -> "Cursor":
        """After a step on `samples` samples."""
        return Cursor(self.step + 1, self.next_sample + samples, self.tokens + tokens, self.skipped)

    def passed_over(self, samples: int) -> "Cursor":
        """After a batch whose gradient did not reach the weights."""
        return Cursor(self.step, self.next_sample + samples, self.tokens, self.skipped + 1)

    def content(self) -> dict[str, Any]:
        """As it stands in a checkpoint's manifest."""
        return asdict(self)
