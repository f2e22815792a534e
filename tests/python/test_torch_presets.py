# SPDX-License-Identifier: Apache-2.0
"""Presets against what their trainers document, in plain PyTorch. The C++ tests compare them with the trainers' own functions."""

import pytest

torch = pytest.importorskip("torch")
from infalign.torch import policy_loss, preset_names  # noqa: E402
from torch_data import B, L, chosen, data, log_probs  # noqa: E402


def clip(ratio, a, low, high):
    return -torch.min(ratio * a, ratio.clamp(1 - low, 1 + high) * a)


def sapo(ratio, a):
    tau = 1.05 - 0.05 * (a > 0).to(a.dtype)
    return -4 / tau * torch.sigmoid(tau * (ratio - 1)) * a


def vespo(x, m, a):
    log_w = (x.clamp(-20, 20) * m).sum(-1, keepdim=True).clamp(torch.tensor(1e-8).double().log().item(), 20)
    k, lam = torch.where(a >= 0, 2.0, 3.0), torch.where(a >= 0, 3.0, 2.0)
    return (k * log_w + lam * (1 - log_w.exp())).exp().detach()


def mean_of(x, m):
    return (x * m).sum(-1, keepdim=True) / m.sum(-1, keepdim=True).clamp(min=1)


#: What a token loses: of the log-ratios x, the mask, the advantages and log π.
LOSSES = {
    "ppo": lambda x, m, a, lp: clip(x.exp(), a, 0.2, 0.2),
    "vanilla": lambda x, m, a, lp: torch.where(a < 0, torch.min(clip(x.exp(), a, 0.2, 0.2), -3 * a), clip(x.exp(), a, 0.2, 0.2)),
    "gspo": lambda x, m, a, lp: clip(mean_of(x, m).exp(), a, 0.2, 0.2).expand_as(x),
    "rloo": lambda x, m, a, lp: clip((x * m).sum(-1, keepdim=True).exp(), a, 0.2, 0.2).expand_as(x),
    "cispo_5": lambda x, m, a, lp: -x.exp().clamp(max=5).detach() * a * lp,
    "cispo_02": lambda x, m, a, lp: -x.exp().clamp(0.8, 1.2).detach() * a * lp,
    "sapo": lambda x, m, a, lp: sapo(x.exp(), a),
    "vespo": lambda x, m, a, lp: -vespo(x, m, a) * a * lp,
    "geo_mean": lambda x, m, a, lp: -a * mean_of(torch.where(a > 0, x.clamp(max=0.2), x.clamp(min=-0.2)), m).exp().expand_as(x),
    "gpg": lambda x, m, a, lp: -a * lp,
}
MEANS = {
    "tokens": lambda v, m: (v * m).sum() / m.sum(),
    "all": lambda v, m: mean_of(v, m).mean(),
    "nonempty": lambda v, m: mean_of(v, m).sum() / (m.sum(-1) > 0).sum(),
    "sums": lambda v, m: (v * m).sum(-1).mean(),
    "size": lambda v, m: (v * m).sum() / (B * L),
}
#: The KL of a token, of the log-ratios x to the old policy and d to the base policy.
KLS = {
    "k3": lambda x, d: (-d).exp() + d - 1,
    "k3 corrected": lambda x, d: x.exp() * ((-d).exp() + d - 1),
    "k3 clamped": lambda x, d: ((-d.clamp(-20, 20)).exp() + d.clamp(-20, 20) - 1).clamp(-10, 10),
    "k1 clamped": lambda x, d: d.clamp(-10, 10),
    None: None,
}
PRESETS = {
    "trl.grpo": ("ppo", "all", "k3 corrected"),
    "trl.bnpo": ("ppo", "tokens", "k3 corrected"),
    "trl.dr_grpo": ("ppo", "size", "k3 corrected"),
    "trl.dapo": ("ppo", "tokens", "k3 corrected"),
    "trl.cispo": ("cispo_5", "tokens", "k3 corrected"),
    "trl.sapo": ("sapo", "all", "k3 corrected"),
    "trl.vespo": ("vespo", "tokens", "k3 corrected"),
    "trl.gspo": ("gspo", "all", None),
    "trl.luspo": ("gspo", "sums", None),
    "trl.rloo": ("rloo", "all", None),
    "verl.vanilla": ("vanilla", "tokens", "k3 clamped"),
    "verl.gspo": ("gspo", "nonempty", "k3 clamped"),
    "verl.sapo": ("sapo", "nonempty", "k3 clamped"),
    "verl.geo_mean": ("geo_mean", "all", "k3 clamped"),
    "verl.cispo": ("cispo_02", "tokens", "k3 clamped"),
    "verl.gpg": ("gpg", "tokens", "k3 clamped"),
    "openrlhf.ppo": ("ppo", "tokens", "k1 clamped"),
    "openrlhf.gspo": ("gspo", "nonempty", "k1 clamped"),
    "liger.grpo": ("ppo", "all", "k3"),
    "liger.bnpo": ("ppo", "tokens", "k3"),
    "liger.dr_grpo": ("ppo", "size", "k3"),
    "liger.dapo": ("ppo", "tokens", "k3"),
    "liger.cispo": ("cispo_5", "tokens", "k3"),
    "liger.sapo": ("sapo", "all", "k3"),
    "liger.vespo": ("vespo", "tokens", "k3"),
    "liger.gspo": ("gspo", "all", "k3"),
    "liger.luspo": ("gspo", "sums", None),
}


def batch():
    """One response without a token, ratios up to e^2, and a base policy that is far away at one token."""
    given = chosen(data(seed=4), "mask", "old_log_prob", "base_log_prob")
    given["mask"][1] = 0
    lp = log_probs(given["logits"], given["tokens"])
    given["old_log_prob"] = lp + 5 * (given["old_log_prob"] - lp)
    given["base_log_prob"][0, 1] += 4
    given["base_log_prob"][2, 4] -= 12
    given["advantages"] = torch.tensor([1.5, 0.3, -0.7], dtype=torch.float64)
    return given


def both(preset, kl, **options):
    given = batch()
    logits = given["logits"].clone().requires_grad_()
    value = policy_loss(**{**given, "logits": logits}, preset=preset, kl=kl, **options)
    value.backward()
    truth = given["logits"].clone().requires_grad_()
    loss, mean, term = PRESETS[preset]
    m, a, lp = given["mask"].double(), given["advantages"][:, None], log_probs(truth, given["tokens"])
    x, d = lp - given["old_log_prob"], lp - given["base_log_prob"]
    each = LOSSES[loss](x, m, a, lp) + (kl * KLS[term](x, d) if kl else 0)
    expected = MEANS[mean](each, m)
    expected.backward()
    return value, logits.grad, expected, truth.grad


@pytest.mark.parametrize("preset, kl", [(p, kl) for p in PRESETS for kl in (0.0, 0.3) if not kl or PRESETS[p][2] is not None])
def test_presets(preset, kl):
    value, gradient, expected, truth = both(preset, kl)
    torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-13)


def test_names_and_what_they_mirror():
    names = dict(preset_names())
    assert list(names) == list(PRESETS) and len(names) == 27
    assert names["trl.grpo"].startswith("TRL ") and names["liger.dapo"].startswith("Liger")


def test_what_is_given_wins_over_the_preset():
    given = batch()
    call = lambda **options: policy_loss(**given, **options)  # noqa: E731
    same = {"kl": 0.1, "kl_estimator": "k3", "aggregation": "token_mean"}
    assert call(preset="trl.grpo", **same) == call(loss="grpo", **same)
    assert call(preset="verl.cispo", epsilon_low=1.0, epsilon_high=4.0) == call(loss="cispo")
    assert call(preset="trl.gspo", kl=0.1, kl_estimator="k3") != call(preset="trl.gspo")


def test_a_preset_under_compile():
    given = batch()
    call = lambda x: policy_loss(**{**given, "logits": x}, preset="trl.dr_grpo", kl=0.1)  # noqa: E731
    assert torch.compile(call, fullgraph=True, backend="aot_eager")(given["logits"]) == call(given["logits"])
