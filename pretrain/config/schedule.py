"""Learning rate and batch size as functions of tokens seen: WHAT. The rate is computed in
`pretrain/engine/schedule.py`; how many tokens some steps are, a plan asks too."""

from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le
from pydantic import Field, model_validator

from corpus.configuration import Doc, configuration

Floor = Annotated[float, Ge(0), Le(1), Doc("final rate as a share of the peak")]
Horizon = Annotated[int, Ge(1), Doc("tokens seen when the floor is reached")]


@configuration
class Constant:
    """The peak rate for ever, after warm-up."""

    version: ClassVar[int] = 1
    schedule: Literal["constant"] = "constant"


@configuration
class Cosine:
    """Half a cosine from the peak to the floor; another horizon is another run."""

    version: ClassVar[int] = 1
    schedule: Literal["cosine"] = "cosine"
    horizon_tokens: Horizon
    floor: Floor = 0.1


@configuration
class Linear:
    """A straight line from the end of the warm-up to the floor."""

    version: ClassVar[int] = 1
    schedule: Literal["linear"] = "linear"
    horizon_tokens: Horizon
    floor: Floor = 0.0


@configuration
class InverseSquareRoot:
    """The peak up to `peak_tokens`, then peak x sqrt(peak_tokens / tokens) (T5, PaLM); no horizon is needed."""

    version: ClassVar[int] = 1
    schedule: Literal["inverse_sqrt"] = "inverse_sqrt"
    peak_tokens: Annotated[int, Ge(1), Doc("tokens seen when the rate begins to fall")]


@configuration
class WarmupStableDecay:
    """Constant until decay_start, then down to the floor (MiniCPM, arXiv:2404.06395)."""

    version: ClassVar[int] = 1
    schedule: Literal["wsd"] = "wsd"
    decay_start_tokens: Annotated[int, Ge(0), Doc("tokens seen when the decay begins")]
    decay_tokens: Annotated[int, Ge(1), Doc("length of the decay in tokens")]
    shape: Annotated[Literal["linear", "1-sqrt", "cosine"], Doc("form of the decay; 1-sqrt: arXiv:2405.18392")] = (
        "1-sqrt"
    )
    floor: Floor = 0.0


@configuration
class Steps:
    """Constant, and lower after each milestone (DeepSeek LLM, arXiv:2401.02954)."""

    version: ClassVar[int] = 1
    schedule: Literal["steps"] = "steps"
    milestones: Annotated[
        tuple[tuple[Annotated[int, Ge(1)], Annotated[float, Gt(0), Le(1)]], ...],
        Doc("pairs of tokens seen and the share of the peak rate from there on, in order"),
    ]

    @model_validator(mode="after")
    def _ordered(self) -> "Steps":
        tokens = [tokens for tokens, _ in self.milestones]
        if not tokens or tokens != sorted(set(tokens)):
            raise ValueError(f"milestones begin at {tokens} tokens: name at least one, each later than the one before")
        return self


Schedule = Annotated[
    Constant | Cosine | Linear | InverseSquareRoot | WarmupStableDecay | Steps, Field(discriminator="schedule")
]


class BatchStage(NamedTuple):
    """Samples in a batch until so many tokens have been seen."""

    samples: int
    until_tokens: int


@configuration
class LinearRamp:
    """From `start` to the global batch in equal increments of as many tokens each (megatron's --rampup-batch-size)."""

    version: ClassVar[int] = 1
    kind: Literal["linear"] = "linear"
    start: Annotated[int, Ge(1), Doc("samples of the first batch")]
    increment: Annotated[int, Ge(1), Doc("samples that each stage has more than the one before")]
    tokens: Annotated[int, Ge(1), Doc("tokens seen when the global batch is reached")]

    def stages(self, final: int) -> tuple[BatchStage, ...]:
        """Those before the global batch; raises ValueError where increments do not lead to it."""
        count, left = divmod(final - self.start, self.increment)
        if count < 1 or left:
            raise ValueError(
                f"ramp.start={self.start} in increments of {self.increment} does not reach global_batch={final}: "
                "choose an increment that divides the difference"
            )
        return tuple(
            BatchStage(self.start + at * self.increment, -(-self.tokens * (at + 1) // count)) for at in range(count)
        )


@configuration
class StagedRamp:
    """Some batch sizes, one after another, before the global batch (PaLM, Llama 3)."""

    version: ClassVar[int] = 1
    kind: Literal["stages"] = "stages"
    before: Annotated[
        tuple[tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)]], ...],
        Doc("batch sizes before the global batch: pairs of samples and tokens seen when they end, in order"),
    ]

    def stages(self, final: int) -> tuple[BatchStage, ...]:
        """Those before the global batch; raises ValueError where one ends before it begins."""
        ends = [tokens for _, tokens in self.before]
        if not ends or ends != sorted(set(ends)):
            raise ValueError(f"ramp.before ends at {ends} tokens: name at least one, each later than the one before")
        return tuple(BatchStage(*stage) for stage in self.before)


Ramp = Annotated[LinearRamp | StagedRamp, Field(discriminator="kind")]
