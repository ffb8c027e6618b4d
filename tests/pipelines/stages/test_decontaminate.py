"""Decontaminate against sets in plain Python, and against what only looks like a leak."""

import hashlib
import tracemalloc
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import DOCUMENT
from corpus.verdict import Tally, count_ids
from pipelines.stages.decontaminate import PROGRAM, DecontaminateStage
from pipelines.stages.held_out import Index, Pieces, _whole_runs, few_groups, pieces
from pipelines.stages.shard import HELD_OUT, TRAIN, UNFIT
from pipelines.stages.split import SPLIT
from tests.pipelines.stages.small import ROWS, by_shard, edition, examples, ids_of, made, reconciled, table, verdicts
from tests.pipelines.stages.small import given as write_stage

WORDS, CHARACTERS, SENTENCE = 10, 14, 5  # longer than a sentence, so that a sentence alone is no shingle
REASONS = ("near_held_out", "held_out_sentences")


def pool_of(rng, sentences):
    """Sentences of either script: letters that no other sentence has beside each other, or ideographs."""
    out = []
    for number in range(sentences):
        if number % 2:
            out.append("".join(chr(0x4E00 + each) for each in rng.integers(0, 5000, 11)) + "。")
        else:
            out.append(" ".join(f"w{each}" for each in rng.integers(0, 5000, 8)) + ". ")
    return out


def shingles_of(text):
    """Shingles of texts in one script or both: an ideograph weighs as much as WORDS, a word as CHARACTERS."""
    words, weights = [], []
    for piece in text.replace("。", " ").replace(".", " ").split():
        parts = list(piece) if piece[0] >= "\u4e00" else [piece]
        words += parts
        weights += [WORDS if part >= "\u4e00" else CHARACTERS for part in parts]
    out = set()
    for first in range(len(words)):
        last = total = 0
        for last, weight in enumerate(weights[first:], first):
            total += weight
            if total >= WORDS * CHARACTERS:
                out.add(tuple(words[first : last + 1]))
                break
    return out or ({tuple(words)} if words else set())


def sentences_of(text):
    """Sentences that count, with their bytes."""
    pieces = {each.strip() for each in text.replace("。", ".").split(".")}
    return {each: len(each.encode()) for each in pieces if len(each) >= SENTENCE}


def judged_plainly(rows, side, group, came, what):
    """Reasons and values by id of what is dropped, document by document; the shares of shingles of what is kept."""
    held = [row for row in rows if side[row["id"]] == HELD_OUT]
    owners = ({}, {})
    for pieces_of, owner in zip((shingles_of, sentences_of), owners, strict=True):
        every = defaultdict(set)
        for row in held:
            for piece in pieces_of(row["text"]):
                every[piece].add(row["id"])
        owner.update({p: ids for p, ids in every.items() if len({group[i] for i in ids}) <= what.groups})
    sizes = {row["id"]: len(shingles_of(row["text"])) for row in held}
    out, kept = {}, []
    for row in rows:
        if row["id"] not in came:
            continue
        mine, common, lines, weights = shingles_of(row["text"]), Counter(), sentences_of(row["text"]), Counter()
        for piece in mine:
            common.update(owners[0].get(piece, ()))
        for line, size in lines.items():
            for identifier in owners[1].get(line, ()):
                weights[identifier] += size
        known = sum(piece in owners[0] for piece in mine) / max(len(mine), 1)
        near = max([known, *(number / sizes[i] for i, number in common.items())])
        same = max((w / sum(lines.values()) for w in weights.values() if w >= what.common), default=0)
        reasons = {"near_held_out": near, "held_out_sentences": same}
        over = {reason: value for reason, value in reasons.items() if value > what.share}
        if over:
            out[row["id"]] = over
        else:
            kept.append(near)
    return out, kept


def corpus_of(rng, per_group):
    """Documents in id order: texts of sentences, many of them drawn from few, so that overlaps are of every size."""
    pool = pool_of(rng, 12_000)
    ids = sorted({rng.bytes(16) for _ in range(ROWS)})
    numbers = np.where(
        rng.random((ROWS, 6)) < 0.6,
        rng.integers(906, len(pool), (ROWS, 6)),
        np.where(rng.random((ROWS, 6)) < 0.8, rng.integers(6, 906, (ROWS, 6)), rng.integers(0, 6, (ROWS, 6))),
    )
    lengths, drawn = rng.integers(0, 7, ROWS), rng.integers(0, ROWS // per_group, ROWS)
    rows = []
    for at, identifier in enumerate(ids):
        text = "".join(pool[number] for number in numbers[at, : lengths[at]])
        row = {"id": identifier, "source": "网", "record": str(at), "text": text}
        rows.append(dict.fromkeys(DOCUMENT.names) | row)
    group = {identifier: ids[at] for identifier, at in zip(ids, drawn.tolist(), strict=True)}
    sides = rng.choice([TRAIN, HELD_OUT, UNFIT], ROWS, p=[0.9, 0.08, 0.02]).tolist()
    side = {identifier: sides[at] for identifier, at in zip(ids, drawn.tolist(), strict=True)}
    return rows, side, group


def made_of(root, rows, side, group, came, what):
    """The stage over an edition, a split with groups, and a filter that dropped what did not come in."""
    placed = [row | {"group": group[row["id"]], "side": side[row["id"]]} for row in rows]
    on = {one: count_ids(ids_of([row for row in placed if row["side"] == one])) for one in (TRAIN, HELD_OUT, UNFIT)}
    dropped = {"held_out": on[HELD_OUT], "unfit_length": on[UNFIT]}
    tally = Tally(came=count_ids(ids_of(rows)), kept=on[TRAIN], dropped=dropped)
    split = write_stage(root, "split", "sides", {"sides": [table(each, SPLIT) for each in by_shard(placed)]}, tally)
    trained = {row["id"] for row in rows if side[row["id"]] == TRAIN}
    before = verdicts(root, rows, trained, trained - came)
    inputs = {"edition": edition(root, rows), "sides": split, "verdict.00": before}
    return made(root, PROGRAM, what, inputs, memory=1 << 20)


@pytest.fixture(scope="module")
def few_meetings():
    """Meetings are expanded some at a time."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch.setattr("pipelines.stages.held_out._MEETINGS", 500)


@examples(2)
@given(seed=st.integers(0, 2**32), per_group=st.sampled_from([1, 3]), groups=st.sampled_from([1, 4]))
def test_what_is_dropped_is_what_sets_say(tmp_path_factory, few_meetings, seed, per_group, groups):
    rng, root = np.random.default_rng(seed), tmp_path_factory.mktemp("store")
    rows, side, group = corpus_of(rng, per_group)
    came = {row["id"] for row in rows if side[row["id"]] == TRAIN and rng.random() < 0.9}
    what = DecontaminateStage(
        input="dedupe", words=WORDS, characters=CHARACTERS, sentence=SENTENCE, groups=groups, common=40
    )
    expected, left = judged_plainly(rows, side, group, came, what)
    found = made_of(root, rows, side, group, came, what)
    told = defaultdict(dict)
    for row in found.rows("verdicts"):
        assert row["threshold"] == what.share
        told[row["id"]][row["reason"]] = row["value"]
    wrong = [i.hex() for i in told.keys() | expected.keys() if told.get(i) != pytest.approx(expected.get(i))]
    assert not wrong[:4]
    first = {i: next(iter(over)) for i, over in expected.items()}
    by_reason = {reason: {i for i, r in first.items() if r == reason} for reason in REASONS}
    assert min(map(len, by_reason.values())) > 10, {reason: len(ids) for reason, ids in by_reason.items()}
    reconciled(found.artifact.tally, came, came - first.keys(), by_reason)
    assert found.artifact.figures["remaining_overlap"] == {
        "documents": len(left),
        "with_any_overlap": sum(share > 0 for share in left),
        "mean_share": pytest.approx(sum(left) / len(left)),
        "largest_share": pytest.approx(max(left)),
    }
    assert 0 < max(left) <= what.share and 0 < sum(share > 0 for share in left) < len(left)


def own(name, words=60):
    """Words that no other text has."""
    return " ".join(f"{name}{number}" for number in range(words))


DISCLAIMER = own("disclaimer", 40) + ". " + own("liability", 20) + "."


@pytest.mark.parametrize("pages", [4, 6])
def test_a_disclaimer_is_no_leak_and_a_short_sentence_no_copy(tmp_path, pages):
    """D1: of the drops on three sites 4 of 5 have nothing of a held-out page but what all pages share."""
    texts = {f"held {page}": f"{own(f'page{page}')}. Press any key to go on. {DISCLAIMER}" for page in range(pages)}
    texts |= {
        "boilerplate": f"{own('news')}. {DISCLAIMER}",
        "copied": f"{own('frame', 30)}. {own('page1')}.",
        "short": "Press any key to go on. Or do not.",
    }
    rows = []
    for name, text in texts.items():
        key = hashlib.sha256(name.encode()).digest()[:16]
        rows.append(dict.fromkeys(DOCUMENT.names) | {"id": key, "source": "web", "record": name, "text": text})
    rows.sort(key=lambda row: row["id"])
    side = {row["id"]: HELD_OUT if row["record"].startswith("held") else TRAIN for row in rows}
    came = {identifier for identifier, one in side.items() if one == TRAIN}
    found = made_of(tmp_path, rows, side, {i: i for i in side}, came, DecontaminateStage(input="dedupe"))
    record = {row["id"]: row["record"] for row in rows}
    dropped = {(record[row["id"]], row["reason"]) for row in found.rows("verdicts")}
    leaks = {("copied", reason) for reason in REASONS}
    assert dropped == (leaks if pages > 4 else leaks | {("boilerplate", reason) for reason in REASONS})
    figures = found.artifact.figures["index"]
    assert figures["sentences"] == {"held_out": 4 * pages, "of_many_groups": 3 * pages if pages > 4 else 0}


@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=40), size=st.integers(1, 5))
def test_a_hash_counts_by_all_its_groups_wherever_batches_end(rows, size):
    rows = sorted(rows)
    batches = [np.array(rows[at : at + size], np.int64).T for at in range(0, len(rows), size)]
    kept = []
    for hashes, groups in _whole_runs((batch[0].astype(np.uint64), batch[1]) for batch in batches):
        few = few_groups(hashes, groups, 2)
        kept += zip(hashes[few].tolist(), groups[few].tolist(), strict=True)
    groups_of = defaultdict(set)
    for one, group in rows:
        groups_of[one].add(group)
    assert kept == [row for row in rows if len(groups_of[row[0]]) <= 2]


def test_a_meeting_costs_what_is_shared_however_many_documents_are_held_out():
    """H2: each training document took a count of every held-out one, here 4 billion."""
    index = Index(np.array([3, 7, 7], np.uint64), np.array([0, 1, 2**32 - 1], np.uint32))
    mine = Pieces.of(np.array([7, 5, 7, 9], np.uint64), np.array([1, 0, 0, 1]), np.array([4, 1, 2, 8]), 3)
    met = index.meetings(mine)
    assert [each.tolist() for each in (met.texts, met.documents, met.common)] == [
        [0, 0, 1, 1],
        [1, 2**32 - 1, 1, 2**32 - 1],
        [2, 2, 4, 4],
    ]
    assert met.held_out.tolist() == [2, 4, 0] and met.largest(met.common / 8).tolist() == [0.25, 0.5, 0]
    assert mine.total.tolist() == [3, 12, 0]
    assert not len(Index(index.hashes[:0], index.documents[:0]).meetings(mine).texts)
    more = np.arange(10, 200_010, dtype=np.uint64)  # held-out hashes that no text has
    larger = Index(np.concatenate([index.hashes, more]), np.concatenate([index.documents, more.astype(np.uint32)]))
    peaks = [_peak(each, mine) for each in (index, larger)]
    assert max(peaks) < min(peaks) + 20_000, peaks  # bytes: not one a held-out hash or document


def _peak(index, mine):
    """Bytes that meetings take at most."""
    index.meetings(mine)
    tracemalloc.start()
    try:
        index.meetings(mine)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_mirror_in_the_other_script_has_the_same_pieces():
    simple = "请联系计算机软件开发部门，让他们把这个文档发给财务经理。并且说明为什么需要这些数据。"
    traditional = "請聯系計算機軟件開發部門，讓他們把這個文檔發給財務經理。並且說明為什麼需要這些數據。"
    context = SimpleNamespace(what=DecontaminateStage(input="x"))
    found = pieces(context, pa.array([simple, traditional], pa.large_string()))
    for part, every in found.items():
        one, other = (set(every.hashes[every.texts == row].tolist()) for row in (0, 1))
        assert one == other, part
        assert one, part
