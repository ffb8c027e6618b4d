"""Numba over Arrow buffers. Import this package only where a kernel is called: it loads numba.

Compiled code is kept in a folder named after the sources of all kernels, because numba looks only at the
caller's own file: a changed helper would otherwise go unseen, and an installed folder may not be writable.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    base = Path(chosen) if chosen else Path("~/.cache").expanduser()
    folder = base / "siku" / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:  # no home, or one that is not writable: compile once a login instead of once
        return Path(tempfile.gettempdir()) / f"siku-{os.getuid()}" / folder.name


_before = numba.config.CACHE_DIR
numba.config.CACHE_DIR = str(_cache_folder())
try:
    from kernels.text import components, minhash, repetition, statistics, trie
finally:
    numba.config.CACHE_DIR = _before

__all__ = ["components", "minhash", "repetition", "statistics", "trie"]
