"""`python -m tests.benchmarks.tokenize`: text to token arrays with the end of each document, beside Hugging Face."""

import tempfile
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer

from corpus.tokenize import Encoder, train_bpe
from tests.benchmarks.text import main, sample_texts

VOCABULARY = 8192  # the demo's

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_bytes(train_bpe(sample_texts().to_pylist()[::4], VOCABULARY))
        encoder, reference = Encoder(path), Tokenizer.from_file(str(path))

        def hugging_face(text: pa.LargeStringArray) -> None:
            reference.encode_batch_fast(text.to_pylist(), add_special_tokens=False)

        def tokens(text: pa.LargeStringArray) -> int:
            return len(encoder.encode(text).flatten())

        main("tokenize", {"siku (gigatoken)": encoder.encode, "hugging face fast": hugging_face}, tokens)
