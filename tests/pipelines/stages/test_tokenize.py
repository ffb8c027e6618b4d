"""The tokenize stage: tokens of who came in, by component, beside Hugging Face's tokenizer on one text at a time."""

from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from corpus.tokenize import END_OF_DOCUMENT, train_bpe
from pipelines.stages.tokenize import PROGRAM, TokenizeStage
from tests.pipelines.stages import small

LANGUAGE = pa.schema([pa.field("language", pa.string(), nullable=False)])


@cache
def trained() -> str:
    """A tokenizer.json, of the texts that documents are drawn from."""
    return train_bpe([text for _, text in small.pool()], 600).decode()


@cache
def tokens_of(text: str) -> tuple[int, ...]:
    """Ids of one text, by the other implementation, and the end of the document."""
    spec = Tokenizer.from_str(trained())
    return (*spec.encode(text).ids, spec.token_to_id(END_OF_DOCUMENT))


@pytest.mark.parametrize(
    ("side", "components"), [("train", "language"), ("train", "both"), ("held_out", "source"), ("held_out", "both")]
)
@small.examples(2)
@given(seed=st.integers(0, 1 << 32))
def test_tokens_are_those_of_each_document_that_came_in(store, seed, side, components):
    root, rows = store(), small.documents(seed)
    where = {row["id"]: (0, 1, 0, 2, 0)[at % 5] for at, row in enumerate(rows)}
    train = {identifier for identifier, at in where.items() if at == 0}
    early = {row["id"] for at, row in enumerate(rows) if at % 7 == 0} & train
    for at, row in enumerate(rows):
        row["language"] = ("zh", "en", "中文-x")[at % 3] if at < 9000 else "zh"
    edition = small.edition(root, rows)
    inputs = {
        "edition": edition,
        "sides": small.sides(root, rows, where),
        "tokenizer": small.tokenizer(root, trained()),
        "measure.language": small.measure(root, edition, rows, LANGUAGE),
    }
    came = {identifier for identifier, at in where.items() if at == 1}
    if side == "train":
        inputs["verdict.00"], came = small.verdicts(root, rows, train, early), train - early
    what = TokenizeStage(input="x", tokenizer="y", side=side, components=components)
    made = small.made(root, PROGRAM, what, inputs)
    wanted: dict[str, list[small.Row]] = {}
    for row in rows:
        names = {"language": row["language"], "source": row["source"], "both": f"{row['source']}.{row['language']}"}
        if row["id"] in came:
            size, ids = len(row["text"].encode()), list(tokens_of(row["text"]))
            wanted.setdefault(names[components], []).append({"id": row["id"], "bytes": size, "tokens": ids})
    assert {name: made.rows(name) for name in wanted} == wanted
    figures = made.artifact.figures
    assert figures["components"] == {
        name: {
            "documents": len(each),
            "tokens": sum(len(row["tokens"]) for row in each),
            "bytes": sum(row["bytes"] for row in each),
        }
        for name, each in wanted.items()
    }
    assert (figures["vocabulary"], figures["eod"]) == (600, 0)
    assert {name.rpartition("-")[0] for name in made.artifact.files} == wanted.keys()
    small.reconciled(made.artifact.tally, came, came, {})
