# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

import infalign as ia

torch = pytest.importorskip("torch")
from infalign.torch import policy_loss  # noqa: E402
from torch_data import B, L, V, chosen, data  # noqa: E402


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
        ({}, {"preset": "trl.grp"}, ValueError, "preset is 'trl.grp', must be one of trl.grpo, trl.bnpo"),
        ({}, {"preset": "grpo."}, ValueError, "preset is 'grpo.', must be"),
        ({}, {"preset": "trl.grpo", "loss": "grpo"}, TypeError, "either loss, or"),
        ({}, {"loss": "trl.grpo"}, TypeError, "either loss, or the name of a preset as preset"),
        ({}, {"preset": "trl.rloo", "kl": 0.1}, ValueError, "trl.rloo has no KL term that is offered here"),
        ({}, {"preset": "trl.grpo", "kl": 0.1}, ValueError, "base_log_prob or base_logits"),
        ({"advantages": torch.zeros(B, L)}, {"preset": "trl.gspo"}, ValueError, "one value a response"),
        ({}, {"kl_estimator": "preset"}, ValueError, "must be one of exact, k1"),
        ({}, {"kl": 0.1}, ValueError, "base_log_prob or base_logits"),
        ({}, {"kl": 0.1, "kl_estimator": "exact"}, ValueError, "needs base_logits"),
        ({}, {"kl": -1.0}, ValueError, "beta is -1"),
        ({}, {"kl_estimator": "k4"}, ValueError, "must be one of exact, k1"),
        ({}, {"entropy": -1.0}, ValueError, "eta is -1"),
        ({}, {"temperature": 0.0}, ValueError, "temperature is 0"),
        ({}, {"soft_cap": -1.0}, ValueError, "soft_cap is -1"),
        ({}, {"epsilon_low": 2.0}, ValueError, "epsilon_low is 2"),
        ({}, {"aggregation": "mean"}, ValueError, "aggregation is 'mean'"),
        ({}, {"aggregation": 0.0}, ValueError, "aggregation is 0"),
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
