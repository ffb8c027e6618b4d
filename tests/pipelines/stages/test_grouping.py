"""Candidates, verification and components against brute force: the same whatever the batches, buckets and memory."""

import itertools
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from corpus.dedup import TIES, Bands
from pipelines.engine.stage import Context, Item, Work
from pipelines.engine.work import do_item
from pipelines.stages.grouping import candidates, rounds, verify
from pipelines.stages.grouping import node as nodes
from pipelines.stages.grouping.candidates import EDGE, KEY_ROWS, PAIR
from pipelines.stages.grouping.components import LABEL, edge_files, edges_in, label_shuffle, union_find, within_memory
from tests.pipelines.stages.bench import Bench, identifier

SIMILAR, SAME, COPY = (TIES.index(tie) for tie in ("similar", "same", "copy"))
HOMES = 4


def node_of(number, rank=nodes.OWN):
    """Document n: row n // HOMES of home n % HOMES; ids that end in zero bytes among them."""
    ids = pa.array([number.to_bytes(2, "big") + bytes(14)], pa.binary(16))
    return nodes.nodes(rank, ids, number % HOMES, np.array([number // HOMES]))[0].as_py()


def number_of(node):
    return int.from_bytes(node[1:3], "big")


DOCUMENTS = st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1)), max_size=5)


@given(DOCUMENTS, st.integers(0, 2**32 - 1))
def test_a_node_says_which_document_it_is(documents, home):
    ids, rows = pa.array([i for i, _ in documents], pa.binary(16)), np.array([r for _, r in documents], np.uint32)
    column = nodes.nodes(nodes.OWN, ids, home, rows)
    assert nodes.ids(column).equals(ids) and nodes.rows(column).tolist() == rows.tolist()
    assert nodes.homes(column).tolist() == [home] * len(ids) and set(nodes.ranks(column)) <= {nodes.OWN}
    assert nodes.column(nodes.raw(column)).equals(column)
    earlier = nodes.nodes(nodes.EARLIER, ids, home, rows)
    assert all(a < b for a in nodes.raw(earlier) for b in nodes.raw(column))  # what an earlier run kept comes first
    order = np.argsort(nodes.raw(column), kind="stable")
    assert [documents[i][0] for i in order] == sorted(i for i, _ in documents)


# Candidates.

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 3)), max_size=40)


def key_rows(rows):
    """KEY_ROWS of (key, document, sketch); keys below 3 are of similar documents, those below 4 an earlier run's."""
    table = sorted({(key, node_of(d, nodes.EARLIER if d < 4 else nodes.OWN), sketch) for key, d, sketch in rows})
    ties = [SIMILAR if key < 3 else SAME if key == 3 else COPY for key, _, _ in table]
    columns = [[r[0] for r in table], [r[1] for r in table], ties, [r[2] << 62 | r[2] for r in table]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, KEY_ROWS, strict=True)], schema=KEY_ROWS)


@given(ROWS)
def test_a_group_proposes_a_star_and_similar_ones_their_neighbours_too(rows):
    table = key_rows(rows)
    if not table.num_rows:
        return
    node = [number_of(n) for n in table["node"].to_pylist()]
    key, sketch = table["key"].to_pylist(), table["sketch"].to_pylist()

    def wanted(pairs):
        """Not two that the earlier run has, nor one document twice."""
        return [(min(p), max(p)) for p in pairs if p[0] != p[1] and max(p) >= 4]

    near, star = ([(node[a], node[b]) for a, b in found.tolist()] for found in candidates.proposed(table))
    groups = [[i for i in range(len(key)) if key[i] == k] for k in sorted(set(key))]
    stars = {key[g[0]]: wanted((node[g[0]], node[i]) for i in g) for g in groups}
    assert sorted(star) == sorted(pair for k, pairs in stars.items() if k >= 3 for pair in pairs)
    every = set()
    for group in (g for g in groups if key[g[0]] < 3):
        ordered = [node[i] for i in sorted(group, key=lambda i: (sketch[i], i))]
        assert set(stars[key[group[0]]]) | set(wanted(itertools.pairwise(ordered))) <= set(near)
        every |= set(wanted(itertools.combinations([node[i] for i in group], 2)))
    assert set(near) <= every and wanted(near) == near and len(near) <= 3 * table.num_rows


@given(ROWS, st.lists(st.integers(0, 40), max_size=4), st.integers(2, 7))
def test_groups_are_whole_however_rows_come_in_batches(rows, cuts, most):
    table = key_rows(rows)
    edges = sorted({0, *(min(cut, table.num_rows) for cut in cuts), table.num_rows})
    batches = [table.slice(a, z - a).combine_chunks().to_batches()[0] for a, z in itertools.pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "MOST", most)
        found = [part.to_pylist() for part in candidates.whole_groups(iter(batches))]
        whole = table.combine_chunks().to_batches()
        if len(batches) > 1:  # a key of many rows is cut at the same rows
            many = [part for part in found if len(part) == most and len({row["key"] for row in part}) == 1]
            again = [part.to_pylist() for part in candidates.whole_groups(iter(whole))]
            assert all(part in again for part in many if part[0]["key"] == table["key"].to_pylist()[-1])
    seen = []
    for part in found:
        seen += part[1:] if part[0] in seen else part  # a key that goes on begins with its first row
    assert seen == table.to_pylist()
    firsts = {row["key"]: row for row in reversed(seen)}
    for part in found:
        for key, group in itertools.groupby(part, lambda row: row["key"]):
            assert next(group) == firsts[key]


# Verification.


def documents(root, count, shards, seed):
    rng = np.random.default_rng(seed)
    made = Bench(root, [{"id": identifier(f"{seed} {n}")} for n in range(count)], shards)
    values = rng.integers(0, 4, (count, 8), dtype=np.uint32).astype("<u4")
    made.measure("signature", pa.table({"signature": pa.array([v.tobytes() for v in values], pa.binary(32))}))
    made.keys(near=Bands(bands=2, rows=2))
    return made, values


def placed(made):
    """Nodes of the documents of each home shard."""
    for home, (first, stop) in enumerate(itertools.pairwise(made.edges)):
        yield nodes.nodes(nodes.OWN, made.ids[first:stop], home, np.arange(stop - first))


@given(st.integers(0, 1 << 30), st.sampled_from([1, 2, 3]), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_signatures_that_come_to_the_edges_verify_the_same_as_all_at_once(seed, shards, least):
    """Every pair whose documents agree in `least` or more of their values, and no other, once."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        made, values = documents(Path(folder), 400, shards, seed)
        context = Context("g", "dedupe", None, Path(folder) / "g", made.inputs, {"memory": 1 << 20})
        pairs = np.unique(np.sort(rng.integers(0, 400, (3000, 2)), axis=1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        home = np.searchsorted(made.edges, np.arange(400), "right") - 1
        raw = np.concatenate([nodes.raw(part) for part in placed(made)])
        twice = np.concatenate([pairs, pairs[::3]])  # documents that share several keys
        columns = [pa.array(home[twice[:, 0]], pa.uint32()), *(nodes.column(raw[side]) for side in twice.T)]
        context.directory.mkdir()
        with context.begin("edges", "00000") as attempt:
            buckets = candidates.home_buckets(context)
            with candidates.edge_shuffle(context).scatter(Work(context, Item("00000")), attempt, buckets) as sorters:
                sorters["near"].add(pa.record_batch(columns, schema=EDGE))
        verified = partial(verify.verify_edges, least=least)
        for phase, function in (("signed", verify.sign_edges), ("verified", verified)):
            for number in range(shards):
                with context.begin(phase, f"{number:05d}") as attempt:
                    function(Work(context, Item(f"{number:05d}")), attempt)
        kept = pa.concat_tables([edges_in(path) for path in edge_files(context)])
        count = sum(commit.figures["candidates"] for commit in context.commits("signed").values())
    place = {node: n for n, node in enumerate(raw.tolist())}
    ends = [nodes.raw(kept[side]).tolist() for side in "ab"]
    found = sorted((place[a], place[b]) for a, b in zip(*ends, strict=True))
    alike = (values[pairs[:, 0]] == values[pairs[:, 1]]).mean(axis=1)
    assert found == [tuple(pair) for pair in pairs[alike >= least].tolist()] and count == len(pairs)


# Components.


def brute(edges):
    """Smallest member of each component, by joining until nothing changes."""
    label = {n: n for edge in edges for n in edge}
    while True:
        before = dict(label)
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
        if label == before:
            return label


def components(folder, edges, memory, files=3):
    """(document, label, size) of every document on an edge, by the phases of a grouping; how many rounds it took."""
    made = Bench(folder, [{"id": identifier(n)} for n in range(64)], HOMES)
    context = Context("g", "dedupe", None, folder / "g", {"edition": made.inputs["edition"]}, {"memory": memory})
    context.directory.mkdir()
    for number in range(files):
        with context.begin("edges", f"{number:05d}") as attempt:
            part = edges[number::files]
            columns = [pa.array([node_of(edge[side]) for edge in part], nodes.NODE) for side in (0, 1)]
            attempt.shard(f"sure-{number:05d}", [pa.table(columns, schema=PAIR)], PAIR, compressed=False)
    turns = 0
    if within_memory(context):
        with context.begin("components", "all") as attempt:
            union_find(Work(context, Item("all")), attempt, "node")
    else:
        for phase in rounds.phases((context,), "node"):
            turns += phase.name.startswith("small") and not phase.name.endswith("regroup")
            for item in reversed(phase.items):
                do_item((context,), phase, item)
    found = []
    for home in range(HOMES):
        gathered = label_shuffle(context).gather(Work(context, Item("x")), "labels", home, HOMES)
        table = pa.Table.from_batches(gathered, LABEL)
        assert set(nodes.homes(table["node"])) <= {home} and set(table["home"].to_pylist()) <= {home}
        found.append(table)
    return pa.concat_tables(found), turns


GRAPHS = st.one_of(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=120),
    st.integers(2, 200).map(lambda n: [(k, k + 1) for k in range(n)]),
    st.integers(2, 200).map(lambda n: [(0, k + 1) for k in range(n)] + [(n + 9, k) for k in range(n)]),
    st.permutations(range(150)).map(lambda p: list(itertools.pairwise(p))),
)


@given(GRAPHS)
@example([(k, 255 - k) for k in range(100)] + [(256, 512), (512, 768), (0, 1)])  # ids that end in zero bytes
@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_rounds_of_stars_give_the_labels_of_union_find_and_of_brute_force(edges):
    edges = [(min(e), max(e)) for e in edges if e[0] != e[1]]
    truth = brute(edges)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole, none = components(Path(one), edges, 1 << 30)
        rounded, turns = components(Path(other), edges, 0)
    assert whole.equals(rounded) and none == 0 and (turns > 0) == bool(edges)
    assert turns <= 3 + 2 * max(len(truth), 1).bit_length()
    rows = [(number_of(r["node"]), number_of(r["label"]), r["size"]) for r in whole.to_pylist()]
    sizes = {label: list(truth.values()).count(label) for label in truth.values()}
    assert sorted(rows) == sorted((n, label, sizes[label]) for n, label in truth.items())
    assert whole["label"].to_pylist() == [node_of(label) for _, label, _ in rows]


def test_a_resumed_grouping_goes_on_as_it_began(tmp_path):
    """A killed run that is resumed with other memory does not begin another way beside the first."""
    edges = [(k, k + 1) for k in range(50)]
    components(tmp_path / "rounds", edges, 0)
    context = Context("g", "dedupe", None, tmp_path / "rounds" / "g", {}, {"memory": 1 << 40})
    assert not within_memory(context)
    components(tmp_path / "whole", edges, 1 << 30)
    context = Context("g", "dedupe", None, tmp_path / "whole" / "g", {}, {"memory": 0})
    assert within_memory(context)
