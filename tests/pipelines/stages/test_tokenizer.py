"""The tokenizer stage: trained on a hash sample of the training side, and on nothing else."""

import hashlib
import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from corpus.tokenize import train_bpe
from pipelines.stages.tokenizer import PROGRAM, TokenizerStage
from tests.pipelines.stages import small

LANGUAGE = pa.schema([pa.field("language", pa.string(), nullable=False)])
# Eight bytes that tell a document's fate; a tokenizer that has read it has merged some of them.
READ, HELD, UNFIT, OTHER, UNDRAWN = "zyzyzyzy", "qqqqqqqq", "vvvvvvvv", "jjjjjjjj", "XXXXXXXX"


def drawn(identifier: bytes, what: TokenizerStage, size: int) -> bool:
    """Whether the sample holds a document: the first 64 bits of SHA-256(salt, id) below the share."""
    share = min(what.sample, what.max_bytes / size)
    return int(hashlib.sha256(what.salt.encode() + identifier).hexdigest()[:16], 16) < int(share * 2**64)


@small.examples(3)
@given(
    seed=st.integers(0, 1 << 32),
    sample=st.floats(0.2, 0.8),
    shrunk=st.booleans(),
    languages=st.sampled_from([[], ["zh", "en"]]),
)
def test_it_is_trained_on_the_sample_of_the_training_side_alone(store, seed, sample, shrunk, languages):
    root, rows = store(), small.documents(seed)
    size = sum(len(row["text"].encode()) + 8 for row in rows)
    most = int(size * sample / 2) if shrunk else size
    what = TokenizerStage(
        input="x", vocabulary=400, sample=sample, max_bytes=most, languages=languages, salt=f"盐{seed}"
    )
    side, texts = {}, []
    for at, row in enumerate(rows):
        row["language"] = ("zh", "en", "fr")[at % 3]
        side[row["id"]] = (0, 1, 0, 2, 0)[at % 5]
        fate = (READ, HELD, UNFIT)[side[row["id"]]]
        if fate is READ and languages and row["language"] not in languages:
            fate = OTHER
        if fate is READ and not drawn(row["id"], what, size):
            fate = UNDRAWN
        row["text"] += fate
        texts += [row["text"]] if fate is READ else []
    edition = small.edition(root, rows)
    inputs = {"edition": edition, "sides": small.sides(root, rows, side)}
    if languages:
        inputs["measure.language"] = small.measure(root, edition, rows, LANGUAGE)
    made = small.made(root, PROGRAM, what, inputs)
    assert made.artifact.figures["documents"] == len(texts) > 300
    trained = made.artifact.path("tokenizer").read_bytes()
    assert trained == train_bpe(texts, 400)
    merged = {mark for mark in (READ, HELD, UNFIT, OTHER, UNDRAWN) if mark[:2] in json.loads(trained)["model"]["vocab"]}
    assert merged == {READ}
