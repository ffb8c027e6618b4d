"""Roles: the names by which a stage knows its inputs. How they are spelled, this file alone knows.

Some are single (EDITION). Verdicts are numbered, measures and keys go by name. A chain of stages that stands among the
inputs, a part of a union or a finished run, keeps its own roles behind a prefix. Readers take roles and give roles, so
that no manifest is loaded for a name.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NewType, TypeVar

Role = NewType("Role", str)
T = TypeVar("T")

SOURCE: Final = Role("source")
EDITION: Final = Role("edition")
UNION: Final = Role("union")  # tells which rows of its editions count
SIDES: Final = Role("sides")  # of the split, or else of the union: who is in before the verdicts
TOKENIZER: Final = Role("tokenizer")
TOKENS: Final = Role("tokens")
HELD_OUT: Final = Role("held_out")
TRAJECTORY: Final = Role("train")
UNTRAINED: Final = Role("untrained")
JOINED: Final = Role("measure")  # of a part: the measure that a union joins

_MEASURE, _KEY, _VERDICT, _PART, _RUN = "measure.", "key.", "verdict.", "part.", "against."


def is_name(name: str) -> bool:
    """Whether something of that name can have a role: a dot would part it."""
    return bool(name) and "." not in name


def measure(name: str) -> Role:
    """A measure of the edition."""
    return Role(_MEASURE + name)


def measures(roles: Iterable[Role]) -> dict[str, Role]:
    """Measures by name, in its order."""
    return _by_name(roles, _MEASURE)


def key(name: str) -> Role:
    """A key that documents of the edition are grouped by."""
    return Role(_KEY + name)


def keys(roles: Iterable[Role]) -> dict[str, Role]:
    """Keys by name, in its order."""
    return _by_name(roles, _KEY)


def verdict(number: int) -> Role:
    """A verdict stage by its place in the chain."""
    return Role(f"{_VERDICT}{number:02d}")


def verdicts(roles: Iterable[Role]) -> list[Role]:
    """Verdict stages in the order of the chain."""
    numbered = {int(number): role for number, role in _by_name(roles, _VERDICT).items()}
    return [numbered[number] for number in sorted(numbered)]


def chain(edition: T | None, sides: T | None, judges: Sequence[T]) -> dict[Role, T]:
    """A chain up to its last verdict, as what comes after it reads it."""
    one = {EDITION: edition, SIDES: sides}
    return {role: each for role, each in one.items() if each is not None} | {
        verdict(number): each for number, each in enumerate(judges)
    }


def of_part(part: str, inputs: Mapping[Role, T]) -> dict[Role, T]:
    """What a part of a union reads, as inputs of the union."""
    return {Role(f"{_PART}{part}.{role}"): each for role, each in inputs.items()}


def parts(roles: Iterable[Role]) -> dict[str, dict[Role, Role]]:
    """Parts of a union by name, in its order; each maps the roles it had before to those it has here."""
    return _chains(roles, _PART)


def of_run(name: str, inputs: Mapping[Role, T]) -> dict[Role, T]:
    """What a finished run kept, as inputs of a stage that compares its documents with the run's."""
    return {Role(f"{_RUN}{name}.{role}"): each for role, each in inputs.items()}


def runs(roles: Iterable[Role]) -> dict[str, dict[Role, Role]]:
    """Finished runs by name, as `parts` tells parts."""
    return _chains(roles, _RUN)


def _by_name(roles: Iterable[Role], prefix: str) -> dict[str, Role]:
    return {role.removeprefix(prefix): role for role in sorted(roles) if role.startswith(prefix)}


def _chains(roles: Iterable[Role], prefix: str) -> dict[str, dict[Role, Role]]:
    chains: dict[str, dict[Role, Role]] = {}
    for inner, role in _by_name(roles, prefix).items():
        name, _, own = inner.partition(".")
        chains.setdefault(name, {})[Role(own)] = role
    return chains
