"""Our packages have plain names: whether each is ours is asked before any of them is used."""

import importlib
from pathlib import Path

PACKAGES = ("corpus", "pipelines", "kernels", "pretrain", "conf")


def refuse_strangers() -> None:
    """Raise SystemExit if `kernels`, `conf` or another of our packages comes from elsewhere, naming the path."""
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise SystemExit(
                f"siku: package {name} cannot be imported from {home} ({error}): install siku again"
            ) from error
        found = Path(str(module.__file__)).resolve().parent
        if found != home / name or getattr(module, "PART_OF", None) != "siku":
            raise SystemExit(
                f"siku: the package {name!r} at {found} is not siku's own ({home / name}): another distribution has "
                "that name; uninstall it and install siku again, or start siku where it is not on sys.path"
            )
