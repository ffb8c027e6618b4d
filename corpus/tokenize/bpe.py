"""Train a byte-level BPE (Sennrich et al., arXiv:1508.07909, over bytes as in GPT-2)."""

from collections.abc import Iterable

END_OF_DOCUMENT = "<|endoftext|>"

# Qwen2's pre-tokenizer (tokenizer.json of Qwen/Qwen2-7B): English contractions, runs of letters with at most one
# leading mark, single digits, runs of punctuation, line ends, spaces. A run of Chinese is one piece, so merges
# find its words.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_bpe(texts: Iterable[str], vocabulary: int) -> bytes:
    """A tokenizer.json: END_OF_DOCUMENT is id 0, the 256 bytes follow, merges fill up to `vocabulary`.

    The result depends on the multiset of texts alone: not on their order, nor on the number of threads.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_DOCUMENT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained: str = tokenizer.to_str()
    return trained.encode()
