"""Where configuration files are looked for: the packaged folder, and a user's own beside it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.usage import UsageError

if TYPE_CHECKING:
    from yaml import YAMLError

FOLDER = Path(__file__).resolve().parent
VARIABLE = "SIKU_CONFIG"


class ConfigError(UsageError):
    """A configuration that is not one: names the field, the value and the way out."""


def _choices(folder: Path) -> dict[str, list[str]]:
    """Groups of a folder and the names of their files."""
    return {
        group.name: sorted(path.stem for path in group.glob("*.yaml"))
        for group in sorted(folder.iterdir())
        if group.is_dir() and any(group.glob("*.yaml"))
    }


@dataclass(frozen=True, slots=True)
class Search:
    """The packaged groups and those of `own`, a user's folder of the same layout.

    A name is one file: `filters=bilingual` must mean the same in every record, so that a user's own file never takes
    the place of a packaged one, and has to be named otherwise.
    """

    own: Path | None = None
    named_by: str = field(default="--config-dir", compare=False)

    def __post_init__(self) -> None:
        """Refuse a folder that is not there, and names that both have."""
        if self.own is None:
            return
        if not self.own.is_dir():
            raise ConfigError(
                f"{self.named_by} {self.own}: no such folder: give one with groups, such as filters/my.yaml"
            )
        taken = [f"{group}/{name}.yaml" for group, names in _choices(self.own).items() for name in names]
        taken += [path.name for path in self.own.glob("config.yaml")]
        for name in taken:
            if (FOLDER / name).exists():
                raise ConfigError(
                    f"{self.own / name} and Siku's own {FOLDER / name} have one name: rename yours, so that each name "
                    "means one file"
                )

    def folders(self) -> Iterator[Path]:
        """The packaged folder, then the user's own."""
        yield FOLDER
        if self.own is not None:
            yield self.own

    def groups(self) -> dict[str, list[str]]:
        """The configuration groups and what each offers, a user's own last."""
        out: dict[str, list[str]] = {}
        for folder in self.folders():
            for group, names in _choices(folder).items():
                out[group] = [*out.get(group, []), *names]
        return dict(sorted(out.items()))

    def offered(self, group: str) -> str:
        """The choices of a group by folder, as an error names them."""
        names = [(folder, _choices(folder).get(group, [])) for folder in self.folders()]
        return "; ".join(f"{shown(folder)}/{group} has {', '.join(found)}" for folder, found in names if found)

    def file(self, group: str, name: str) -> Path:
        """The file of a choice."""
        return next(path for folder in self.folders() if (path := folder / group / f"{name}.yaml").exists())


def unreadable(error: "YAMLError | UnicodeDecodeError", files: Iterable[Path]) -> str:
    """File, line and what is wrong there; `files` are those that were read, for an error that does not say which."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{mark.name}, line {mark.line + 1}: {getattr(error, 'problem', error)}: mend the YAML there"
    for path in files:
        data = path.read_bytes()
        try:
            data.decode()
        except UnicodeDecodeError as bad:
            line = data.count(b"\n", 0, bad.start) + 1
            return f"{path}, line {line}: not UTF-8 (byte 0x{data[bad.start]:02x}): save the file as UTF-8"
    return " ".join(str(error).split())


def shown(folder: Path) -> str:
    """A configuration folder as messages name it."""
    return "conf" if folder == FOLDER else str(folder)


PACKAGED = Search()


def search(folder: str | Path | None = None) -> Search:
    """The packaged files beside those of `folder`, by default of the environment's SIKU_CONFIG."""
    named = folder or os.environ.get(VARIABLE)
    by = "--config-dir" if folder else f"the environment's {VARIABLE}"
    return Search(Path(named).expanduser().absolute(), by) if named else PACKAGED
