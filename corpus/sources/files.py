"""The files of a source: which of them it reads, why not the others, and how they are grouped into pieces of work."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.sources.capture import Capture, Entry, Piece, SourceError

PIECE_BYTES = 512 << 20  # files are grouped into pieces of work of at most this size, or one file
COMPRESSED = ("gzip", "zstd", "xz", "bzip2")
# What the first bytes of a file say it is, whatever its name.
_MAGIC = (
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"\xff\xff\xff\xff", "Arrow"),  # a stream
    (b"WARC/", "WARC"),
    (b"filedesc:", "ARC"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"%PDF-", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"SQLite format 3\0", "SQLite"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """What a source reads: the ends of file names, and the types of _MAGIC that its files may begin with."""

    kind: str
    suffixes: tuple[str, ...]
    types: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"source={self.kind} reads *{', *'.join(self.suffixes)}"

    def reads(self, path: str) -> bool:
        """Whether a file of this name is read."""
        return path.lower().endswith(self.suffixes)

    def refusal(self, path: Path) -> str | None:
        """What a file is by its first bytes, if that is nothing that this source reads."""
        with path.open("rb") as file:
            head = file.read(16)
        what = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
        return None if what is None or what in self.types else f"begins as {what}: {self}"


def listed(root: Path, form: Format) -> list[Entry]:
    """Every file of a source, sorted by path; `root` may be one file, whatever its name.

    Names that begin with a dot are no part of a source: version control, a desktop's notes, Siku's own store.

    Files that are not read come with a reason: `unknown_file` for their name, `link_outside` for a link that leads
    out of the source, `unreadable`. Raises SourceError when none is read.
    """
    if root.is_file():
        refusal = form.refusal(root)
        if refusal is not None:
            raise SourceError(f"{root} {refusal}")
        return [Entry(root.name, root.stat().st_size)]
    base = root.resolve()
    entries = [_entry(root, path, base, form) for path in sorted(_walk(root), key=os.fsencode)]
    if all(entry.error is not None for entry in entries):
        first = f", but {entries[0].name!r} ({entries[0].error}) for one" if entries else " and no other file"
        raise SourceError(f"{root} holds no file named *{', *'.join(form.suffixes)}{first}: {form}")
    return entries


def _walk(root: Path) -> Iterator[str]:
    """Paths of files and links below `root`, but for hidden ones; links to folders are not entered."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            if not name.startswith("."):
                yield (Path(folder) / name).relative_to(root).as_posix()


def _entry(root: Path, path: str, base: Path, form: Format) -> Entry:
    file = root / path
    try:
        if file.is_symlink() and not file.resolve(strict=True).is_relative_to(base):
            detail = f"leads out of the source to {file.readlink()}: put a copy there, or name a folder with both"
            return Entry(path, 0, "link_outside", detail)
        if not form.reads(path) or not file.is_file():
            return Entry(path, 0, "unknown_file", str(form))
        return Entry(path, file.stat().st_size)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        return Entry(path, 0, "unreadable", getattr(error, "strerror", None) or "links in a circle")


def grouped(root: Path, entries: Sequence[Entry], most: int = PIECE_BYTES) -> list[Piece]:
    """Items of consecutive files of at most `most` bytes together, or one file."""
    pieces: list[Piece] = []
    start = total = 0
    for index, entry in enumerate(entries):
        if index > start and total + entry.bytes > most:
            pieces.append(Piece(f"files-{start:06d}-{index:06d}", root, tuple(entries[start:index]), total))
            start, total = index, 0
        total += entry.bytes
    pieces.append(Piece(f"files-{start:06d}-{len(entries):06d}", root, tuple(entries[start:]), total))
    return pieces


def read_files(piece: Piece, form: Format, read: Callable[[Path, Entry], Iterator[Capture]]) -> Iterator[Capture]:
    """The captures of a piece's files; one with a reason for a file that is not read.

    Reasons besides those of `listed`: `wrong_type` for a file whose first bytes say that it is something else.
    """
    for entry in piece.entries:
        if entry.error is not None:
            yield Capture(record=entry.name, error=entry.error, detail=entry.detail)
            continue
        path = piece.root / entry.path if piece.root.is_dir() else piece.root
        try:
            refusal = form.refusal(path)
            if refusal is None:
                yield from read(path, entry)
            else:
                yield Capture(record=entry.name, error="wrong_type", detail=refusal)
        except OSError as error:
            yield Capture(record=entry.name, error="unreadable", detail=str(error.strerror or error))
