"""The rule that turns gradients into updates: WHAT."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from pydantic import Field

from corpus.configuration import Doc, configuration

Share = Annotated[float, Ge(0), Lt(1)]


@configuration
class _Common:
    """What every rule has. Weight decay is decoupled, times the rate, and spares vectors such as norms and biases."""

    lr: Annotated[float, Gt(0), Doc("peak learning rate")] = 1e-3
    weight_decay: Annotated[float, Ge(0), Doc("decoupled weight decay")] = 0.1
    clip: Annotated[float, Gt(0), Doc("largest global gradient norm")] = 1.0


@configuration
class AdamW(_Common):
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101)."""

    version: ClassVar[int] = 1
    kind: Literal["adamw"] = "adamw"
    beta1: Annotated[Share, Doc("decay of the first moment")] = 0.9
    beta2: Annotated[Share, Doc("decay of the second moment")] = 0.95
    epsilon: Annotated[float, Gt(0), Doc("added to the second moment's root")] = 1e-8


@configuration
class Lion(_Common):
    """Lion (Chen et al., arXiv:2302.06675): the sign of a momentum. Wants a rate 3 to 10 times below AdamW's, and a
    weight decay as much above."""

    version: ClassVar[int] = 1
    kind: Literal["lion"] = "lion"
    beta1: Annotated[Share, Doc("share of the momentum in what is stepped by")] = 0.9
    beta2: Annotated[Share, Doc("decay of the momentum")] = 0.99


@configuration
class Muon(_Common):
    """Muon for the layers' matrices: a momentum made orthogonal (Jordan et al., 2024). AdamW for embeddings, output and
    vectors, with the same rate unless `rest_lr` says otherwise."""

    version: ClassVar[int] = 1
    kind: Literal["muon"] = "muon"
    momentum: Annotated[Share, Doc("decay of the momentum")] = 0.95
    nesterov: Annotated[bool, Doc("look one step ahead along the momentum")] = True
    iterations: Annotated[int, Ge(1), Doc("Newton-Schulz iterations")] = 5
    scale: Annotated[
        Literal["rms", "spectral"],
        Doc("rms: 0.2 sqrt(max(out, in)), as AdamW steps (arXiv:2502.16982); spectral: sqrt(max(1, out/in))"),
    ] = "rms"
    rest_lr: Annotated[float, Ge(0), Doc("peak rate of AdamW for the rest; 0: lr")] = 0.0
    beta1: Annotated[Share, Doc("AdamW's, for the rest")] = 0.9
    beta2: Annotated[Share, Doc("AdamW's, for the rest")] = 0.95
    epsilon: Annotated[float, Gt(0), Doc("AdamW's, for the rest")] = 1e-8


Optimizer = Annotated[AdamW | Lion | Muon, Field(discriminator="kind")]
