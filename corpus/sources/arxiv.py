"""arXiv's LaTeX sources: the bulk tars of papers, or papers one by one; a paper a document."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, ClassVar, Literal

from pydantic import Field

from corpus.charset import DecodingError, decode
from corpus.configuration import Doc, FileRef, configuration
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files
from corpus.sources.latex import GrowthError, paper

FORMAT = Format("arxiv", (".tar", ".gz", ".tgz", ".tex"), ("gzip",))
_MEMBERS = 20_000  # files a paper may have


class _TooLargeError(Exception):
    """A paper over the limit once decompressed."""


@configuration
class ArxivSource:
    """Papers of arXiv_src_*.tar, or of single .gz, .tar.gz and .tex files."""

    version: ClassVar[int] = 1

    kind: Literal["arxiv"] = "arxiv"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("papers larger than this, decompressed, are dropped as too_large")] = (
        64 << 20
    )

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a paper, known by its name, or by its URL where the name is an arXiv id.

        Reasons: `no_latex`, `too_large`, `macro_growth`, `undecodable`, `corrupt_record`.
        """
        return read_files(piece, FORMAT, self._papers)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "papers with a .tex file that has a \\documentclass"

    def _papers(self, path: Path, entry: Entry) -> Iterator[Capture]:
        if not path.name.endswith(".tar"):
            yield self._paper(path.read_bytes(), entry.name)
            return
        done = "the start"
        try:
            with tarfile.open(path, "r|") as bulk:
                for member in bulk:
                    if member.isfile() and (file := bulk.extractfile(member)) is not None:
                        done = f"{entry.name}/{member.name}"
                        yield self._member(file, member, done)
        except (tarfile.TarError, EOFError) as error:
            yield Capture(record=f"{entry.name}@after {done}", error="corrupt_record", detail=str(error)[:300])

    def _member(self, file: IO[bytes], member: tarfile.TarInfo, record: str) -> Capture:
        if member.size > self.max_bytes:
            return Capture(record=record, error="too_large", detail=f"over {self.max_bytes} bytes")
        return self._paper(file.read(), record)

    def _paper(self, data: bytes, record: str) -> Capture:
        name = PurePosixPath(record).name
        for ending in (".gz", ".tgz", ".tex", ".tar"):
            name = name.removesuffix(ending)
        url = f"https://arxiv.org/abs/{name}" if name.replace(".", "").isdigit() and len(name) >= 9 else None
        key = None if url else record
        try:
            files = _tex(data, self.max_bytes)
            title, text = paper(files)
        except _TooLargeError:
            return Capture(url, key, error="too_large", detail=f"over {self.max_bytes} bytes decompressed")
        except GrowthError as error:
            return Capture(url, key, data, error="macro_growth", detail=str(error))
        except DecodingError as error:
            return Capture(url, key, data, error="undecodable", detail=str(error))
        except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
            return Capture(url, key, data, error="corrupt_record", detail=f"{type(error).__name__}: {error}"[:300])
        if not text:
            what = "a PDF" if data.startswith(b"%PDF-") else f"{len(files)} .tex files without \\documentclass"
            return Capture(url, key, data, error="no_latex", detail=what)
        payload = "".join(files[each] for each in sorted(files)).encode()
        return Capture(url, key, payload, "application/x-tex", "utf-8", title=title, text=text)


def _tex(data: bytes, most: int) -> dict[str, str]:
    """The .tex files of a paper by name: of a tar, or one. Raises _TooLargeError, DecodingError and what tars do."""
    if data.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            data = file.read(most + 1)
    if len(data) > most:
        raise _TooLargeError
    if data[257:262] != b"ustar":
        return {} if data.startswith(b"%PDF-") else {"main.tex": decode(data).text}
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for count, member in enumerate(tar):
            if count == _MEMBERS:
                raise _TooLargeError
            if member.isfile() and member.name.lower().endswith((".tex", ".ltx")):
                content = tar.extractfile(member)
                found[str(PurePosixPath(member.name))] = decode(content.read()).text if content else ""
    return found
