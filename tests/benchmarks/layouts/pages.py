"""All layouts in both languages."""

from collections.abc import Iterator

from tests.benchmarks.layouts import news, reference, talk
from tests.benchmarks.layouts.text import Labelled, Text

LAYOUTS = {**news.LAYOUTS, **talk.LAYOUTS, **reference.LAYOUTS}
LANGUAGES = ("en", "zh")


def labelled(seeds: int) -> Iterator[Labelled]:
    """`seeds` pages of each layout and language."""
    for kind, layouts in LAYOUTS.items():
        for layout in layouts:
            for language in LANGUAGES:
                for seed in range(seeds):
                    text = Text(language, seed)
                    page = layout(text).encode()
                    yield Labelled(kind, layout.__name__, language, page, "\n".join(text.kept))
