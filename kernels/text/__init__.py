"""Numba over Arrow buffers. Import this package only where a kernel is called: it loads numba.

Compiled code is kept in a folder named after the sources of the whole package, because numba looks only at the
caller's own file: a changed helper or constant would otherwise go unseen, and an installed folder may not be writable.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def cache_key(package: Path) -> str:
    """A name for what is compiled from a package: numba's version and every source file, constants included."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        digest.update(f"\n{source.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    base = Path(chosen) if chosen else Path("~/.cache").expanduser()
    folder = base / "siku" / f"kernels-{cache_key(Path(__file__).parents[1])}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:  # no home, or one that is not writable: compile once a login instead of once
        return Path(tempfile.gettempdir()) / f"siku-{os.getuid()}" / folder.name


_before = numba.config.CACHE_DIR
numba.config.CACHE_DIR = str(_cache_folder())
try:
    from kernels.text import components, minhash, repetition, simplify, statistics, trie
finally:
    numba.config.CACHE_DIR = _before

__all__ = ["cache_key", "components", "minhash", "repetition", "simplify", "statistics", "trie"]
