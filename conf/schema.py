"""The root of the typed configuration. WHAT is hashed into stages; WHERE never is."""

from typing import Annotated

from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.crawling.source import CrawlSource
from corpus.sources.html import HtmlSource
from corpus.sources.jsonl import JsonlSource
from corpus.sources.warc import WarcSource
from pipelines.graph.where import Cluster, Run, Site
from pipelines.stages.decontaminate import DecontaminateStage
from pipelines.stages.dedupe import DedupeStage
from pipelines.stages.edit import EditStage
from pipelines.stages.extract import ExtractStage
from pipelines.stages.filter import FilterStage
from pipelines.stages.measure import MeasureStage
from pipelines.stages.split import SplitStage
from pipelines.stages.tokenize import TokenizeStage
from pipelines.stages.tokenizer import TokenizerStage
from pipelines.stages.union import UnionStage
from pretrain.config import Evaluation, Layout, Mixture, Model, Precision, Train

AnyStage = Annotated[
    CrawlSource
    | HtmlSource
    | WarcSource
    | JsonlSource
    | ExtractStage
    | EditStage
    | MeasureStage
    | UnionStage
    | SplitStage
    | FilterStage
    | DedupeStage
    | DecontaminateStage
    | TokenizerStage
    | TokenizeStage,
    Field(discriminator="kind"),
]

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
