"""Trafilatura, where it is installed (`pip install siku[bench]`): precise, and a tenth of the speed."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from corpus.configuration import Doc, configuration
from corpus.extract.line_wraps import unwrapped
from corpus.extract.markup import bounded
from corpus.extract.page import Page, described


@configuration
class TrafilaturaExtractor:
    """Main text by trafilatura's rules."""

    libraries: ClassVar[tuple[str, ...]] = ("trafilatura",)

    by: Literal["trafilatura"] = "trafilatura"
    favor: Annotated[Literal["precision", "balance", "recall"], Doc("which error weighs more")] = "precision"
    fast: Annotated[bool, Doc("without the slower algorithms that it falls back to")] = False

    def page(self, html: str) -> Page:
        """The page and its text."""
        from resiliparse.parse.html import HTMLTree
        from trafilatura import extract

        served = html
        html = unwrapped(bounded(html))
        favor = {"favor_precision": self.favor == "precision", "favor_recall": self.favor == "recall"}
        text = extract(html, include_comments=False, fast=self.fast, **favor)
        return replace(described(HTMLTree.parse(html), served), text=text or "")
