"""The order of training: prefix-stable, exact in its shares, every token a target once an epoch."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.order import Component, Order, OrderError, Span, check_mixture, key64, permute, shares
from kernels.splitmix import mix64


def component(name: str, lengths: list[int], salt: str = "") -> Component:
    ids = [hashlib.sha256(f"{name}{salt}{index}".encode()).digest()[:16] for index in range(len(lengths))]
    return Component(name, np.array(ids, "V16"), np.array(lengths, np.int64))


def positions(spans: list[Span]) -> list[list[tuple[str, bytes, int, int]]]:
    """Each sample as its (source, document, position, epoch) tokens."""
    found: dict[int, list[tuple[str, bytes, int, int]]] = {}
    for span in spans:
        found.setdefault(span.sample, []).extend(
            (span.source, span.document, at, span.epoch) for at in range(span.start, span.stop)
        )
    return [found[sample] for sample in sorted(found)]


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=12)
weights = st.lists(st.floats(0.01, 100) | st.integers(1, 9), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(lengths, min_size=3, max_size=3), weights, st.integers(1, 40), st.integers(0, 9), st.integers(1, 60))
def test_a_longer_run_begins_with_the_shorter_one(parts, shares, length, seed, count):
    names = ("中文", "en", "mixed 混合")
    components = [component(name, part) for name, part in zip(names, parts, strict=True)]
    mixture = dict(zip(names, shares, strict=True))
    order = Order(components, mixture, length, seed)
    whole = order.spans(0, 2 * count)
    assert [span for span in whole if span.sample < count] == order.spans(0, count)
    # Any part by itself, from an order built anew with its components the other way round.
    again = Order(components[::-1], mixture, length, seed)
    assert again.spans(count, 2 * count) == [span for span in whole if span.sample >= count]
    assert all(len(sample) == length + 1 for sample in positions(whole))


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(1, 17), st.integers(0, 3))
def test_every_token_is_read_once_an_epoch_and_predicted_once(part, length, seed):
    order = Order([component("zh", part)], {}, length, seed)
    epochs, total = 3, sum(part)
    ids = [document.tobytes() for document in component("zh", part).ids]
    for epoch in range(1, epochs + 1):
        samples = positions(order.spans(0, -(-epoch * total // length)))  # the windows that begin in these epochs
        inputs = Counter(token for sample in samples for token in sample[:-1])
        targets = Counter(token for sample in samples for token in sample[1:])
        assert set(inputs.values()) == {1} and set(targets.values()) == {1}
        every = {
            ("zh", i, at, e) for i, size in zip(ids, part, strict=True) for at in range(size) for e in range(epoch)
        }
        assert every <= set(inputs) and len(inputs) - len(every) < length  # the last one reads on into the next epoch
        (first,) = every - set(targets)  # only the very first token of the stream is never predicted
        assert first[2:] == (0, 0)


U64 = 2**64


def mixed(x: int) -> int:
    """splitmix64's finalizer in plain integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % U64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % U64
    return x ^ (x >> 31)


def written_out(part: Component, length: int, seed: int, epochs: int) -> list[list[tuple[str, bytes, int, int]]]:
    """The samples of some epochs by the docstring alone: the whole stream in memory, its windows reordered."""

    def key(kind: str, epoch: int) -> list[int]:
        parts = (kind, "2", part.name, str(seed), str(epoch))
        data = b"".join(len(p.encode()).to_bytes(8, "big") + p.encode() for p in parts)
        return [int.from_bytes(hashlib.sha256(data).digest()[at : at + 8], "big") for at in (0, 8)]

    stream, samples = [], []
    sizes = {document.tobytes(): int(size) for document, size in zip(part.ids, part.lengths, strict=True)}
    for epoch in range(epochs + length + 1):
        one, two = key("siku.order", epoch)
        ranks = {
            mixed(mixed(int.from_bytes(i[:8], "big") ^ one) ^ int.from_bytes(i[8:], "big") ^ two): i for i in sizes
        }
        stream += [(part.name, i, at, epoch) for _, i in sorted(ranks.items()) for at in range(sizes[i])]
    for epoch in range(epochs):
        windows = [at for at in range(0, len(stream), length) if stream[at][3] == epoch]
        base = next(b for b in range(1, len(windows) + 2) if b * b >= len(windows))
        one, two = key("siku.order.windows", epoch)
        for place in range(len(windows)):
            while True:
                left, right = divmod(place, base)
                for turn in range(8):
                    left, right = right, (left + mixed((mixed(right ^ one) + two + turn) % U64)) % base
                place = left * base + right
                if place < len(windows):
                    break
            samples.append(stream[windows[place] : windows[place] + length + 1])
    return samples


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 40), st.integers(0, 3), st.integers(0, 50))
def test_the_order_is_the_one_written_out_plainly(part, length, seed, skipped):
    expected = written_out(component("中文", part), length, seed, 3)
    order = Order([component("中文", part)], {}, length, seed)
    assert positions(order.spans(0, len(expected))) == expected
    first = min(skipped, len(expected))
    assert positions(order.spans(first, len(expected))) == expected[first:]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**32), st.integers(0, 5000), st.integers(0, 5000))
def test_a_permutation_is_one_whatever_slice_is_asked_for(size, seed, one, other):
    first, last = sorted((min(one, size), min(other, size)))
    whole = permute(np.arange(size, dtype=np.uint64), size, key64(seed)).tolist()
    assert sorted(whole) == list(range(size))
    assert permute(np.arange(first, last, dtype=np.uint64), size, key64(seed)).tolist() == whole[first:last]


@pytest.mark.parametrize("size", [2, 3, 7, 16, 17])
def test_every_place_is_as_likely_as_any_other(size):
    keys, counts, pairs = 1500, np.zeros((size, size)), np.zeros(size)
    for seed in range(keys):
        found = permute(np.arange(size, dtype=np.uint64), size, key64("uniform", seed)).astype(int)
        counts[np.arange(size), found] += 1
        pairs[(found[1:] - found[:-1]) % size] += 1
    expected = keys / size
    assert ((counts - expected) ** 2 / expected).sum() < 2 * size**2  # chi squared: (size - 1)^2 is its mean
    share = pairs[1:] / pairs.sum()  # distances of neighbours: none is favoured, least of all 1
    assert abs(share - 1 / (size - 1)).max() < 0.25 / (size - 1)


def test_a_batch_is_a_draw_of_windows_not_a_run_through_one_document():
    sizes = np.random.Generator(np.random.Philox(5)).integers(2_000, 20_000, 200).tolist()
    order, batch = Order([component("long", sizes)], {}, 128, 1), 64
    seen = [len({s.document for s in order.spans(at, at + batch)}) for at in range(0, 40 * batch, batch)]
    part = np.array(sizes) / sum(sizes)
    assert np.mean(seen) > 0.95 * (1 - (1 - part) ** batch).sum()  # of 64 windows drawn at random: 54 documents


def test_epochs_seeds_and_sources_are_different_permutations():
    part = [5] * 50

    def documents(name: str, seed: int, epoch: int) -> list[bytes]:
        spans = Order([component(name, part, salt="x")], {}, 10, seed).spans(epoch * 25, (epoch + 1) * 25)
        return list(dict.fromkeys(s.document for s in spans if s.epoch == epoch))

    orders = {tuple(documents("en", seed, epoch)) for seed in (1, 2) for epoch in (0, 1, 2)}
    assert len(orders) == 6
    rows = [s.row for s in Order([component("en", part)], {}, 10, 1).spans(0, 25)]
    other = [s.row for s in Order([component("zh", part)], {}, 10, 1).spans(0, 25)]
    assert rows != other


def test_shard_boundaries_and_row_order_do_not_show():
    whole = component("zh", list(range(1, 41)))
    shuffled = np.random.Generator(np.random.Philox(3)).permutation(40)
    moved = Component("zh", whole.ids[shuffled], whole.lengths[shuffled])
    one, two = Order([whole], {}, 16, 7).spans(0, 200), Order([moved], {}, 16, 7).spans(0, 200)
    assert [span[:6] for span in one] == [span[:6] for span in two]
    assert [int(shuffled[span.row]) for span in two] == [span.row for span in one]


@settings(max_examples=60, deadline=None)
@given(weights, st.integers(0, 3000))
def test_a_blend_keeps_its_shares_at_every_position(shares, position):
    names = ("a", "b", "c")
    order = Order([component(n, [9, 4]) for n in names], dict(zip(names, shares, strict=True)), 4, 1)
    total = sum(order.weights)
    counts = order.counts(position)
    assert sum(counts) == position
    for count, weight in zip(counts, order.weights, strict=True):
        assert abs(count - position * weight / total) <= 2
    following = order.counts(position + 1)
    assert sorted(b - a for a, b in zip(counts, following, strict=True)) == [0, 0, 1]


def test_weights_are_by_tokens_or_say_what_each_component_gets():
    components = [component("en", [300]), component("web/zh", [100]), component("zh", [50])]
    tokens = {c.name: c.tokens for c in components}
    assert Order(components, {}, 1, 1).counts(450) == [300, 100, 50]
    assert Order(components, {"en": 0.5, "web/zh": 1.5, "zh": 1}, 1, 1).counts(300) == [50, 150, 100]
    only = Order(components, {"zh": 2}, 1, 1, "zero")
    assert (only.names, only.counts(400)) == (("zh",), [400])
    # What is left of 1 goes to the others by their tokens, exactly: .1 + .2 + .7 are 1.
    shared = Order(components, {"zh": 0.7}, 1, 1, "natural")
    assert (shared.names, shared.counts(40)) == (("en", "web/zh", "zh"), [9, 3, 28])
    assert shares({"en": 0.1, "web/zh": 0.2}, "natural", tokens) == {"en": 1, "web/zh": 2, "zh": 7}
    assert shares({"en": 0}, "natural", tokens) == {"en": 0, "web/zh": 2, "zh": 1}
    assert shares({"en": 0.7}, "natural", {"en": 5, "none": 0}) == {"en": 1, "none": 0}
    # Equal ratios are equal orders.
    two = components[:2]
    assert Order(two, {"en": 1, "web/zh": 3}, 3, 1).spans(0, 99) == Order(
        two, {"en": 0.25, "web/zh": 0.75}, 3, 1
    ).spans(0, 99)


@pytest.mark.parametrize(
    ("weights", "rest", "message"),
    [
        ({"zh": 0.7}, None, r"\(zh=0.7\) leaves out en, web/zh: give each a weight.*mixture.rest=natural"),
        ({"zh": 0.7, "zz": 1}, "zero", r"mixture.weights.zz: no component.*choose among \['en', 'web/zh', 'zh'\]"),
        ({"zh": 0.7, "en": 0.3}, "natural", r"leaves nothing of 1 for web/zh.*lower the weights"),
        ({"zh": 0, "en": 0}, "zero", r"\(zh=0, en=0\) gives nothing to any component"),
        ({"zh": float("inf")}, "zero", "mixture.weights.zh is inf: give a finite number"),
    ],
)
def test_a_mixture_that_does_not_say_what_each_gets_is_refused_by_names_alone(weights, rest, message):
    with pytest.raises(OrderError, match=message):
        check_mixture(weights, rest, ["zh", "en", "web/zh"])
    with pytest.raises(OrderError, match=message):
        Order([component(name, [9]) for name in ("zh", "en", "web/zh")], weights, 4, 1, rest)


def test_positions_far_beyond_32_bits():
    order = Order([component("en", [7, 11]), component("zh", [13])], {"en": 2, "zh": 1}, 8, 1)
    far = 2**40
    spans = order.spans(far, far + 3)
    assert spans[0].sample == far
    assert sum(span.stop - span.start for span in spans) == 27
    english = next(span for span in spans if span.source == "en")
    assert english.epoch > 2**31
    huge = Order([Component("x", np.array([b"a" * 16], "V16"), np.array([2**50], np.int64))], {}, 4096, 1)
    begins = [span.start for span in huge.spans(2**37, 2**37 + 9)]
    assert len(set(begins)) == 9 and all(begin % 4096 == 0 for begin in begins) and max(begins) > 2**48


def test_the_permutation_is_pinned():
    """A golden order: another numpy, machine or refactoring must give these very spans."""
    order = Order([component("en", [3, 5, 2, 7]), component("中文", [4, 6])], {"en": 2, "中文": 1}, 4, 42)
    encoded = repr([(s.sample, s.document.hex(), s.start, s.stop, s.source, s.epoch) for s in order.spans(0, 12)])
    assert hashlib.sha256(encoded.encode()).hexdigest() == GOLDEN
    assert mix64(np.array([0, 1, 2**64 - 1], np.uint64)).tolist() == [0, 6238072747940578789, 13029008266876403067]


GOLDEN = "d1ef853d5adcdd7323f18fa6d20425046e5f777fef027f865c53805612ea2dd5"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Order([component("en", [1])], {"en": -1}, 4, 1), "mixture.weights.en is -1"),
        (lambda: Order([component("en", [1])], {"en": float("nan")}, 4, 1), "is nan: give a finite number"),
        (lambda: Order([component("en", [])], {"en": 1}, 4, 1), "'en' has weight but no tokens"),
        (lambda: Order([component("en", [])], {}, 4, 1), "nothing to train on"),
        (lambda: Order([component("en", [1])], {}, 0, 1), "sequence_length is 0"),
        (lambda: Order([component("en", [1]), component("en", [2])], {}, 4, 1), "component names repeat"),
        (lambda: component("en", [3, 0]), "has 0 tokens"),
        (lambda: Order([component("en", [3])], {}, 4, 1).spans(3, 2), r"samples \[3, 2\) are no range"),
        (
            lambda: Order([Component("en", np.array([b"x" * 16] * 2, "V16"), np.array([1, 2]))], {}, 4, 1),
            "occurs twice",
        ),
        (lambda: Component("en", np.array([b"x"], "V8"), np.array([1])), "give one 16-byte id"),
    ],
)
def test_errors_name_the_field_and_the_way_out(make, message):
    with pytest.raises(OrderError, match=message):
        make()
