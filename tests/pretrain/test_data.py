"""Batches hold exactly the tokens that the order names, from shards read where they lie."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.document import tokens_schema
from corpus.shard import ShardError, open_shard, write_shard
from pretrain.config import Mixture
from pretrain.data.batches import Batches, context_positions, replica_range
from pretrain.data.shards import TokenError, TokenShards
from tests.pretrain.tools import VOCABULARY, write_tokens


def documents(paths: list[Path]) -> dict[bytes, list[int]]:
    rows = [row for path in paths for row in open_shard(path).to_pylist()]
    return {row["id"]: row["tokens"] for row in rows}


def test_samples_are_the_spans_tokens_over_epochs_shards_and_a_blend(tmp_path: Path):
    zh = [write_tokens(tmp_path / f"zh-{part}.arrow", "zh", 9, part) for part in range(2)]
    en = [write_tokens(tmp_path / "en.arrow", "en", 5, 7)]
    batches = Batches(
        {"zh": [*map(str, zh)], "en": [*map(str, en)]}, Mixture(weights={"zh": 3, "en": 1}), 64, 5, VOCABULARY
    )
    spans = batches.order.spans(0, 200)
    assert {span.epoch for span in spans} >= {0, 1, 2} and {span.source for span in spans} == {"zh", "en"}
    texts = documents([*zh, *en])
    expected = np.array([token for span in spans for token in texts[span.document][span.start : span.stop]])
    assert np.array_equal(batches.samples(0, 200).reshape(-1), expected)
    parts = [*batches.micro_batches(40, 64, 8)]
    assert len(parts) == 3 and np.array_equal(np.concatenate(parts), batches.samples(40, 64))


def test_a_sample_belongs_to_one_replica_whatever_their_number():
    for replicas in (1, 2, 4):
        found = [replica_range(first, first + 8, replica, replicas) for first in (0, 8) for replica in range(replicas)]
        assert [at for first, last in found for at in range(first, last)] == list(range(16))


def test_context_parallel_ranks_share_out_a_sequence_with_as_much_past_each():
    for ranks, length in ((1, 7), (2, 8), (4, 48)):
        parts = [context_positions(rank, ranks, length) for rank in range(ranks)]
        assert sorted(np.concatenate(parts).tolist()) == list(range(length))
        assert len({part.sum() for part in parts}) == 1
    assert context_positions(1, 2, 8).tolist() == [2, 3, 4, 5]


def test_shards_are_mapped_not_copied(tmp_path: Path):
    shards = TokenShards("en", [str(write_tokens(tmp_path / "en.arrow", "en", 50, 3))])
    before = pa.total_allocated_bytes()
    tokens = shards.tokens(17)
    assert not tokens.flags.owndata and not tokens.flags.writeable and pa.total_allocated_bytes() == before
    assert tokens.tolist() == [*documents([tmp_path / "en.arrow"]).values()][17]
    assert shards.tokens(17, 1, 3).tolist() == tokens[1:3].tolist()
    assert len(shards) == 50 and shards.counts(VOCABULARY).sum() == shards.lengths.sum()
    assert TokenShards("none", []).lengths.tolist() == []


def test_a_token_beyond_the_vocabulary_is_refused(tmp_path: Path):
    path = write_tokens(tmp_path / "zh.arrow", "zh", 30, 1)
    with pytest.raises(TokenError, match=r"of 'zh' holds token \d+, but the vocabulary ends at 200"):
        Batches({"zh": [str(path)]}, Mixture(), 16, 1, 200).samples(0, 40)
    with pytest.raises(TokenError, match=r"component 'zh' holds token \d+, but the vocabulary ends at 200"):
        TokenShards("zh", [str(path)]).counts(200)


def test_a_missing_or_corrupt_shard_names_its_file(tmp_path: Path):
    with pytest.raises(ShardError, match=r"none.arrow is missing"):
        TokenShards("en", [str(tmp_path / "none.arrow")])
    path = write_tokens(tmp_path / "en.arrow", "en", 3, 1)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ShardError, match=r"en.arrow"):
        TokenShards("en", [str(path)])


def test_wide_vocabularies_are_uint32(tmp_path: Path):
    schema = tokens_schema("uint32")
    rows = [{"id": b"%016d" % at, "bytes": 5, "tokens": [70_000 + at, 0]} for at in range(3)]
    write_shard(tmp_path / "w.arrow", [pa.RecordBatch.from_pylist(rows, schema)], schema, compressed=False)
    found = Batches({"w": [str(tmp_path / "w.arrow")]}, Mixture(), 2, 1, 70_003).samples(0, 3)
    assert sorted(found[:, :2].reshape(-1).tolist()) == [0, 0, 0, 70_000, 70_001, 70_002]
