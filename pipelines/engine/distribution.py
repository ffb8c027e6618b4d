"""Which distribution a class comes from, as identity tells it: by version, or by source where that is edited."""

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata, util
from pathlib import Path
from urllib.parse import unquote, urlsplit

from corpus.plugins import GROUPS

OWN = frozenset({"conf", "corpus", "kernels", "pipelines", "pretrain"})  # a stage's version speaks for these


def distributions_of(cls: type) -> dict[str, str]:
    """Distribution -> version, or `sha256:` of its source if it is installed editable; empty for Siku's own classes.

    A namespace package may belong to several.
    """
    package = cls.__module__.partition(".")[0]
    return {} if package in OWN or package in sys.stdlib_module_names else dict(_distributions(package))


@cache
def _distributions(package: str) -> dict[str, str]:
    found = {dist.name: dist for dist in _holding(package)}
    return {name: _state(package, dist) for name, dist in sorted(found.items())}


def _holding(package: str) -> Iterator[metadata.Distribution]:
    """Distributions with this top-level package. Entry points tell of editable ones that list no files of it."""
    for point in (point for group in GROUPS for point in metadata.entry_points(group=group)):
        if point.module.partition(".")[0] == package and point.dist is not None:
            yield point.dist
    for name in metadata.packages_distributions().get(package, []):
        yield metadata.distribution(name)


def _state(package: str, dist: metadata.Distribution) -> str:
    root = _editable(dist)
    return dist.version if root is None else f"sha256:{_source_hash(package, root)}"


def _editable(dist: metadata.Distribution) -> Path | None:
    """The folder an editable distribution is installed from (PEP 610)."""
    origin = json.loads(dist.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def _source_hash(package: str, root: Path) -> str:
    """SHA-256 over names and contents of the package's files below `root`; caches and hidden files left out."""
    spec = util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    origins = [spec.origin] if spec and spec.origin else []  # of a package that is one module
    places = [Path(place) for place in folders or origins if Path(place).resolve().is_relative_to(root.resolve())]
    hashes = {
        path.relative_to(place.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for place in places
        for path in (place.rglob("*") if place.is_dir() else [place])
        if path.is_file() and not any(part[0] == "." or part == "__pycache__" for part in path.relative_to(place).parts)
    }
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
