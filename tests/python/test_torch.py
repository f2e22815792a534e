# SPDX-License-Identifier: Apache-2.0
import copy
import math
import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from infalign.torch import policy_loss  # noqa: E402
from torch_data import B, L, V, both, chosen, data, log_probs  # noqa: E402


LOSSES = ["grpo", "dapo", "ppo", "reinforce", "cispo", "sapo", "gspo", "gmpo", "vespo"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("with_mask", [True, False])
def test_losses_are_those_of_plain_pytorch(loss, with_mask):
    given = chosen(data(), "old_log_prob", *(["mask"] if with_mask else []))
    value, gradient, expected, truth = both(given, loss=loss)
    assert value.dtype == torch.float64 and value.shape == ()
    torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    "names, options",
    [
        (("old_log_prob", "base_logits", "mask"), {"kl": 0.3}),
        (("old_log_prob", "base_log_prob", "mask"), {"kl": 0.3}),
        (("base_log_prob",), {"kl": 0.3, "kl_estimator": "k1", "loss": "reinforce"}),
        (("base_log_prob",), {"kl": 0.3, "kl_estimator": "k2"}),
        (("base_logits",), {"kl": 0.3, "kl_estimator": "absolute"}),
        (("old_log_prob", "base_log_prob", "mask"), {"kl": 0.3, "loss": "gspo"}),
        (("mask",), {"entropy": 0.1}),
        (("old_log_prob", "base_logits"), {"entropy": 0.1, "kl": 0.2, "temperature": 0.7, "soft_cap": 5.0}),
        (("mask",), {"temperature": 1.7}),
        (("mask",), {"aggregation": "token_mean"}),
        (("mask",), {"aggregation": "sequence_mean_of_token_sums"}),
        (("mask",), {"aggregation": 100.0, "loss": "dapo"}),
        (("old_log_prob",), {"threads": 3}),
    ],
)
def test_terms_and_means(names, options):
    value, gradient, expected, truth = both(chosen(data(), *names), **options)
    torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", ["grpo", "gspo"])
def test_narrow_types(dtype, loss):
    given = chosen(data(dtype, vocabulary=1000), "old_log_prob", "mask")
    value, gradient, expected, truth = both(given, loss=loss)
    assert value.dtype == torch.float32 and gradient.dtype == dtype
    # Logits are those that the type holds; the error is that of float lanes, and of rounding the gradient to the type.
    assert abs(value.item() - expected.item()) < 1e-5 * max(1, abs(expected.item()))
    eps = max(torch.finfo(dtype).eps, 1e-5)
    limit = eps * truth.abs() + (2 * torch.finfo(dtype).smallest_normal if dtype == torch.float16 else 0) + 1e-9
    assert ((gradient.double() - truth).abs() <= limit).all()


def test_one_response_of_two_dimensions():
    given = data()
    flat = {"logits": given["logits"][0], "tokens": given["tokens"][0], "old_log_prob": given["old_log_prob"][0]}
    flat["advantages"] = torch.linspace(-1, 1, L, dtype=torch.float64)
    value, gradient, expected, truth = both(flat, loss="ppo")
    torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("loss", ["grpo", "gspo"])
def test_slices_are_read_where_they_lie(loss):
    given = data()
    wide = torch.randn(B, L + 5, V, dtype=torch.float64)
    wide[:, 4:-1] = given["logits"]
    ids = torch.zeros(B, L + 4, dtype=torch.int64)
    ids[:, 4:] = given["tokens"]
    rest = {k: given[k] for k in ("advantages", "mask", "old_log_prob")}
    wide.requires_grad_()
    policy_loss(wide[:, 4:-1], ids[:, 4:], loss=loss, **rest).backward()
    _, whole, _, _ = both(chosen(given, "mask", "old_log_prob"), loss=loss)
    torch.testing.assert_close(wide.grad[:, 4:-1], whole, rtol=0, atol=0)
    assert (wide.grad[:, :4] == 0).all() and (wide.grad[:, -1] == 0).all()


def test_what_the_mask_leaves_out_is_not_read():
    given = chosen(data(), "old_log_prob", "mask")
    _, clean, _, _ = both(given)
    left_out = given["mask"] == 0
    dirty = copy.deepcopy(given)
    dirty["logits"][left_out] = math.nan
    dirty["tokens"][left_out] = -100
    dirty["old_log_prob"][left_out] = math.nan
    logits = dirty["logits"].requires_grad_()
    policy_loss(**dirty).backward()
    torch.testing.assert_close(logits.grad, clean, rtol=0, atol=0)
    assert (clean[left_out] == 0).all()


def test_masks_and_ids_of_any_type():
    given = chosen(data(), "mask", "old_log_prob")
    expected = policy_loss(**given)
    for mask in (given["mask"].bool(), given["mask"].long(), given["mask"].bfloat16(), given["mask"].int()):
        assert policy_loss(**{**given, "mask": mask}) == expected
    assert policy_loss(**{**given, "tokens": given["tokens"].int()}) == expected


def test_statistics():
    given = data()
    _, s = policy_loss(**chosen(given, "mask", "old_log_prob", "base_logits"), return_statistics=True)
    p, q = (torch.log_softmax(given[k], -1) for k in ("logits", "base_logits"))
    mask = given["mask"]
    torch.testing.assert_close(s.log_prob, log_probs(given["logits"], given["tokens"]) * mask)
    torch.testing.assert_close(s.kl, (p.exp() * (p - q)).sum(-1) * mask)
    torch.testing.assert_close(s.entropy, -(p.exp() * p).sum(-1) * mask)
    assert s.loss.shape == (B, L) and not s.loss.requires_grad
    assert s.loss[given["mask"] == 0].abs().sum() == 0


SUM = """
import torch
from infalign import _core, instruction_set
from infalign.torch import policy_loss
g = torch.Generator().manual_seed(1)
rand = lambda *shape: torch.randn(*shape, generator=g)
logits, tokens, a, old = rand(4, 9, 301) * 2, torch.randint(0, 301, (4, 9), generator=g), rand(4), -6 + rand(4, 9)
print(instruction_set(), *_core.instruction_sets())
for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
    for loss in ("grpo", "reinforce", "gspo"):
        settings = {"old_log_prob": old, "kl": 0.1, "entropy": 0.1, "loss": loss}
        x = logits.to(dtype, copy=True).requires_grad_()
        base = 0.9 * x.detach()
        value = policy_loss(x, tokens, a, base_logits=base, **settings)
        value.backward()
        truth = x.detach().to(torch.float64, copy=True).requires_grad_()
        expected = policy_loss(truth, tokens, a, base_logits=base.double(), **settings)
        expected.backward()
        error = (x.grad.double() - truth.grad).abs().max() / truth.grad.abs().max()
        print(abs(value.item() / expected.item() - 1), error.item())
"""


def test_every_instruction_set():
    run = lambda **e: subprocess.run(  # noqa: E731
        [sys.executable, "-c", SUM], capture_output=True, text=True, env={**os.environ, **e}, check=False
    )
    names = run().stdout.splitlines()[0].split()[1:]
    assert names[-1] == "baseline"
    for name in names:
        done = run(INFALIGN_INSTRUCTION_SET=name)
        assert done.returncode == 0, done.stderr
        head, *lines = done.stdout.splitlines()
        assert head.split()[0] == name and len(lines) == 12
        # Losses to float's rounding of sums over 301 logits; gradients to half a unit of the type that they are stored in.
        for line, eps in zip(lines, np.repeat([2e-6, 2.0**-8, 2.0**-11, 1e-14], 3)):
            value, gradient = map(float, line.split())
            assert value < 1e-5 and gradient <= eps, (name, line)
