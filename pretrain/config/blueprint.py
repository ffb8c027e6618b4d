"""Every weight of a model: name, shape, how it is split, drawn and decayed. The one place that knows; no torch here.

Linear weights are [output, input]. What a model has is read from this list by all that draw, split, store, count,
plan or export it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pretrain.config.model import Experts, Gated, Grouped, LayerNorm, Learned, Model, Plain


@dataclass(frozen=True, slots=True)
class Constant:
    """All elements alike."""

    value: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """Normal with mean 0."""

    std: float


@dataclass(frozen=True, slots=True)
class Weight:
    """One global tensor.

    `split` is the axis that tensor parallelism slices and `expert` the one that expert parallelism does; None where
    every rank of the group holds all of it.
    """

    name: str
    shape: tuple[int, ...]
    split: int | None
    expert: int | None
    init: Constant | Drawn
    decay: bool

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def hidden_matrix(self) -> bool:
        """Whether it maps hidden states: neither an embedding, nor the output, nor a vector."""
        return len(self.shape) > 1 and self.name.startswith("layers.")


@dataclass(frozen=True, slots=True)
class _Draft:
    """Makes the weights of a model."""

    model: Model

    def matrix(self, name: str, *shape: int, split: int | None, into_residual: bool = False) -> Weight:
        """A linear or embedding weight; three axes are a matrix for each expert."""
        init = self.model.init
        scaled = into_residual and init.residual == "depth"
        std = init.std / math.sqrt(2 * self.model.layers) if scaled else init.std
        return Weight(f"{name}.weight", shape, split, 0 if len(shape) == 3 else None, Drawn(std), True)

    def bias(self, name: str, size: int, split: int | None) -> Weight:
        """The bias of a linear layer."""
        return Weight(f"{name}.bias", (size,), split, None, Constant(0.0), False)

    def norm(self, name: str, size: int) -> Iterator[Weight]:
        """Gain, and bias where the model's norm has one."""
        yield Weight(f"{name}.weight", (size,), None, None, Constant(1.0), False)
        if isinstance(self.model.norm, LayerNorm):
            yield self.bias(name, size, None)

    def attention(self, prefix: str, part: Grouped) -> Iterator[Weight]:
        """Queries, keys and values by head, and the way back."""
        hidden, width = self.model.hidden, self.model.head_width(part)
        sizes = {"query": part.heads * width, "key": part.groups * width, "value": part.groups * width}
        for name, size in sizes.items():
            yield self.matrix(f"{prefix}.{name}", size, hidden, split=0)
            if part.bias != "none":
                yield self.bias(f"{prefix}.{name}", size, 0)
        if part.query_key_norm:
            yield from self.norm(f"{prefix}.query_norm", width)
            yield from self.norm(f"{prefix}.key_norm", width)
        yield self.matrix(f"{prefix}.output", hidden, sizes["query"], split=1, into_residual=True)
        if part.bias == "all":
            yield self.bias(f"{prefix}.output", hidden, None)

    def feed_forward(self, prefix: str, part: Gated | Plain) -> Iterator[Weight]:
        """One dense feed-forward layer."""
        hidden = self.model.hidden
        for name in ("gate", "up") if isinstance(part, Gated) else ("up",):
            yield self.matrix(f"{prefix}.{name}", part.width, hidden, split=0)
            if part.bias:
                yield self.bias(f"{prefix}.{name}", part.width, 0)
        yield self.matrix(f"{prefix}.down", hidden, part.width, split=1, into_residual=True)
        if part.bias:
            yield self.bias(f"{prefix}.down", hidden, None)

    def experts(self, prefix: str, part: Experts) -> Iterator[Weight]:
        """The router and its experts; an expert's tensors are whole on the rank that has it."""
        hidden, count = self.model.hidden, part.experts
        yield self.matrix(f"{prefix}.router", count, hidden, split=None)
        for name in ("gate", "up"):
            yield self.matrix(f"{prefix}.experts.{name}", count, part.width, hidden, split=None)
        yield self.matrix(f"{prefix}.experts.down", count, hidden, part.width, split=None, into_residual=True)
        if part.shared:
            yield from self.feed_forward(f"{prefix}.shared", Gated(width=part.shared, activation=part.activation))

    def layer(self, index: int) -> Iterator[Weight]:
        """One layer, counted from 0."""
        prefix, part = f"layers.{index}", self.model.feed_forward_of(index)
        yield from self.norm(f"{prefix}.attention_norm", self.model.hidden)
        yield from self.attention(f"{prefix}.attention", self.model.attention_of(index))
        yield from self.norm(f"{prefix}.ffn_norm", self.model.hidden)
        yield from (
            self.experts(f"{prefix}.ffn", part)
            if isinstance(part, Experts)
            else self.feed_forward(f"{prefix}.ffn", part)
        )


def blueprint(model: Model, rows: int) -> tuple[Weight, ...]:
    """Every weight, in reading order; `rows` are those of the embedding (`padded_vocabulary`)."""
    draft = _Draft(model)
    weights = [draft.matrix("embedding", rows, model.hidden, split=0)]
    if isinstance(model.position, Learned):
        weights.append(draft.matrix("position", model.sequence_length, model.hidden, split=None))
    for index in range(model.layers):
        weights += draft.layer(index)
    weights += draft.norm("final_norm", model.hidden)
    if not model.embedding.tied:
        weights.append(draft.matrix("output", rows, model.hidden, split=0))
    return tuple(weights)


def parameters(model: Model, rows: int) -> int:
    """Number of parameters."""
    return sum(weight.size for weight in blueprint(model, rows))


def _active(model: Model, weight: Weight) -> int:
    """Elements that one token meets: of experts, only those chosen."""
    if weight.expert is None:
        return weight.size
    part = model.feed_forward_of(int(weight.name.split(".")[1]))
    return weight.size * part.chosen // part.experts if isinstance(part, Experts) else weight.size


def active_parameters(model: Model, rows: int) -> int:
    """Parameters that one token meets."""
    return sum(_active(model, weight) for weight in blueprint(model, rows))


def training_flops(model: Model, rows: int) -> int:
    """Model FLOPs of a token in training, forward and backward, with attention to the past alone.

    6 for each element of a matrix product, and 6 x layers x heads x width x sequence for attention: half of PaLM's 12
    (Chowdhery et al., arXiv:2204.02311, appendix B), since half of each score matrix is never needed. The input
    embedding is a look-up, unless it is the output layer too.
    """
    looked_up = {"position.weight"} | ({"embedding.weight"} if not model.embedding.tied else set())
    products = [w for w in blueprint(model, rows) if len(w.shape) > 1 and w.name not in looked_up]
    parts = [model.attention_of(index) for index in range(model.layers)]
    attention = sum(part.heads * model.head_width(part) for part in parts) * model.sequence_length
    return 6 * sum(_active(model, weight) for weight in products) + 6 * attention
