"""Encode documents to token ids, by batches of Arrow text."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.tokenize.bpe import END_OF_DOCUMENT


class TokenizerError(ValueError):
    """A tokenizer file that cannot be used."""


class Encoder:
    """A byte-level BPE read from a tokenizer.json.

    Gigatoken does the work: its ids equal Hugging Face's on every code point that Unicode 14 assigns (tests hold it to
    that); on later ones the two know different Unicode versions, and both decode to the same text.
    A text that spells `<|endoftext|>` is encoded as those characters, never as the end of a document.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._spec: dict[str, Any] = json.loads(path.read_bytes())
            added = {each["content"]: each["id"] for each in self._spec.get("added_tokens") or ()}
            vocabulary: dict[str, int] = {**self._spec["model"]["vocab"], **added}  # Qwen's end of document is added
        except (OSError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise TokenizerError(f"{path} is no tokenizer.json ({error!r}): train one, or name another file") from error
        if END_OF_DOCUMENT not in vocabulary:
            raise TokenizerError(f"{path} has no {END_OF_DOCUMENT} token: add it, for every document ends in it")
        self.vocabulary = max(vocabulary.values()) + 1
        self.eod = vocabulary[END_OF_DOCUMENT]
        self.dtype: Literal["uint16", "uint32"] = "uint16" if self.vocabulary <= 1 << 16 else "uint32"

    @cached_property
    def _backend(self) -> Any:  # noqa: ANN401 - gigatoken has no annotations
        import gigatoken

        # Special tokens are matched inside text: without them, text cannot forge an end of document.
        return gigatoken.Tokenizer.from_json(json.dumps({**self._spec, "added_tokens": []}).encode())

    def ids(self, texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Token ids of all texts in one array, and the n + 1 offsets of the texts in it; no end of document."""
        if not texts:
            return np.empty(0, np.uint32), np.zeros(1, np.int64)
        layout = self._backend.encode_batch(texts).layout
        offsets = np.asarray(layout.offsets.data, np.int64)
        content: npt.NDArray[np.uint32] = np.asarray(layout.content.data, np.uint32)[offsets[0] : offsets[-1]]
        return content, offsets - offsets[0]

    def encode(self, text: pa.Array) -> pa.ListArray:
        """list<uint16 or uint32> for a text array: each document's ids, then the end-of-document token."""
        content, offsets = self.ids(text.to_pylist())
        rows = len(offsets) - 1
        out = np.full(len(content) + rows, self.eod, self.dtype)
        out[np.arange(len(content)) + np.repeat(np.arange(rows), np.diff(offsets))] = content
        item = pa.field("item", pa.type_for_alias(self.dtype), nullable=False)
        ends = pa.array(offsets + np.arange(rows + 1), pa.int32())
        return pa.ListArray.from_arrays(ends, pa.array(out), type=pa.list_(item))
