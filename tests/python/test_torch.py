# SPDX-License-Identifier: Apache-2.0
import copy
import gc
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import infalign as ia

torch = pytest.importorskip("torch")
import infalign.torch  # noqa: E402
from infalign.torch import policy_loss  # noqa: E402

B, L, V = 3, 7, 61
WIDE = {torch.float64: torch.float64, torch.float32: torch.float32}


def data(dtype=torch.float64, seed=0, vocabulary=V):
    g = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    logits = (rand(B, L, vocabulary) * 2).to(dtype)
    tokens = torch.randint(0, vocabulary, (B, L), generator=g)
    mask = torch.ones(B, L)
    mask[0, 5:] = 0
    mask[2, :2] = 0
    lp = log_probs(logits.double(), tokens)
    old, base_lp = lp + 0.2 * rand(B, L), lp + 0.3 * rand(B, L)
    return {
        "logits": logits,
        "tokens": tokens,
        "advantages": rand(B),
        "mask": mask,
        "old_log_prob": old,
        "base_log_prob": base_lp,
        "base_logits": (logits.double() + 0.5 * rand(B, L, vocabulary)).to(dtype),
    }


def log_probs(logits, tokens):
    return torch.log_softmax(logits, -1).gather(-1, tokens[..., None])[..., 0]


def reference(
    logits,
    tokens,
    advantages,
    mask=None,
    old_log_prob=None,
    base_logits=None,
    base_log_prob=None,
    loss="grpo",
    kl=0.0,
    kl_estimator=None,
    entropy=0.0,
    temperature=1.0,
    soft_cap=None,
    aggregation=None,
):
    """The same loss in plain PyTorch."""
    mask = torch.ones_like(tokens, dtype=logits.dtype) if mask is None else mask.to(logits.dtype)
    see = lambda x: (x if soft_cap is None else soft_cap * torch.tanh(x / soft_cap)) / temperature  # noqa: E731
    logits = see(logits)
    lp = log_probs(logits, tokens)
    a = advantages[:, None].expand_as(lp) if advantages.ndim < lp.ndim else advantages
    old = lp.detach() if old_log_prob is None else old_log_prob
    log_ratio = lp - old
    ratio = log_ratio.exp()
    length = mask.sum(-1, keepdim=True)
    mean_log_ratio = (log_ratio * mask).sum(-1, keepdim=True) / length
    clip = lambda r, low, high: -torch.min(r * a, r.clamp(1 - low, 1 + high) * a)  # noqa: E731
    if loss in ("grpo", "ppo"):
        value = clip(ratio, 0.2, 0.2)
    elif loss == "dapo":
        value = clip(ratio, 0.2, 0.28)
    elif loss == "reinforce":
        value = -a * lp
    elif loss == "cispo":
        value = -ratio.clamp(0, 5).detach() * a * lp
    elif loss == "sapo":
        tau = 1.05 - 0.05 * (a > 0).to(a.dtype)
        value = -4 / tau * torch.sigmoid(tau * (ratio - 1)) * a
    elif loss == "gspo":
        value = clip(mean_log_ratio.exp().expand_as(lp), 3e-4, 4e-4)
    elif loss == "gmpo":
        clipped = torch.where(a > 0, log_ratio.clamp(max=0.4), log_ratio.clamp(min=-0.4))
        value = -a * ((clipped * mask).sum(-1, keepdim=True) / length).exp()
    elif loss == "vespo":
        log_w = (log_ratio.clamp(-20, 20) * mask).sum(-1, keepdim=True).clamp(math.log(1e-8), 20)
        k, lam = torch.where(a >= 0, 2.0, 3.0), torch.where(a >= 0, 3.0, 2.0)
        value = -(k * log_w + lam * (1 - log_w.exp())).exp().detach() * a * lp
    if kl:
        estimator = kl_estimator or ("k3" if base_logits is None else "exact")
        if estimator == "exact":
            p, q = torch.log_softmax(logits, -1), torch.log_softmax(see(base_logits), -1)
            value = value + kl * (p.exp() * (p - q)).sum(-1)
        else:
            x = lp - (base_log_prob if base_log_prob is not None else log_probs(see(base_logits), tokens))
            value = value + kl * {"k1": x, "absolute": x.abs(), "k2": x**2 / 2, "k3": (-x).exp() + x - 1}[estimator]
    if entropy:
        p = torch.log_softmax(logits, -1)
        value = value + entropy * (p.exp() * p).sum(-1)
    by = aggregation or ("sequence_mean_of_token_means" if loss in ("grpo", "sapo", "gspo", "gmpo") else "token_mean")
    if not isinstance(by, str):
        return (value * mask).sum() / by
    if by == "token_mean":
        return (value * mask).sum() / mask.sum()
    per = (value * mask).sum(-1)
    return (per / length[..., 0]).mean() if by == "sequence_mean_of_token_means" else per.mean()


def both(given, dtype=torch.float64, **options):
    """Loss and gradient of ours and of plain PyTorch in double."""
    ours = {k: (v.clone() if k == "logits" else v) for k, v in given.items()}
    ours["logits"].requires_grad_()
    value = policy_loss(**ours, **options)
    value.backward()
    truth = {k: (v.double() if v.is_floating_point() else v) for k, v in given.items()}
    truth["logits"] = truth["logits"].detach().clone().requires_grad_()
    expected = reference(**truth, **{k: v for k, v in options.items() if k != "threads"})
    expected.backward()
    return value, ours["logits"].grad, expected, truth["logits"].grad


def chosen(given, *names):
    return {k: given[k] for k in ("logits", "tokens", "advantages", *names)}


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


class TestAutograd:
    def test_gradcheck(self):
        given = chosen(data(), "mask", "old_log_prob", "base_logits")
        rest = {k: v for k, v in given.items() if k != "logits"}
        f = lambda x: policy_loss(x, kl=0.1, entropy=0.05, loss="sapo", **rest)  # noqa: E731
        assert torch.autograd.gradcheck(f, given["logits"].clone().requires_grad_())

    def test_the_gradient_of_the_loss_is_multiplied(self):
        given = chosen(data(), "mask")
        _, once, _, _ = both(given)
        logits = given["logits"].clone().requires_grad_()
        (3 * policy_loss(**{**given, "logits": logits * 1})).backward()
        torch.testing.assert_close(logits.grad, 3 * once)

    def test_backward_twice(self):
        given = chosen(data(), "mask")
        _, once, _, _ = both(given)
        logits = given["logits"].clone().requires_grad_()
        loss = policy_loss(**{**given, "logits": logits})
        loss.backward(retain_graph=True)
        loss.backward()
        torch.testing.assert_close(logits.grad, 2 * once)
        with pytest.raises(RuntimeError):
            loss.backward()

    def test_there_is_no_second_derivative(self):
        given = chosen(data(), "mask")
        logits = given["logits"].clone().requires_grad_()
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(scale * policy_loss(**{**given, "logits": logits}), logits, create_graph=True)

    def test_in_place(self):
        given = chosen(data(), "mask", "old_log_prob")
        value, truth, _, _ = both(given)
        leaf = given["logits"].clone().requires_grad_()
        logits = leaf * 1.0
        where = logits.data_ptr()
        loss = policy_loss(**{**given, "logits": logits}, in_place=True)
        torch.testing.assert_close(logits.detach(), truth, rtol=1e-12, atol=1e-16)
        assert logits.data_ptr() == where and loss == value
        loss.backward()
        torch.testing.assert_close(leaf.grad, truth, rtol=1e-12, atol=1e-16)
        with pytest.raises(ValueError, match="a leaf"):
            policy_loss(**{**given, "logits": leaf}, in_place=True)
        # What reads the logits in its own backward is told that they have changed.
        logits = leaf * 1.0
        other = (logits**2).sum()
        loss = policy_loss(**{**given, "logits": logits}, in_place=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (loss + other).backward()

    def test_out(self):
        given = chosen(data(), "mask", "old_log_prob")
        _, truth, _, _ = both(given)
        out = torch.full_like(given["logits"], 7)
        leaf = given["logits"].clone().requires_grad_()
        loss = policy_loss(**{**given, "logits": leaf}, out=out)
        torch.testing.assert_close(out, truth, rtol=0, atol=0)
        out.zero_()
        with pytest.raises(RuntimeError, match="written to before backward"):
            loss.backward()

    def test_memory_is_used_again_when_it_is_free(self):
        infalign.torch.release_memory()
        logits = torch.randn(64, 8192, requires_grad=True)
        tokens, advantages = torch.arange(64), torch.ones(64)

        def step():
            logits.grad = None
            policy_loss(logits, tokens, advantages, loss="reinforce").backward()
            return logits.grad.data_ptr()

        first = step()
        assert step() == first  # the gradient of the step before was dropped
        kept = logits.grad
        before = kept.clone()
        assert step() != first  # it is still in use
        torch.testing.assert_close(kept, before, rtol=0, atol=0)
        del kept
        gc.collect()
        infalign.torch.release_memory()

    def test_a_view_of_a_leaf_is_not_overwritten(self):
        given = chosen(data(), "mask")
        wide = torch.zeros(B, L + 1, V, dtype=torch.float64).requires_grad_()
        for logits in (wide[:, :-1], wide.detach().requires_grad_()[:, 1:]):
            with pytest.raises(ValueError, match="a view of a leaf that requires a gradient"):
                policy_loss(**{**given, "logits": logits}, in_place=True)
        assert (wide == 0).all()
        # A view of what was computed may be.
        policy_loss(**{**given, "logits": (wide * 1)[:, :-1]}, in_place=True).backward()
        _, expected, _, _ = both({**given, "logits": torch.zeros(B, L, V, dtype=torch.float64)})
        torch.testing.assert_close(wide.grad[:, :-1], expected, rtol=1e-12, atol=1e-16)

    def test_no_gradient_is_asked_for(self):
        given = chosen(data(), "mask")
        with torch.no_grad():
            assert not policy_loss(**given).requires_grad
        before = given["logits"]._version
        assert policy_loss(**given, in_place=True) == both(chosen(data(), "mask"))[0]
        assert given["logits"]._version > before
        with torch.autograd.forward_ad.dual_level(), pytest.raises(Exception, match="jvp|forward"):
            dual = torch.autograd.forward_ad.make_dual(given["logits"], given["logits"])
            policy_loss(**{**given, "logits": dual})

    def test_inference_mode(self):
        given = chosen(data(), "mask", "old_log_prob")
        value, truth, _, _ = both(given)
        with torch.inference_mode():
            made_here = {k: v.clone() for k, v in given.items()}
            assert made_here["logits"].is_inference()
            assert policy_loss(**made_here) == value
            assert policy_loss(**{**given, "logits": given["logits"].clone().requires_grad_()}) == value
            loss, statistics = policy_loss(**made_here, in_place=True, return_statistics=True)
            assert loss == value and statistics.loss.shape == (B, L)
            torch.testing.assert_close(made_here["logits"], truth, rtol=1e-12, atol=1e-16)
            out = torch.empty_like(truth)
        # Memory of inference mode, used behind it.
        leaf = given["logits"].clone().requires_grad_()
        policy_loss(**{**given, "logits": leaf}, out=out).backward()
        torch.testing.assert_close(leaf.grad, truth, rtol=1e-12, atol=1e-16)


class TestCompile:
    def arguments(self, given):
        inputs = [given.get(k) for k in ("mask", "old_log_prob", "base_logits", "base_log_prob")]
        return (given["logits"], given["tokens"], given["advantages"], *inputs)

    SETTINGS = ("grpo", math.nan, math.nan, 0.1, "exact", 0.05, 1.0, 0.0, "", 1.0)

    def test_opcheck(self):
        given = chosen(data(), "mask", "old_log_prob", "base_logits")
        given["logits"].requires_grad_()
        torch.library.opcheck(torch.ops.infalign.policy_loss.default, (*self.arguments(given), *self.SETTINGS))

    @pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
    def test_fullgraph(self, backend):
        if backend == "inductor" and os.environ.get("INFALIGN_TEST_QUICK") == "1":
            pytest.skip("INFALIGN_TEST_QUICK is 1: inductor compiles C++")
        given = chosen(data(), "mask", "old_log_prob")
        _, truth, _, _ = both(given)
        weight = torch.eye(V, dtype=torch.float64)
        leaf = given["logits"].clone().requires_grad_()
        rest = {k: v for k, v in given.items() if k != "logits"}

        @torch.compile(fullgraph=True, backend=backend)
        def step(x):
            return 2 * policy_loss(x @ weight, in_place=True, **rest)

        value = step(leaf)
        value.backward()
        torch.testing.assert_close(leaf.grad, 2 * truth, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(
    "change, options, error, says",
    [
        ({"logits": torch.zeros(B, L, V, dtype=torch.int64)}, {}, TypeError, "logits must be of float32"),
        ({"logits": torch.zeros(B, L)}, {}, ValueError, "logits is 3 x 7"),
        ({"logits": torch.zeros(())}, {}, ValueError, "logits is a single number, must have two dimensions or three"),
        ({"logits": torch.zeros(V)}, {}, ValueError, "logits is 61, must have two dimensions or three"),
        ({"logits": torch.zeros(1, B, L, V)}, {}, ValueError, "logits is 1 x 3 x 7 x 61, must have two dimensions or three"),
        ({"tokens": torch.zeros((), dtype=torch.int64)}, {}, ValueError, "tokens is a single number"),
        ({"tokens": None}, {}, TypeError, "tokens is a NoneType, must be a tensor"),
        ({"tokens": [[1]]}, {}, TypeError, "tokens is a list, must be a tensor"),
        ({"advantages": torch.zeros(())}, {}, ValueError, "advantages is a single number"),
        ({"advantages": None}, {}, TypeError, "advantages is a NoneType, must be a tensor"),
        ({"advantages": torch.zeros(1, 1, B, L)}, {}, ValueError, "advantages is 1 x 1 x 3 x 7"),
        ({"mask": torch.ones(())}, {}, ValueError, "mask is a single number"),
        ({"mask": torch.ones(B, L, 1, 1)}, {}, ValueError, "mask is 3 x 7 x 1 x 1"),
        ({"old_log_prob": torch.zeros(())}, {}, ValueError, "old_log_prob is a single number"),
        ({"base_log_prob": torch.zeros(())}, {}, ValueError, "base_log_prob is a single number"),
        ({"base_logits": torch.zeros((), dtype=torch.float64)}, {}, ValueError, "base_logits is a single number, must have two"),
        ({"logits": torch.zeros(B, L + 1, V)}, {}, ValueError, "logits is 3 x 8 x 61"),
        ({"logits": torch.zeros(B, V, L).transpose(1, 2)}, {}, ValueError, "rows of logits are not contiguous"),
        ({"logits": torch.zeros(1, 1, V).expand(B, L, V)}, {}, ValueError, "must not overlap"),
        ({"logits": torch.zeros(B, L, V, device="meta")}, {}, ValueError, "logits is on meta"),
        ({"tokens": torch.zeros(B, L)}, {}, TypeError, "tokens must be of int64"),
        ({"tokens": torch.full((B, L), V)}, {}, ValueError, r"tokens\[0\] is 61, must be in \[0, 60\]"),
        ({"tokens": torch.zeros(B, L, 1, dtype=torch.int64)}, {}, ValueError, "one dimension or two"),
        ({"advantages": torch.zeros(L)}, {}, ValueError, "advantages is 7"),
        ({"advantages": torch.full((B,), math.nan)}, {}, ValueError, r"advantages\[0\] is nan"),
        ({"advantages": torch.zeros(B, L)}, {"loss": "gspo"}, ValueError, "one value a response"),
        ({"mask": torch.ones(B)}, {}, ValueError, "mask is 3"),
        ({"mask": -torch.ones(B, L)}, {}, ValueError, r"mask\[0\]\[0\] is -1"),
        ({"old_log_prob": torch.full((B, L), math.nan)}, {}, ValueError, r"old_log_prob\[0\] is nan"),
        ({"base_logits": torch.zeros(B, L, V, dtype=torch.bfloat16)}, {}, TypeError, "base_logits must be of the type of logits"),
        ({}, {"loss": "grp"}, ValueError, "must be one of grpo, dapo"),
        ({}, {"kl": 0.1}, ValueError, "base_log_prob or base_logits"),
        ({}, {"kl": 0.1, "kl_estimator": "exact"}, ValueError, "needs base_logits"),
        ({}, {"kl": -1.0}, ValueError, "beta is -1"),
        ({}, {"kl_estimator": "k4"}, ValueError, "must be one of exact, k1"),
        ({}, {"entropy": -1.0}, ValueError, "eta is -1"),
        ({}, {"temperature": 0.0}, ValueError, "temperature is 0"),
        ({}, {"soft_cap": -1.0}, ValueError, "soft_cap is -1"),
        ({}, {"epsilon_low": 2.0}, ValueError, "epsilon_low is 2"),
        ({}, {"aggregation": "mean"}, ValueError, "aggregation is 'mean'"),
        ({}, {"aggregation": 0.0}, ValueError, "divisor is 0"),
        ({}, {"threads": 0}, ValueError, "threads is 0"),
        ({}, {"out": torch.zeros((), dtype=torch.float64)}, ValueError, "out is a single number"),
        ({}, {"out": torch.zeros(B, L, V)}, TypeError, "out must be of the type of logits"),
        ({}, {"out": torch.zeros(B, L, V - 1, dtype=torch.float64)}, ValueError, "out is 3 x 7 x 60"),
    ],
)
def test_bad_input(change, options, error, says):
    given = chosen(data(), "mask", "old_log_prob") | change
    out = options.get("out", torch.full_like(given["logits"], 5) if given["logits"].device.type == "cpu" else None)
    with pytest.raises(error, match=says):
        policy_loss(**given, **{"out": out, **options})
    if out is not None and "out" not in options:
        assert (out == 5).all()  # nothing was written


def test_logits_that_are_no_tensor():
    with pytest.raises(TypeError, match="logits is a ndarray, must be a tensor"):
        policy_loss(np.zeros((2, 4)), torch.zeros(2, dtype=torch.int64), torch.ones(2))


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


def test_several_losses_live_until_backward():
    # Gradients of a size that is kept in memory for later calls: they must not be written over while they are waited for.
    infalign.torch.release_memory()
    leaves, losses, truths = [], [], []
    for seed in range(4):
        logits = torch.randn(64, 8192, generator=torch.Generator().manual_seed(seed))
        tokens, advantages = torch.arange(64) + seed, torch.linspace(-1, 1, 64)
        for into in (leaves, truths):
            leaf = logits.clone().requires_grad_()
            loss = policy_loss(leaf, tokens, advantages, loss="reinforce")
            into.append(leaf)
            losses.append(loss) if into is leaves else loss.backward()
    for loss in reversed(losses):
        loss.backward()
    for leaf, truth in zip(leaves, truths):
        torch.testing.assert_close(leaf.grad, truth.grad, rtol=0, atol=0)


class TestArraysOfPyTorch:
    def test_tensors_in_tensors_out(self):
        z, y = torch.randn(3, 16), torch.randn(3, 4)
        u = ia.calibrate(z, y)
        assert isinstance(u, torch.Tensor) and u.dtype == torch.float32
        np.testing.assert_array_equal(u.numpy(), ia.calibrate(z.numpy(), y.numpy()))
        out = torch.empty(3, 4)
        assert ia.calibrate(z, y, out=out) is out and (out == u).all()
        assert isinstance(ia.win_rate(y, z, "best_of:2"), torch.Tensor)
        assert isinstance(ia.advantage("grpo", y), torch.Tensor) and isinstance(ia.select(y, "best_of:4"), torch.Tensor)

    def test_what_is_refused(self):
        z = torch.randn(2, 4)
        for bad, error, says in [
            (z.bfloat16(), TypeError, "bfloat16"),
            (z.clone().requires_grad_(), ValueError, "requires a gradient"),
            (torch.empty(2, 4, device="meta"), ValueError, "is on meta"),
        ]:
            with pytest.raises(error, match=says):
                ia.calibrate(z, bad)


def test_no_process_dies_with_memory_in_use():
    code = """
import torch, infalign.torch as it
x = torch.randn(64, 8192, requires_grad=True)
loss = it.policy_loss(x, torch.arange(64), torch.ones(64), loss="reinforce")
it.release_memory()
loss.backward()
print(bool(torch.isfinite(x.grad).all()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True" and done.returncode == 0, done.stderr
