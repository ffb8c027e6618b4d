"""Code blocks of the pages, by language; the word behind the language is a file."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
PAGES = sorted([*HOME.glob("*.md"), *(HOME / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)

# Command lines that no test runs, and why.
NOT_RUN = {
    "make demo": "sets up and runs the demo: the main job of CI",
    "make test": "runs the tests, this one too",
    "pip install ./tests/data/plugin": "tests/end_to_end/test_plugin.py installs it",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, its language, a file it belongs to, and its lines."""

    page: str
    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell block, continued lines joined, comments left out; of other blocks none."""
        lines = self.text.replace("\\\n", " ").splitlines() if self.language == "sh" else []
        return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(page.name, head.partition(" ")[0], head.partition(" ")[2], body) for head, body in found]
