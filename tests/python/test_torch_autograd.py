# SPDX-License-Identifier: Apache-2.0
import gc
import math
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
import infalign.torch  # noqa: E402
from infalign.torch import policy_loss  # noqa: E402
from torch_data import B, L, V, both, chosen, data  # noqa: E402


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
