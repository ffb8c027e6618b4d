"""The end of a run in the terminal: documents are called documents, tokens tokens, and all of it fits a screen."""

import re

import pytest

from pipelines.past.summary import Spent, summarize
from pipelines.report.terminal import lines
from tests.pipelines.fixtures import make_run
from tests.pipelines.pages import pages


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return summarize(make_run(tmp_path_factory.mktemp("store")), Spent(1.0, None))


def test_documents_and_tokens_are_told_apart(summary):
    told = list(lines(summary))
    kept = sum(page.fate == "kept" for page in pages())
    assert told[0].split() == ["documents", "after", "kept"]
    stages = [line.split()[:2] for line in told if line.startswith("  ") and "to" not in line.split()]
    assert stages[0][0] == "extract" and stages[-1] == ["decontaminate", f"{kept}"]
    assert not {"tokens", "held_out"} & {name for name, _ in stages}  # no count of documents under the name of tokens
    (tokens,) = [line for line in told if line.startswith("training tokens")]
    assert tokens.split()[2] == f"{sum(summary['tokens'].values()):,}"
    assert re.search(r"^  zh +1\.700 +2\.200 +3\.200  1\.600 to 1\.800$", "\n".join(told), re.M)
    assert len(told) < 24 and not re.search(r"\d\.\d{4}", "\n".join(told))


def test_a_run_that_made_no_tokens_tells_of_none(summary):
    corpus = {**summary, "tokens": {}, "tokens_held_out": {}, "validation": {"bits_per_byte": {}}, "tokens_trained": {}}
    told = "\n".join(lines(corpus))
    assert "tokens" not in told and "bits" not in told
    assert list(lines({**corpus, "funnel": []})) == []
