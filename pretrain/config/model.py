"""The network as a composition of parts, each told apart by its `kind`."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, model_validator

from corpus.configuration import Doc, configuration

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]
Dropout = Annotated[float, Ge(0), Lt(1)]


@configuration
class Embedding:
    """Tokens to vectors, and back where tied."""

    version: ClassVar[int] = 1
    tied: Annotated[bool, Doc("the output layer shares the embedding's weights")] = True
    dropout: Annotated[Dropout, Doc("dropout after the embedding")] = 0.0


@configuration
class Rotary:
    """RoPE (Su et al., arXiv:2104.09864), first half of a head paired with the second."""

    version: ClassVar[int] = 1
    kind: Literal["rotary"] = "rotary"
    base: Annotated[float, Gt(1), Doc("base of the rotary frequencies")] = 10000.0
    fraction: Annotated[float, Gt(0), Le(1), Doc("share of a head's width that is rotated")] = 1.0


@configuration
class Learned:
    """A learned vector for each position of the sequence, added to the embedding (GPT-2)."""

    version: ClassVar[int] = 1
    kind: Literal["learned"] = "learned"


@configuration
class Unplaced:
    """No positions: causal attention alone tells them (Kazemnejad et al., arXiv:2305.19466)."""

    version: ClassVar[int] = 1
    kind: Literal["none"] = "none"


@configuration
class RootMeanSquare:
    """RMSNorm (Zhang and Sennrich, arXiv:1910.07467): a gain, no bias."""

    version: ClassVar[int] = 1
    kind: Literal["rms"] = "rms"
    epsilon: Annotated[float, Gt(0), Doc("added under the root")] = 1e-5


@configuration
class LayerNorm:
    """LayerNorm (Ba et al., arXiv:1607.06450): a gain and a bias."""

    version: ClassVar[int] = 1
    kind: Literal["layer"] = "layer"
    epsilon: Annotated[float, Gt(0), Doc("added under the root")] = 1e-5


@configuration
class PreNorm:
    """Norm, attention, add; norm, feed-forward, add (GPT-2)."""

    version: ClassVar[int] = 1
    kind: Literal["pre_norm"] = "pre_norm"
    dropout: Annotated[Dropout, Doc("dropout of what is added to the residual stream")] = 0.0


@configuration
class Grouped:
    """Attention with as many key and value heads as groups (Ainslie et al., arXiv:2305.13245)."""

    version: ClassVar[int] = 1
    kind: Literal["grouped"] = "grouped"
    heads: Annotated[int, Ge(1), Doc("query heads")]
    groups: Annotated[int, Ge(1), Doc("key and value heads; equal to heads for multi-head attention")]
    width: Annotated[int, Ge(0), Doc("width of a head; 0: hidden / heads")] = 0
    bias: Annotated[Literal["none", "qkv", "all"], Doc("which of its linear layers have a bias")] = "none"
    query_key_norm: Annotated[bool, Doc("norm of queries and keys by head (Henry et al., arXiv:2010.04245)")] = False
    dropout: Annotated[Dropout, Doc("dropout of attention weights")] = 0.0


@configuration
class Gated:
    """down(activation(gate(x)) * up(x)) (Shazeer, arXiv:2002.05202); silu makes it SwiGLU."""

    version: ClassVar[int] = 1
    kind: Literal["gated"] = "gated"
    width: Annotated[int, Ge(1), Doc("inner width")]
    activation: Annotated[Activation, Doc("of the gate")] = "silu"
    bias: Annotated[bool, Doc("its linear layers have a bias")] = False


@configuration
class Plain:
    """down(activation(up(x))), as in GPT-2 and OPT."""

    version: ClassVar[int] = 1
    kind: Literal["plain"] = "plain"
    width: Annotated[int, Ge(1), Doc("inner width")]
    activation: Annotated[Activation, Doc("between the two")] = "gelu"
    bias: Annotated[bool, Doc("its linear layers have a bias")] = True


@configuration
class Experts:
    """A mixture of gated experts without dropped tokens; a router chooses some for each token (arXiv:2101.03961)."""

    version: ClassVar[int] = 1
    kind: Literal["experts"] = "experts"
    experts: Annotated[int, Ge(2), Doc("how many there are")]
    chosen: Annotated[int, Ge(1), Doc("how many a token goes to")]
    width: Annotated[int, Ge(1), Doc("inner width of an expert")]
    activation: Annotated[Activation, Doc("of the gate")] = "silu"
    shared: Annotated[int, Ge(0), Doc("inner width of an expert that every token goes to; 0: none")] = 0
    score: Annotated[Literal["softmax", "sigmoid"], Doc("how the router's logits of the chosen become weights")] = (
        "softmax"
    )
    balance: Annotated[float, Ge(0), Doc("coefficient of the load-balancing loss, by sequence (arXiv:2401.06066)")] = (
        0.0
    )


@configuration
class Normal:
    """Normal weights, gains of 1, biases of 0."""

    version: ClassVar[int] = 1
    kind: Literal["normal"] = "normal"
    std: Annotated[float, Gt(0), Doc("standard deviation")] = 0.02
    residual: Annotated[
        Literal["depth", "none"],
        Doc("projections into the residual stream; depth: divided by the root of 2 x layers (GPT-2)"),
    ] = "depth"


Position = Annotated[Rotary | Learned | Unplaced, Field(discriminator="kind")]
Norm = Annotated[RootMeanSquare | LayerNorm, Field(discriminator="kind")]
FeedForward = Annotated[Gated | Plain | Experts, Field(discriminator="kind")]


@configuration
class Override:
    """What some layers have instead."""

    version: ClassVar[int] = 1
    attention: Annotated[Grouped | None, Doc("their attention")] = None
    feed_forward: Annotated[FeedForward | None, Doc("their feed-forward layer")] = None


def _layers(key: str) -> range:
    """The layers that a key of `overrides` names: `3`, or `0-2` with both ends."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", key)
    if match is None:
        raise ValueError(f"overrides.{key}: name layers as 3, or as 0-2 with both ends")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


@configuration
class Model:
    """A decoder: embedding, layers of attention and feed-forward, norm, output. By default in LLaMA's shape."""

    version: ClassVar[int] = 2
    layers: Annotated[int, Ge(1), Doc("layers of attention and feed-forward")]
    hidden: Annotated[int, Ge(2), Doc("width of the residual stream")]
    sequence_length: Annotated[int, Ge(2), Doc("tokens of context in training and evaluation")]
    vocabulary: Annotated[int, Ge(0), Doc("rows of the embedding; 0: the tokenizer's size rounded up to 128")] = 0
    embedding: Annotated[Embedding, Doc("tokens to vectors, and back where tied")] = Field(default_factory=Embedding)
    position: Annotated[Position, Doc("how a token's place is told")] = Field(default_factory=Rotary)
    norm: Annotated[Norm, Doc("every norm of the network")] = Field(default_factory=RootMeanSquare)
    block: Annotated[PreNorm, Doc("how a layer is put together")] = Field(default_factory=PreNorm)
    attention: Annotated[Grouped, Doc("attention of every layer")]
    feed_forward: Annotated[FeedForward, Doc("feed-forward of every layer")]
    overrides: Annotated[
        Mapping[str, Override], Doc("what single layers have instead, by layer: 0, or 0-2 with both ends")
    ] = Field(default_factory=dict)
    init: Annotated[Normal, Doc("initial weights")] = Field(default_factory=Normal)

    @model_validator(mode="after")
    def _possible(self) -> "Model":
        seen: set[int] = set()
        for key in self.overrides:
            layers = set(_layers(key))
            if not layers or max(layers) >= self.layers or layers & seen:
                raise ValueError(f"overrides.{key}: layers are 0 to {self.layers - 1}, each named once")
            seen |= layers
        for place, attention, feed_forward in self._parts():
            self._check_attention(place, attention)
            if isinstance(feed_forward, Experts) and feed_forward.chosen > feed_forward.experts:
                raise ValueError(
                    f"{place}feed_forward.chosen={feed_forward.chosen} of experts={feed_forward.experts}: choose fewer"
                )
            biased = not isinstance(feed_forward, Experts) and feed_forward.bias
            if biased != (attention.bias == "all"):
                raise ValueError(
                    f"{place}attention.bias={attention.bias} beside {place}feed_forward.kind={feed_forward.kind} with "
                    f"bias={str(biased).lower()}: megatron-core's layers have a bias in both or in neither"
                )
        return self

    def _parts(self) -> Iterator[tuple[str, Grouped, "FeedForward"]]:
        yield "", self.attention, self.feed_forward
        for key, override in self.overrides.items():
            yield f"overrides.{key}.", override.attention or self.attention, override.feed_forward or self.feed_forward

    def _check_attention(self, place: str, attention: Grouped) -> None:
        heads, width = attention.heads, self.head_width(attention)
        if not attention.width and self.hidden % heads:
            raise ValueError(
                f"hidden={self.hidden} over {place}attention.heads={heads} is no whole width of a head: change either, "
                f"or set {place}attention.width"
            )
        if heads % attention.groups:
            raise ValueError(
                f"{place}attention.groups={attention.groups} does not divide heads={heads}: choose a divisor"
            )
        if isinstance(self.position, Rotary) and (width * self.position.fraction) % 2:
            raise ValueError(
                f"position.fraction={self.position.fraction} of a head's width {width} is no even number, which "
                f"position.kind=rotary needs: change either"
            )

    @property
    def drops(self) -> bool:
        """Whether there is dropout anywhere."""
        parts = (attention.dropout for _, attention, _ in self._parts())
        return any((self.embedding.dropout, self.block.dropout, *parts))

    def head_width(self, attention: Grouped) -> int:
        """Width of one head."""
        return attention.width or self.hidden // attention.heads

    def override(self, layer: int) -> Override:
        """What a layer has instead of the model's own parts."""
        return next((found for key, found in self.overrides.items() if layer in _layers(key)), Override())

    def attention_of(self, layer: int) -> Grouped:
        """The attention of a layer, counted from 0."""
        return self.override(layer).attention or self.attention

    def feed_forward_of(self, layer: int) -> Gated | Plain | Experts:
        """The feed-forward of a layer, counted from 0."""
        return self.override(layer).feed_forward or self.feed_forward
