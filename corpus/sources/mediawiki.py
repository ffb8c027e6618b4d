"""MediaWiki XML dumps: a page a document, its wikitext cleaned; redirects and talk pages told apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration
from corpus.crawling.links import absolute
from corpus.sources.capture import Capture, Entry, Piece
from corpus.sources.files import COMPRESSED, Format, grouped, listed, read_files
from corpus.sources.streams import CorruptError, EndError
from corpus.sources.whole import damaged, opened

FORMAT = Format("mediawiki", tuple(f".xml{end}" for end in ("", ".bz2", ".gz", ".zst", ".xz")), COMPRESSED)


@configuration
class MediaWikiSource:
    """Pages of .xml dumps of a MediaWiki, plain, .bz2, .gz, .zst or .xz."""

    version: ClassVar[int] = 1

    kind: Literal["mediawiki"] = "mediawiki"
    path: Annotated[FileRef, Doc("folder, or one file")]
    namespaces: Annotated[tuple[int, ...], Doc("namespaces that are read: 0 is articles, odd ones are talk pages")] = (
        0,
    )
    variant: Annotated[str, Doc("variant that language conversion shows: zh-hans, zh-hant, zh-tw ...")] = "zh-hans"
    language: Annotated[str | None, Doc("language of the wiki; without it, what the dump declares")] = None
    max_bytes: Annotated[int, Field(ge=1), Doc("longer pages are dropped as too_large")] = 8 << 20

    def pieces(self) -> list[Piece]:
        """Groups of files, by relative name."""
        root = self.path.resolve()
        return grouped(root, listed(root, FORMAT))

    def read(self, piece: Piece) -> Iterator[Capture]:
        """One capture a page, known by its URL in the wiki.

        Reasons: `redirect_page`, `other_namespace`, `not_wikitext`, `bad_wikitext`, `too_large`, `truncated_record`,
        `corrupt_record`.
        """
        return read_files(piece, FORMAT, self._pages)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return f"pages of the namespaces {', '.join(map(str, self.namespaces))} (namespaces)"

    def _pages(self, path: Path, entry: Entry) -> Iterator[Capture]:
        if not path.stat().st_size:
            yield Capture(record=entry.name, error="truncated_record", detail="a file without a page")
            return
        base, language, last = "", self.language, "the start"
        try:
            with opened(path) as reader:
                events = ElementTree.iterparse(reader, ("start", "end"))
                root = next(events)[1]
                language = language or root.get("{http://www.w3.org/XML/1998/namespace}lang")
                for event, element in events:
                    name = element.tag.rpartition("}")[2]
                    if event == "end" and name == "base":
                        base = element.text or ""
                    elif event == "end" and name == "page":
                        page = {child.tag.rpartition("}")[2]: child for child in element}
                        yield (capture := self._page(page, base, language, entry))
                        last = capture.url or capture.record or last
                        root.clear()
        except ElementTree.ParseError as error:
            yield Capture(record=f"{entry.name}@after {last}", error="corrupt_record", detail=str(error))
        except (EndError, CorruptError) as error:
            yield damaged(f"{entry.name}@after {last}", error)

    def _page(self, page: dict[str, Any], base: str, language: str | None, entry: Entry) -> Capture:
        title, namespace = page["title"].text or "" if "title" in page else "", _text(page.get("ns"))
        url = absolute(base, quote(title.replace(" ", "_"))) if base.startswith(("http:", "https:")) else None
        record = None if url else f"{entry.name}@{_text(page.get('id')) or title}"
        revision = {child.tag.rpartition("}")[2]: child for child in page.get("revision", ())}
        wikitext, model = _text(revision.get("text")), _text(revision.get("model")) or "wikitext"
        payload = wikitext.encode()
        if (namespace or "0") not in map(str, self.namespaces):
            return Capture(url, record, payload, error="other_namespace", detail=namespace)
        if (redirect := page.get("redirect")) is not None:
            return Capture(url, record, payload, error="redirect_page", detail=redirect.get("title") or "")
        if model != "wikitext":
            return Capture(url, record, payload, error="not_wikitext", detail=model)
        if len(payload) > self.max_bytes:
            return Capture(url, record, error="too_large", detail=f"over {self.max_bytes} bytes")
        return self._cleaned(wikitext, Capture(url, record, payload, declared_language=language, title=title))

    def _cleaned(self, wikitext: str, known: Capture) -> Capture:
        from mwparserfromhell.parser import ParserError

        from corpus.sources.wikitext import plain

        try:
            text = plain(wikitext, self.variant)
        except (ParserError, RecursionError) as error:
            detail = f"{type(error).__name__}: {error}"[:300]
            return Capture(known.url, known.record, known.payload, error="bad_wikitext", detail=detail)
        return Capture(
            known.url,
            known.record,
            known.payload,
            declared_language=known.declared_language,
            title=known.title,
            text=text,
        )


def _text(element: Any) -> str:  # noqa: ANN401 - an element, or None
    return (element.text or "") if element is not None else ""
