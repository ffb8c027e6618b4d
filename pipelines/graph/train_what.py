"""What is trained, with the run that `train.trunk` names resolved to the identity of its training."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.files import Posix
from pipelines.engine.store import Store
from pipelines.graph.recipe import RecipeError
from pipelines.graph.records import named, record_of
from pipelines.stages.train import TrainWhat
from pretrain.state.trajectory import TRAJECTORY

if TYPE_CHECKING:
    from conf.schema import Config


def train_what(config: "Config", root: Path) -> TrainWhat:
    """WHAT of the training; raises RecipeError for a trunk that is not there."""
    train = config.train
    if train.trunk:
        train = replace(train, trunk=_resolved(train.trunk, root))
    return TrainWhat(model=config.model, train=train, precision=config.precision, mixture=config.mixture)


def trunk_directory(what: TrainWhat, store: Store) -> Path | None:
    """Folder of the trajectory that a training starts from."""
    digest, _, _ = what.train.trunk.rpartition("@")
    return store.directory("train", digest) if digest else None


def _resolved(trunk: str, root: Path) -> str:
    """`<run>@<step>` as `<digest>@<step>`: a name can come to mean another run, a digest cannot.

    Raises StoreError for a run whose record is damaged.
    """
    name, _, step = trunk.rpartition("@")
    if Posix(Store(root).directory("train", name)).head(TRAJECTORY) is not None:
        return trunk
    stages = record_of(root, name).body["stages"] if name in named(root) else []
    digests = [stage["digest"] for stage in stages if stage["kind"] == "train"]
    if not digests:
        cause = "was never trained" if stages else "is no finished run of this store (`siku ls` lists them)"
        raise RecipeError(f"train.trunk={trunk}: {name} {cause}: name a run that trained, as <run>@<step>")
    return f"{digests[0]}@{step}"
