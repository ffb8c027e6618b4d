"""In which fields two descriptions differ, as a user reads it."""

from collections.abc import Iterator, Mapping
from typing import Any


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields in which two descriptions differ, a phrase each."""
    left, right = dict(_flat("", old)), dict(_flat("", new))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return [f"{name}: {left.get(name)!r} there, {right.get(name)!r} here" for name in names]
