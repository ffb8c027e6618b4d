"""Source trees and checkouts: a file a document; what nobody wrote there is left out."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files
from corpus.sources.languages_of_code import LICENCE_FILES, SUFFIXES, language_of, licence_in, machine_made
from corpus.sources.whole import decoded

FORMAT = Format("code", SUFFIXES)
_LICENCE_BYTES = 1 << 16


@configuration
class CodeSource:
    """Every file of a programming language below a folder; hidden folders such as .git are no part of it."""

    version: ClassVar[int] = 1

    kind: Literal["code"] = "code"
    path: Annotated[FileRef, Doc("folder, or one file")]
    languages: Annotated[
        tuple[str, ...], Doc("programming languages that are read, as Linguist names them; empty: all")
    ] = ()
    licences: Annotated[tuple[str, ...], Doc("SPDX licences that are read; empty: all, with or without one")] = ()
    max_bytes: Annotated[int, Field(ge=1), Doc("larger files are dropped as too_large")] = 1 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a file; its title is its path and its licence where one is found.

        Reasons: `vendored`, `generated`, `minified`, `other_language`, `other_licence`, `too_large`, `undecodable`.
        """
        licences = cache(_licence_of_folder)

        def file(path: Path, entry: Entry) -> Iterator[Capture]:
            yield self._file(path, entry, licences(path.parent, piece.root))

        return read_files(piece, FORMAT, file)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return f"source code in {', '.join(self.languages) or 'any language'}"

    def _file(self, path: Path, entry: Entry, around: str) -> Capture:
        found = decoded(path, entry, self.max_bytes)
        if found.text is None:
            return found
        language = language_of(entry.path, found.text)
        reason, detail = machine_made(entry.path, found.text, language), language
        licence = licence_in(found.text[:4000]) or around
        if reason is None and self.languages and language not in self.languages:
            reason = "other_language"
        if reason is None and self.licences and licence not in self.licences:
            reason, detail = "other_licence", licence or "no licence found"
        if reason is not None:
            return replace(found, text=None, error=reason, detail=detail)
        return replace(found, title=f"{entry.name} ({licence})" if licence else entry.name)


def _licence_of_folder(folder: Path, root: Path) -> str:
    """The licence of the nearest licence file above, within the source."""
    while True:
        for name in LICENCE_FILES:
            for file in sorted(folder.glob(f"{name}*")):
                if file.is_file() and (licence := licence_in(_head(file))):
                    return licence
        if folder == root or not folder.is_relative_to(root):
            return ""
        folder = folder.parent


def _head(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_LICENCE_BYTES).decode("utf-8", "replace")
