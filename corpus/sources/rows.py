"""Rows of named fields as captures: what JSON, Parquet and Arrow files hold."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from corpus.configuration import Doc, configuration
from corpus.extract.about import author_of, day_in
from corpus.sources.capture import Capture


@configuration
class RowFields:
    """Which fields of a row hold the text and what is known about it."""

    text_field: Annotated[str, Doc("field that holds the text")] = "text"
    url_field: Annotated[str, Doc("field that holds the URL, where a row has one")] = "url"
    id_field: Annotated[
        str, Doc("field that names the record, where it has no URL; else its place in the file does")
    ] = "id"
    title_field: Annotated[str, Doc("field that holds the title, where a row has one")] = "title"
    language_field: Annotated[str, Doc("field that holds the declared language")] = "language"
    author_field: Annotated[str, Doc("field that names the author, or a list of them")] = "author"
    published_field: Annotated[str, Doc("field that holds the day or time of publication")] = "date"
    max_bytes: Annotated[int, Field(ge=1), Doc("longer rows are dropped as too_large")] = 64 << 20

    def fields(self) -> tuple[str, ...]:
        """The fields that are read."""
        known = (self.title_field, self.language_field, self.author_field, self.published_field)
        return (self.text_field, self.url_field, self.id_field, *known)

    def wanted(self) -> str:
        """What makes a document, for a source that gave none."""
        return f"a string in the field {self.text_field!r} (text_field)"

    def capture(self, row: Mapping[str, Any], record: str, payload: bytes = b"") -> Capture:
        """A row as a capture, known as `record` if it names itself neither by URL nor by id.

        Reasons: `missing_text`, `bad_unicode`, `too_large`; then the payload is the given one, the row as it stood.
        """
        url = _encodable(_string(row, self.url_field))
        name = row.get(self.id_field)
        named = isinstance(name, str | int) and name != ""
        key = None if url else _encodable(str(name)) if named else record
        text = row.get(self.text_field)
        if not isinstance(text, str):
            found = "no field" if text is None else f"a {type(text).__name__} in field"
            detail = f"{found} {self.text_field!r}"
            return Capture(url, key, payload, error="missing_text", detail=detail)
        try:
            encoded = text.encode()
        except UnicodeEncodeError as error:
            detail = f"half a surrogate pair at character {error.start}"
            return Capture(url, key, payload, error="bad_unicode", detail=detail)
        if len(encoded) > self.max_bytes:
            return Capture(url, key, error="too_large", detail=f"a text over {self.max_bytes} bytes")
        language, title = (_encodable(_string(row, name)) for name in (self.language_field, self.title_field))
        author, day = author_of(row.get(self.author_field)), day_in(_day(row.get(self.published_field)))
        return Capture(
            url, key, encoded, "text/plain", "utf-8",
            declared_language=language, title=title, author=_encodable(author), published=day, text=text,
        )  # fmt: skip


def _day(value: object) -> object:
    """A day as text: JSON has one, Parquet and Arrow have dates and times."""
    return value.isoformat() if isinstance(value, date) else value


def _string(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def _encodable(value: str | None) -> str | None:
    """The value with half surrogates escaped, which JSON can write and UTF-8 cannot."""
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()
