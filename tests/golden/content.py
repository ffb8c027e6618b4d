"""What every stage of the sample run makes, by content, and which versions made it."""

import json
from pathlib import Path
from typing import Any

from pipelines.past.history import History

GOLDEN = Path(__file__).with_name("content.json")
NOT_REPEATABLE = ("train", "evaluate")  # another CPU rounds otherwise

Golden = dict[str, dict[str, Any]]


def versions(identity: object, found: dict[str, int] | None = None) -> dict[str, int]:
    """Every version that a stage's identity holds, by type; two parts of one type have one version."""
    found = {} if found is None else found
    if isinstance(identity, dict):
        if "$type" in identity:
            found[str(identity["$type"])] = identity["$version"]
        for value in identity.values():
            versions(value, found)
    if isinstance(identity, list):
        for value in identity:
            versions(value, found)
    return found


def golden(history: History) -> Golden:
    """Versions and content hash of each stage and measure; the snapshot counts by its digest."""
    out: Golden = {}
    for name, stage in history.stages.items():
        if stage.kind in NOT_REPEATABLE:
            continue
        if stage.kind == "snapshot":
            out[name] = {"content": stage.what["digest"]}
            continue
        out[name] = {
            "digest": stage.digest,
            "version": stage.identity["version"],
            "versions": versions(stage.identity["what"]),
            "content": history.artifact(stage).content_hash,
        }
    return out


def load() -> Golden:
    """The golden file."""
    found: Golden = json.loads(GOLDEN.read_text())
    return found


def complaints(golden: Golden, found: Golden) -> list[str]:
    """One line for each stage that is not as the golden file says; the first is where it began."""
    out = []
    for name in [*golden, *(set(found) - set(golden))]:
        old, new = golden.get(name), found.get(name)
        if old == new:
            continue
        if old is None or new is None:
            out.append(f"{name}: {'new' if old is None else 'gone'}")
        elif old["content"] == new["content"]:
            out.append(f"{name}: made otherwise (digest, version or configuration), with the same content")
        elif old.get("digest") == new.get("digest"):
            out.append(f"{name}: other content under the same digest: raise its version, for stores hold the old one")
        else:
            out.append(f"{name}: other content, and another digest says so")
    return out
