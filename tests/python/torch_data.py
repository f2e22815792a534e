# SPDX-License-Identifier: Apache-2.0
"""Batches of tokens, and the losses of `policy_loss` in plain PyTorch."""

import math

import pytest

torch = pytest.importorskip("torch")
from infalign.torch import policy_loss  # noqa: E402

B, L, V = 3, 7, 61


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
