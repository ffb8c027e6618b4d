"""Rewrite the golden file from a run of the sample site: `python -m tests.golden.update STORE [RUN]`."""

import json
import sys
from pathlib import Path

from pipelines.past.history import open_run
from tests.golden.content import GOLDEN, complaints, golden, load


def main(arguments: list[str]) -> int:
    """Say what changes, and write it."""
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    found = golden(open_run(Path(arguments[0]), arguments[1] if len(arguments) == 2 else ""))
    for line in complaints(load(), found) if GOLDEN.exists() else []:
        print(line)
    GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=False) + "\n")
    print(f"{GOLDEN}: {len(found)} stages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
