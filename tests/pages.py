"""Tables of a report, read back."""

from html.parser import HTMLParser


class _Tables(HTMLParser):
    """Cells of every row: (head they are labelled with, or None, and text)."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[tuple[str | None, str]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append((dict(attrs).get("data-head"), ""))
        self._inside = tag == "td" or self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = tag != "td" and self._inside

    def handle_data(self, data: str) -> None:
        if self._inside:
            head, text = self.rows[-1][-1]
            self.rows[-1][-1] = (head, text + data)


def _parsed(page: str) -> _Tables:
    tables = _Tables()
    tables.feed(page)
    return tables


def table_rows(page: str) -> list[list[str]]:
    """Texts of the cells of every row, heads left out."""
    return [[text for _, text in row] for row in _parsed(page).rows if row]


def labelled_rows(page: str) -> list[dict[str, str]]:
    """Rows of tables with heads, by the label that each cell carries for narrow screens."""
    return [{head or "": text for head, text in row} for row in _parsed(page).rows if row and row[0][0] is not None]
