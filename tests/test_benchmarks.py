"""What benchmarks measure on: the sample's own text, in both languages."""

from tests.benchmarks import clusters, run
from tests.benchmarks.extract import sample


def is_han(text: str) -> bool:
    return sum(0x4E00 <= ord(character) <= 0x9FFF for character in text) > len(text) / 4


def test_both_languages_of_the_sample_are_read(monkeypatch):
    some = {language: pages[:30] for language, pages in sample().items()}
    monkeypatch.setattr(run, "sample", lambda: some)
    monkeypatch.setattr(clusters, "sample", lambda: some)
    found = [is_han(text) for text in run.texts()]
    assert min(sum(found), len(found) - sum(found)) >= 5
    assert {is_han(clusters.text(number)) for number in range(40)} == {False, True}
