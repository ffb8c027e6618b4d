"""EPUB books: a book a document, its chapters in reading order."""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import unquote
from xml.etree import ElementTree

from pydantic import Field

from corpus.charset import DecodingError, decode
from corpus.configuration import Doc, FileRef, configuration
from corpus.extract.about import author_of, day_in
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import Format, grouped, listed, read_files

FORMAT = Format("epub", (".epub",), ("zip",))
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
_OPF, _DC = "{http://www.idpf.org/2007/opf}", "{http://purl.org/dc/elements/1.1/}"
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # obfuscated fonts hide no text


class _TooLargeError(Exception):
    """A book whose parts are over the limit once decompressed."""


class _EncryptedError(Exception):
    """A book whose text is encrypted."""


@configuration
class EpubSource:
    """Every .epub below a folder."""

    version: ClassVar[int] = 1

    kind: Literal["epub"] = "epub"
    path: Annotated[FileRef, Doc("folder, or one file")]
    max_bytes: Annotated[int, Field(ge=1), Doc("books larger than this, decompressed, are dropped as too_large")] = (
        64 << 20
    )

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a book. Reasons: `corrupt_record`, `encrypted`, `too_large`, `undecodable`."""
        return read_files(piece, FORMAT, self._book)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return "chapters of XHTML in the spine of an EPUB"

    def _book(self, path: Path, entry: Entry) -> Iterator[Capture]:
        try:
            with zipfile.ZipFile(path) as book:
                yield _Book(book, self.max_bytes).capture(entry)
        except _TooLargeError:
            detail = f"over {self.max_bytes} bytes decompressed"
            yield Capture(record=entry.name, error="too_large", detail=detail)
        except _EncryptedError as error:
            yield Capture(record=entry.name, error="encrypted", detail=str(error))
        except DecodingError as error:
            yield Capture(record=entry.name, error="undecodable", detail=str(error))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ElementTree.ParseError, RuntimeError) as error:
            detail = f"{type(error).__name__}: {error}"[:300]
            yield Capture(record=entry.name, error="corrupt_record", detail=detail)


class _Book:
    """The parts of one book, of which at most so many bytes are read."""

    def __init__(self, book: zipfile.ZipFile, most: int) -> None:
        self._book, self._left = book, most

    def part(self, name: str) -> bytes:
        """A part, decompressed. Raises KeyError where there is none."""
        with self._book.open(name) as file:
            data = file.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _TooLargeError
        return data

    def capture(self, entry: Entry) -> Capture:
        """The whole text, in the order of the spine (EPUB 3.3, section 5.6)."""
        from corpus.extract.siku import SikuExtractor

        self._refuse_encrypted()
        package = self._package()
        folder, tree = posixpath.dirname(package), ElementTree.fromstring(self.part(package))
        extractor = SikuExtractor(main_content=False)
        payload, texts = [], []
        for name in _chapters(tree, folder):
            payload.append(self.part(name))
            texts.append(extractor.page(decode(payload[-1]).text).text)
        title, language, author, day = (
            next((e.text for e in tree.iter(_DC + name) if e.text), None)
            for name in ("title", "language", "creator", "date")
        )
        text = "\n\n".join(text for text in texts if text)
        return Capture(
            None, entry.name, b"".join(payload), "application/epub+zip", "utf-8",
            declared_language=language, title=title, author=author_of(author), published=day_in(day), text=text,
        )  # fmt: skip

    def _package(self) -> str:
        container = ElementTree.fromstring(self.part("META-INF/container.xml"))
        return next((root.get("full-path", "") for root in container.iter(_CONTAINER)), "")

    def _refuse_encrypted(self) -> None:
        if "META-INF/encryption.xml" not in self._book.namelist():
            return
        for method in ElementTree.fromstring(self.part("META-INF/encryption.xml")).iter():
            algorithm = method.get("Algorithm")
            if method.tag.endswith("EncryptionMethod") and algorithm not in (None, *_FONTS):
                raise _EncryptedError(f"by {algorithm}")


def _chapters(package: ElementTree.Element, folder: str) -> Iterator[str]:
    """Names of the XHTML parts in reading order, but for those that are out of it (linear="no")."""
    parts = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in package.iter(_OPF + "item")
        if "html" in (item.get("media-type") or "") and "nav" not in (item.get("properties") or "").split()
    }
    for reference in package.iter(_OPF + "itemref"):
        if reference.get("linear") != "no" and (name := parts.get(reference.get("idref"))) is not None:
            yield name
