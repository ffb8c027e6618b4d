"""A stage is what it is: equal meaning gives one digest everywhere, any other WHAT another."""

import dataclasses
import datetime
import enum
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.configuration import FileRef, configuration
from pipelines.engine.identity import (
    StageName,
    UnencodableError,
    canonical_json,
    differences,
    digest_of,
    encode,
    library_versions,
)
from pipelines.engine.stage import Stage


class Kind(enum.Enum):
    """An enumeration."""

    A = "a"
    B = "b"


@dataclass(frozen=True)
class Inner:
    """A part of a WHAT."""

    version: ClassVar[int] = 1
    words: tuple[str, ...] = ("一", "two")
    share: float = 0.25


@dataclass(frozen=True)
class What:
    """A field of every kind that has an encoding."""

    version: ClassVar[int] = 3
    name: str = "名"
    n: int = 3
    ratio: float = 0.5
    on: bool = True
    maybe: int | None = None
    raw: bytes = b"\x00\xff"
    day: datetime.date = datetime.date(2026, 11, 22)
    kind: Kind = Kind.A
    inner: Inner = field(default_factory=Inner)
    numbers: tuple[int, ...] = (1, 2)
    thresholds: dict[str, float] = field(default_factory=lambda: {"en": 0.1, "zh": 0.2})
    rules: dict[str, Inner] = field(default_factory=lambda: {"short": Inner(), "长": Inner(share=0.5)})
    input: StageName = field(default_factory=lambda: StageName("clean"))
    model: FileRef = field(default_factory=lambda: FileRef("a.bin"))


def by_text(reference):
    return f"hash of {reference.rpartition('/')[2]}"


def stage(what, inputs=None, name="s", kind="filter", version=1, libraries=("pyarrow",)):
    return Stage(name, kind, version, what, inputs or {}, libraries, by_text)


def mutations(value):
    """Every value that differs from this one in a single place."""
    if isinstance(value, FileRef):
        yield FileRef(value + "x")
    elif isinstance(value, StageName):
        return  # its stage's digest stands among the inputs
    elif isinstance(value, enum.Enum):
        yield from (other for other in type(value) if other is not value)
    elif isinstance(value, bool):
        yield not value
        yield int(value)
    elif isinstance(value, int):
        yield from (value + 1, -value - 1, str(value), None)
    elif isinstance(value, float):
        yield from (np.nextafter(value, 2).item(), -value, str(value))
    elif isinstance(value, str):
        yield from (value + " ", value + "中", value.encode())
    elif isinstance(value, bytes):
        yield from (value + b"\x00", value.hex())
    elif value is None:
        yield from (0, "", False, [], "null")
    elif isinstance(value, datetime.date):
        yield value + datetime.timedelta(1)
    elif isinstance(value, dict):
        yield from ({**value, "new": 1.0}, dict(list(value.items())[1:]))
        yield from ({**value, key: other} for key in value for other in mutations(value[key]))
        yield {key + "x": item for key, item in value.items()}
    elif isinstance(value, tuple):
        yield from (value[::-1], value[1:], (*value, value[0]))
        yield from ((other, *value[1:]) for other in mutations(value[0]))
    else:
        for item in dataclasses.fields(value):
            for other in mutations(getattr(value, item.name)):
                yield dataclasses.replace(value, **{item.name: other})


def test_every_changed_field_is_another_digest_and_is_told():
    base = stage(What())
    seen = {base.digest}
    changed = list(mutations(What()))
    fields = set()
    for what in changed:
        other = stage(what)
        assert other.digest not in seen, what
        seen.add(other.digest)
        told = differences(base.identity, other.identity)
        assert told and all(path.startswith("what.") for path, _, _ in told)
        fields |= {path.split(".")[1] for path, _, _ in told}
    assert fields == {f.name for f in dataclasses.fields(What)} - {"input"} and len(changed) > 60


def test_real_configuration_changes_with_every_field():
    """The stages of the recipe: every plain field counts."""
    from pipelines.stages.dedupe import DedupeStage
    from pipelines.stages.tokenizer import TokenizerStage

    for what in (DedupeStage(input=StageName("a"), keys=["near"]), TokenizerStage(input=StageName("a"))):
        for item in dataclasses.fields(what):
            value = getattr(what, item.name)
            for other in mutations(value) if not isinstance(value, list) else [["en"]]:
                if type(other) is not type(value) or other == value or item.name == "kind":
                    continue
                changed = type(what).__new__(type(what))
                for each in dataclasses.fields(what):
                    object.__setattr__(changed, each.name, other if each is item else getattr(what, each.name))
                assert stage(changed).digest != stage(what).digest, (item.name, other)
        renamed = dataclasses.replace(what, input=StageName("b"))
        assert stage(renamed).digest == stage(what).digest


def test_version_type_kind_libraries_and_inputs_count_and_the_name_does_not(monkeypatch):
    base = stage(What())
    assert stage(What(), name="another word for it").digest == base.digest
    assert stage(What(), version=2).digest != base.digest
    assert stage(What(), kind="detox").digest != base.digest
    assert stage(What(), libraries=("pyarrow", "numpy")).digest != base.digest
    one, two = stage(What(n=8)), stage(What(n=9))
    digests = {stage(What(), i).digest for i in ({"a": one}, {"a": two}, {"b": one}, {"a": one, "b": two}, {})}
    assert len(digests) == 5
    assert stage(What(), {"b": two, "a": one}).digest in digests
    encoded = encode(What(), by_text)
    assert encoded["$version"] == 3 and encoded["$type"] == "What"
    assert encoded["inner"]["$version"] == 1 and encoded["inner"]["$type"] == "Inner"
    monkeypatch.setattr(Inner, "version", 2)
    assert stage(What()).digest != base.digest
    monkeypatch.undo()
    monkeypatch.setattr("pipelines.engine.identity.metadata.version", lambda name: "99")
    assert stage(What()).digest != base.digest


def test_a_class_that_moves_house_keeps_its_digest(monkeypatch):
    base = stage(What()).digest
    monkeypatch.setattr(What, "__module__", "elsewhere.entirely")
    assert stage(What()).digest == base
    assert "elsewhere" not in str(encode(What(), by_text))
    other = dataclasses.make_dataclass("Other", [("n", int)], frozen=True)
    another = dataclasses.make_dataclass("Another", [("n", int)], frozen=True)
    assert stage(other(1)).digest != stage(another(1)).digest


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3).filter(lambda k: not k.startswith("$")), inner, max_size=4)
    ),
    max_leaves=8,
)


def shuffled(value, random):
    if isinstance(value, dict):
        items = [(k, shuffled(v, random)) for k, v in value.items()]
        random.shuffle(items)
        return dict(items)
    return [shuffled(v, random) for v in value] if isinstance(value, list) else value


@given(JSON, st.randoms())
def test_the_order_of_a_mapping_never_counts(value, random):
    assert digest_of(encode(value, by_text)) == digest_of(encode(shuffled(value, random), by_text))


@given(JSON, JSON)
def test_differences_are_empty_exactly_when_digests_agree(one, other):
    a, b = encode(one, by_text), encode(other, by_text)
    assert (differences(a, b) == []) == (digest_of(a) == digest_of(b))


def test_the_order_of_a_list_counts_and_a_tuple_is_one():
    assert digest_of(encode([1, 2], by_text)) != digest_of(encode([2, 1], by_text))
    assert encode((1, 2), by_text) == encode([1, 2], by_text)
    assert encode(-0.0, by_text) == encode(0.0, by_text) and canonical_json(encode(-0.0, by_text)) == "0.0"
    assert canonical_json({"b": "中", "a": [1.5, None]}) == '{"a":[1.5,null],"b":"\\u4e2d"}'


def test_differences_name_dotted_fields():
    old, new = encode(What(), by_text), encode(What(rules={"short": Inner(share=0.3)}, maybe=0), by_text)
    told = {path: (a, b) for path, a, b in differences(old, new)}
    assert told.keys() == {"maybe", "rules.short.share", "rules.长"}
    assert told["rules.short.share"] == (0.25, 0.3) and told["maybe"] == (None, 0)
    assert differences({"a": None}, {}) == [("a", None, None)]
    assert differences({"a": True}, {"a": 1}) == [("a", True, 1)]


class Odd:
    """No dataclass."""


@dataclass(slots=True)
class Versioned:
    """A version that is a field is none."""

    version: int = 1


BAD = {
    "set": {1, 2},
    "frozenset": frozenset({1}),
    "object": Odd(),
    "type": Odd,
    "function": lambda: 0,
    "path": Path("a/b"),
    "numpy": np.int64(3),
    "array": np.arange(3),
    "complex": 1j,
    "nan": float("nan"),
    "inf": float("inf"),
    "generator": iter([1]),
    "int key": {1: "a"},
    "reserved key": {"$file": "a"},
    "bytes key": {b"a": 1},
    "version": Versioned(),
    "time": datetime.time(1),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_encoded_twice_alike_raises_and_names_the_field(name):
    @dataclass(frozen=True)
    class Holder:
        rules: dict[str, object]

    with pytest.raises(UnencodableError, match=r"^filter\.rules\.长\[1\]"):
        encode(Holder({"长": [0, BAD[name]]}), by_text, "filter")


def test_configuration_refuses_what_identity_would():
    @configuration
    class Share:
        share: float

    for bad in (float("nan"), float("inf"), "x", {1}):
        with pytest.raises(ValueError, match="share"):
            Share(share=typing.cast(float, bad))
    assert encode(Share(share=1), by_text)["share"] == 1.0
    assert canonical_json(encode(Share(share=1), by_text)) == canonical_json(encode(Share(share=1.0), by_text))


def test_libraries():
    import pyarrow

    assert library_versions(("pyarrow",))["pyarrow"] == pyarrow.__version__
    assert "store-format" in library_versions(())
    with pytest.raises(UnencodableError, match="library no-such-thing"):
        library_versions(("no-such-thing",))
