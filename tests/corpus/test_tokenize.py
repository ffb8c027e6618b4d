import json
import os
import subprocess
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from tokenizers import Tokenizer

from corpus.tokenize import END_OF_DOCUMENT, Encoder, TokenizerError, train_bpe
from tests.kernels.texts import batches

TEXTS = [
    "The cell holds the value, and it's 3.14.\n  Next line.",
    "在单元格中输入数值，然后按回车键。",
    "混合 mixed 文本 text １２３",
    "\tdef f():\n    return 1",
] * 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_bytes(train_bpe(TEXTS, 400))
    return path


def test_training_depends_on_the_texts_alone(path):
    assert train_bpe(TEXTS[::-1], 400) == path.read_bytes()
    program = (
        "import sys; from corpus.tokenize import train_bpe; from tests.corpus.test_tokenize import TEXTS; "
        "sys.stdout.buffer.write(train_bpe(TEXTS, 400))"
    )
    for threads in ("1", "3"):
        env = {**os.environ, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true", "PYTHONHASHSEED": threads}
        out = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True)
        assert out.stdout == path.read_bytes()


def test_end_of_document_is_id_0_and_every_byte_has_one(path):
    encoder = Encoder(path)
    assert encoder.eod == 0 and encoder.dtype == "uint16" and 257 <= encoder.vocabulary <= 400
    vocabulary = json.loads(path.read_bytes())["model"]["vocab"]
    assert vocabulary[END_OF_DOCUMENT] == 0
    assert sorted(vocabulary[token] for token in vocabulary if len(token) == 1) == list(range(1, 257))


@given(batches)
def test_ids_equal_hugging_faces_and_decode_to_the_text(path, values):
    reference = Tokenizer.from_file(str(path))
    found = Encoder(path).encode(pa.array(values, pa.large_string()))
    for value, ids in zip(values, found.to_pylist(), strict=True):
        assert ids[-1:] == [0] and 0 not in ids[:-1]
        assert ids[:-1] == reference.encode(value, add_special_tokens=False).ids or END_OF_DOCUMENT in value
        assert reference.decode(ids[:-1], skip_special_tokens=False) == value


def test_every_assigned_code_point_encodes_as_hugging_face_does(path):
    """Assigned in Unicode 14, a sample of the ideographs and syllables; the two libraries know newer ones apart."""
    codes = [c for c in range(0x40000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    codes = [c for c in codes if not (0x3400 <= c < 0xD800 or c >= 0x20000) or c % 37 == 0]
    # Each beside a letter, a digit, a space and an ideograph: what the pre-tokenizer's classes decide on.
    texts = ["".join(f"a{chr(c)}1 {chr(c)}中{chr(c)} " for c in codes[k : k + 512]) for k in range(0, len(codes), 512)]
    reference = Tokenizer.from_file(str(path))
    content, offsets = Encoder(path).ids(texts)
    for k, encoding in enumerate(reference.encode_batch_fast(texts, add_special_tokens=False)):
        assert np.array_equal(content[offsets[k] : offsets[k + 1]], encoding.ids), hex(codes[k * 512])


def test_text_cannot_forge_an_end_of_document(path):
    found = Encoder(path).encode(pa.array([f"a{END_OF_DOCUMENT}b", END_OF_DOCUMENT])).to_pylist()
    assert [ids.count(0) for ids in found] == [1, 1]


def test_types_and_empty_batches(path):
    found = Encoder(path).encode(pa.array([], pa.large_string()))
    assert len(found) == 0 and found.type == pa.list_(pa.field("item", pa.uint16(), nullable=False))
    assert Encoder(path).encode(pa.array(["", "a"])).to_pylist()[0] == [0]


def test_bad_files_are_refused(path, tmp_path):
    for content in (b"{", b"[]", json.dumps({"model": {"vocab": {"a": 0}}}).encode()):
        (tmp_path / "t.json").write_bytes(content)
        with pytest.raises(TokenizerError, match=r"t\.json"):
            Encoder(tmp_path / "t.json")
    with pytest.raises(TokenizerError, match=r"none\.json"):
        Encoder(tmp_path / "none.json")


def test_an_end_of_document_that_is_an_added_token_is_known(path, tmp_path):
    """As in Qwen's files, whose special tokens follow the vocabulary."""
    spec = json.loads(path.read_text())
    del spec["model"]["vocab"][END_OF_DOCUMENT]
    spec["added_tokens"] = [{**spec["added_tokens"][0], "id": 400}]
    (tmp_path / "qwen.json").write_text(json.dumps(spec))
    encoder = Encoder(tmp_path / "qwen.json")
    assert (encoder.eod, encoder.vocabulary) == (400, 401)
    (tokens,) = encoder.encode(pa.array([TEXTS[1]])).to_pylist()
    assert tokens[-1] == 400 and tokens[:-1] == Tokenizer.from_file(str(path)).encode(TEXTS[1]).ids
