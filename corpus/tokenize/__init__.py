"""Byte-level BPE: training it, and encoding documents with it."""

from corpus.tokenize.bpe import END_OF_DOCUMENT, train_bpe
from corpus.tokenize.encoder import Encoder, TokenizerError

__all__ = ["END_OF_DOCUMENT", "Encoder", "TokenizerError", "train_bpe"]
