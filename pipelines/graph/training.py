"""Training and evaluation after a recipe's token shards."""

from collections.abc import Mapping

from pipelines.engine import roles
from pipelines.engine.identity import FileHash
from pipelines.engine.roles import Role
from pipelines.engine.stage import Stage
from pipelines.graph.recipe import Graph, RecipeError, program
from pipelines.stages.tokenize import TokenizeStage
from pipelines.stages.train import EvaluateWhat, TrainWhat, UntrainedWhat
from pretrain.config import Evaluation


def with_training(graph: Graph, what: TrainWhat, evaluation: Evaluation, steps: int, file_hash: FileHash) -> Graph:
    """Add the trajectory and its two evaluations: step 0, the untrained model, and the last step.

    A recipe without token shards of both sides ends as a corpus, and nothing is added.
    """
    tokens, held_out = _tokens(graph, "train"), _tokens(graph, "held_out")
    if tokens is None or held_out is None:
        return graph

    def stage(name: str, kind: str, of: object, inputs: Mapping[Role, Stage]) -> Stage:
        made = program(kind)
        return graph.add(Stage(name, kind, made.version, of, dict(inputs), made.libraries, file_hash))

    train = stage("train", "train", what, {roles.TOKENS: tokens})
    # Initial weights know nothing of the corpus: cells of a filter sweep share this one.
    start = UntrainedWhat(what.model, what.train.seed, what.precision, evaluation, what.train.initial)
    untrained = stage("untrained", "evaluate", start, {roles.HELD_OUT: held_out})
    inputs = {roles.TRAJECTORY: train, roles.TOKENS: tokens, roles.HELD_OUT: held_out, roles.UNTRAINED: untrained}
    stage("evaluate", "evaluate", EvaluateWhat(evaluation, steps), inputs)
    return graph


def is_held_out(stage: Stage) -> bool:
    """Whether a stage makes the tokens that models are scored on."""
    return _is_of(stage, "held_out")


def _is_of(stage: Stage, side: str) -> bool:
    return isinstance(stage.what, TokenizeStage) and stage.what.side == side


def _tokens(graph: Graph, side: str) -> Stage | None:
    """The recipe's one tokenize stage of a side, if it has one."""
    stages = [stage for stage in graph.stages.values() if _is_of(stage, side)]
    if len(stages) > 1:
        names = [stage.name for stage in stages]
        raise RecipeError(
            f"the recipe has {len(stages)} tokenize stages with side={side} ({names}): training needs one"
        )
    return stages[0] if stages else None
