"""Write requirements.txt: the pins of constraints.txt with the SHA-256 of each of their files in the package index.

`python -m tests.pins`. torch is left out: its build, and so its hash, differs from index to index (CPU, CUDA).
"""

import json
import re
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX = "https://pypi.org/simple"
HEADER = "# Written by `python -m tests.pins`: constraints.txt with hashes, torch (builds differ by index) left out.\n"


def canonical(name: str) -> str:
    """A project's name as the index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> list[tuple[str, str]]:
    """Name and version of each pin."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [(name, version) for name, _, version in (line.partition("==") for line in lines if line)]


def installs(filename: str, name: str, version: str) -> bool:
    """Whether a file is that version for Python 3.11: a wheel for any platform, or the source."""
    if filename.endswith(".tar.gz"):
        return canonical(filename.removesuffix(".tar.gz")) == canonical(f"{name}-{version}")
    if not filename.endswith(".whl"):
        return False
    parts = filename.removesuffix(".whl").split("-")
    ours = any(tag in parts[-3] or tag in parts[-2] for tag in ("cp311", "py3", "abi3"))
    return canonical(parts[0]) == canonical(name) and parts[1] == version and ours


def hashes(name: str, version: str) -> list[str]:
    """SHA-256 of the version's files."""
    asked = urllib.request.Request(
        f"{INDEX}/{canonical(name)}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        files = json.load(answer)["files"]
    found = sorted({file["hashes"]["sha256"] for file in files if installs(file["filename"], name, version)})
    if not found:
        raise LookupError(f"the index has no file of {name} {version} for Python 3.11")
    return found


def main() -> None:
    """Write the file."""
    entries = [
        f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in hashes(name, version))
        for name, version in pins((ROOT / "constraints.txt").read_text())
        if name != "torch"
    ]
    (ROOT / "requirements.txt").write_text(HEADER + "\n".join(entries) + "\n")


if __name__ == "__main__":
    main()
