"""conf/train against what was published (Zhao et al., arXiv:2303.18223, table 8, and the papers named in the files).

Batches are published in round tokens: they are compared within a twentieth, all else exactly.
"""

from typing import NamedTuple

import pytest

from conf.load import load
from pretrain.engine.schedule import learning_rate
from tests.pretrain.test_config import PRESETS


class Published(NamedTuple):
    """Tokens of the first and the full batch; peak rate; tokens at the end of warm-up and of the fall; rate there."""

    length: int
    first: float
    batch: float
    peak: float
    warmup: float
    end: float
    last: float
    adam: tuple[float, float, float] = (0.9, 0.95, 1e-8)


K, M, B, T = 10**3, 10**6, 10**9, 10**12
PUBLISHED = {
    "llama_7b": Published(2048, 4.2 * M, 4.2 * M, 3e-4, 2000 * 4_194_304, 1 * T, 3e-5),
    "llama_65b": Published(2048, 4.2 * M, 4.2 * M, 1.5e-4, 2000 * 4_194_304, 1.4 * T, 1.5e-5),
    "llama2_7b": Published(4096, 4.2 * M, 4.2 * M, 3e-4, 2000 * 4_194_304, 2 * T, 3e-5, (0.9, 0.95, 1e-5)),
    "llama2_70b": Published(4096, 4.2 * M, 4.2 * M, 1.5e-4, 2000 * 4_194_304, 2 * T, 1.5e-5, (0.9, 0.95, 1e-5)),
    "llama3_405b": Published(8192, 4.2 * M, 16.8 * M, 8e-5, 66_853_011_456, 17_262_140_456_960, 8e-7),
    "gpt3_175b": Published(2048, 32 * K, 3.2 * M, 6e-5, 375 * M, 260 * B, 6e-6),
    "opt_175b": Published(2048, 2.1 * M, 2.1 * M, 1.2e-4, 375 * M, 300 * B, 1.2e-5),
    "bloom_176b": Published(2048, 192 * 2048, 2048 * 2048, 6e-5, 183_105 * 2048, 200 * M * 2048, 6e-6),
    "mtnlg_530b": Published(2048, 64 * K, 3.9 * M, 5e-5, 1 * B, 340 * B, 5e-6),
    "glm_130b": Published(2048, 0.4 * M, 8.6 * M, 8e-5, 2 * B, 400 * B, 8e-6),
    "deepseek_7b": Published(4096, 9.4 * M, 9.4 * M, 4.2e-4, 2000 * 2304 * 4096, 2 * T, 4.2e-5),
    "deepseek_67b": Published(4096, 18.9 * M, 18.9 * M, 3.2e-4, 2000 * 4608 * 4096, 2 * T, 3.2e-5),
    "smollm_135m": Published(2048, 1.05 * M, 1.05 * M, 3e-3, 2000 * 1_048_576, 600 * B, 0),
    "fineweb2": Published(2048, 2_097_152, 2_097_152, 3e-4, 500 * 2_097_152, 14_000 * 2_097_152, 3e-5),
}
OWN = {"tiny", "small", "muon", "wsd_decay"}


def test_every_preset_is_ours_or_published():
    assert {path.stem for path in PRESETS if path.parent.name == "train"} == PUBLISHED.keys() | OWN


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_as_published(name):
    published, train = PUBLISHED[name], load([f"train={name}"]).train
    first, batch = (samples * published.length for samples in (train.batch_size(0), train.batch_size(10**16)))
    assert first == pytest.approx(published.first, rel=0.05) and batch == pytest.approx(published.batch, rel=0.05)
    assert train.warmup_tokens == published.warmup and train.optimizer.lr == published.peak
    for tokens, rate in ((published.warmup / 2, published.peak / 2), (published.end, published.last)):
        assert learning_rate(train, int(tokens)) == pytest.approx(rate, rel=1e-6)
    assert learning_rate(train, published.end * 2) == pytest.approx(published.last)
    optimizer = train.optimizer
    assert (optimizer.beta1, optimizer.beta2, optimizer.epsilon) == published.adam
    assert (optimizer.weight_decay, optimizer.clip) == (0.1, 1.0)


@pytest.mark.parametrize("name", ["bloom_176b", "gpt3_175b", "glm_130b", "mtnlg_530b"])
def test_a_ramp_is_as_long_as_published(name):
    ends = {"bloom_176b": 9_765_625 * 2048, "gpt3_175b": 4 * B, "glm_130b": 10 * B, "mtnlg_530b": 12 * B}
    train = load([f"train={name}"]).train
    assert train.batch_size(ends[name] - 1) < train.global_batch == train.batch_size(ends[name])


@pytest.mark.parametrize("name", sorted(OWN))
def test_our_own_presets_compose(name):
    train = load([f"train={name}"]).train
    assert learning_rate(train, 10**6) > 0 and train.batch_sizes() == {train.global_batch}
