"""The root of the typed configuration. WHAT is hashed into stages; WHERE never is."""

import json
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.plugins import Family
from corpus.sources.source import SOURCES, Source
from pipelines.graph.kinds import GROUP, Spec
from pipelines.graph.recipe import PACKAGED
from pipelines.graph.where import Cluster, Run, Site
from pretrain.config import Evaluation, Layout, Mixture, Model, Precision, Train

PARTS = Family("kind", (*SOURCES, *(kind.spec for kind in PACKAGED)), {"siku.sources": Source, GROUP: Spec})
AnyStage = Annotated[Source | Spec, PARTS]

WHAT = frozenset({"recipe", "model", "train", "precision", "mixture", "evaluation"})
WHERE = frozenset({"layout", "site", "cluster", "run"})


@configuration
class Config:
    """Everything from crawl to validation loss."""

    recipe: Annotated[dict[str, AnyStage], Doc("the corpus: stages by name, each naming its input")]
    model: Annotated[Model, Doc("the network")]
    train: Annotated[Train, Doc("how it is trained")]
    precision: Annotated[Precision, Doc("number formats")] = Field(default_factory=Precision)
    mixture: Annotated[Mixture, Doc("shares of the components")] = Field(default_factory=Mixture)
    evaluation: Annotated[Evaluation, Doc("how bits per byte are measured")] = Field(default_factory=Evaluation)
    layout: Annotated[Layout, Doc("parallelism and device")] = Field(default_factory=Layout)
    site: Annotated[Site, Doc("store, workers, host names")] = Field(default_factory=Site)
    cluster: Annotated[Cluster, Doc("job scheduler")] = Field(default_factory=Cluster)
    run: Annotated[Run, Doc("how far, and under what name")] = Field(default_factory=Run)

    def plain(self) -> dict[str, Any]:
        """All values as JSON has them: paths and names of stages as they are, no hashes."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain

    def what(self) -> dict[str, Any]:
        """Plain values of WHAT alone."""
        return {key: value for key, value in self.plain().items() if key in WHAT}
