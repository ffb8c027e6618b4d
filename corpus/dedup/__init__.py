"""Deduplication: keys that documents share, what signatures say of them, components. One file a key; the union is told
apart by `key:`."""

from typing import Annotated

from corpus.dedup.bands import Bands
from corpus.dedup.components import components
from corpus.dedup.exact import ExactKey
from corpus.dedup.key import KEYS, SCHEMAS, SIMILAR_KEYS, SPAN_KEYS, TIES, Key, SpanKey, Tie
from corpus.dedup.paragraph import ParagraphKey
from corpus.dedup.path import PathKey
from corpus.dedup.similarity import bands, has_shingles, jaccard, sketch
from corpus.plugins import Family

AnyKey = Annotated[Key, Family("key", (Bands, ExactKey, ParagraphKey, PathKey), {"siku.keys": Key})]

__all__ = [
    "KEYS",
    "SCHEMAS",
    "SIMILAR_KEYS",
    "SPAN_KEYS",
    "TIES",
    "AnyKey",
    "Bands",
    "ExactKey",
    "Key",
    "ParagraphKey",
    "PathKey",
    "SpanKey",
    "Tie",
    "bands",
    "components",
    "has_shingles",
    "jaccard",
    "sketch",
]
