"""`python -m tests.benchmarks.tokenize`: text to token arrays with the end of each document, beside Hugging Face."""

import tempfile
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer

from corpus.tokenize import Encoder, train_bpe
from tests.benchmarks.text import main
from tests.corpus.test_filters import CHINESE, ENGLISH

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_bytes(train_bpe([ENGLISH, CHINESE] * 10, 1000))
        encoder, reference = Encoder(path), Tokenizer.from_file(str(path))

        def hugging_face(text: pa.LargeStringArray) -> None:
            reference.encode_batch_fast(text.to_pylist(), add_special_tokens=False)

        main("tokenize", {"siku (gigatoken)": encoder.encode, "hugging face fast": hugging_face})
