"""The plain rules of reference_rules.py against others' code: what the trainer equals is what the field means."""

import pytest
import torch

from pretrain.config.optimizer import AdamW, Muon
from pretrain.engine.muon import orthogonal, update_scale
from tests.pretrain.reference_rules import adamw, muon


def gradients(shape, steps=6):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator) for _ in range(steps)]


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 16), (3, 64)])
@pytest.mark.parametrize(("scale", "peer"), [("rms", "match_rms_adamw"), ("spectral", "original")])
def test_muon_is_torchs(shape, scale, peer):
    """torch.optim.Muon iterates in bf16: a relative difference of the updates' root mean square of 1e-2."""
    config = Muon(lr=0.02, weight_decay=0.3, momentum=0.9, scale=scale)
    ours, theirs = torch.ones(shape), torch.nn.Parameter(torch.ones(shape))
    settings = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.9, "nesterov": True, "ns_steps": 5}
    other, state = torch.optim.Muon([theirs], adjust_lr_fn=peer, **settings), {}
    for step, gradient in enumerate(gradients(shape), start=1):
        before = ours.clone()
        muon("layers.0.x", ours, gradient, state, step, config.lr, config)
        theirs.grad = gradient.clone()
        other.step()
        assert (ours - theirs.detach()).norm() < 0.02 * (ours - before).norm()
        theirs.data.copy_(ours)


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (1, 5), (5, 1)])
def test_orthogonal_brings_singular_values_near_one_and_keeps_the_directions(shape):
    (matrix,) = gradients(shape, 1)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, 5)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.3
    assert torch.allclose(found, left @ torch.diag((left.T @ found @ right.T).diag()) @ right, atol=1e-4)
    assert orthogonal(torch.zeros(shape), 5).abs().max() == 0  # no gradient, no step
    assert update_scale("rms", *shape) == pytest.approx(0.2 * max(shape) ** 0.5)


def test_adamw_is_torchs():
    config, weight = AdamW(lr=0.02, weight_decay=0.3, beta1=0.8, beta2=0.9), torch.ones(6, 4)
    peer, state = torch.nn.Parameter(weight.clone()), {}
    other = torch.optim.AdamW([peer], lr=0.02, betas=(0.8, 0.9), eps=1e-8, weight_decay=0.3)
    for step, gradient in enumerate(gradients((6, 4)), start=1):
        adamw("x", weight, gradient, state, step, config.lr, config)
        peer.grad = gradient.clone()
        other.step()
    assert torch.allclose(weight, peer.detach(), atol=1e-6)
