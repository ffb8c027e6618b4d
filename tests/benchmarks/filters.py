"""`python -m tests.benchmarks.filters`: all that the bilingual rules read, language and word lists included."""

import numpy as np
import pyarrow as pa

from corpus.measure import Measure
from corpus.measures import Language, Length, Quality, Repetition, Toxicity
from tests.benchmarks.text import main

MEASURES: tuple[Measure, ...] = (Length(), Language(), Quality(), Repetition(), Toxicity())


def compute(*measures: Measure):
    """A tool that computes these measures over 4,096-row batches."""

    def tool(text: pa.LargeStringArray) -> None:
        # Copied, so that counts held of the last batch serve the measures of one pass and no more.
        copied = text.take(pa.array(np.arange(len(text))))
        for batch in pa.table({"text": copied}).to_batches(max_chunksize=4096):
            for measure in measures:
                measure.compute(batch)

    return tool


if __name__ == "__main__":
    tools = {f"siku {m.measure}": compute(m) for m in MEASURES}
    main("filters", tools | {"siku gopher+fineweb": compute(Quality(), Repetition()), "siku all": compute(*MEASURES)})
