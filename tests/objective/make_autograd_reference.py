#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes autograd_reference.hpp: losses and their gradients with respect to logits, differentiated by PyTorch.

    python -m venv venv && venv/bin/pip install torch==2.13.0
    venv/bin/python tests/objective/make_autograd_reference.py

Logits are multiples of 1/64, so that float and double hold the same numbers. Gradients are taken in double, and in float to
see that PyTorch itself agrees with them to 1e-5.
"""

import pathlib

import torch

TOKENS, COLUMNS = 5, 37
TEMPERATURE, CAP = 0.625, 3.0
BETA, ETA, SCALE, CLIP_LOW, CLIP_HIGH = 0.25, 0.125, 0.5, 0.2, 0.25
OFFSETS = [0, 2, 2, 5]  # rollouts of 2, 0 and 3 tokens

generator = torch.Generator().manual_seed(20)


def on_grid(x):
    return torch.round(x * 64) / 64


def normal(*shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


logits = on_grid(2 * normal(TOKENS, COLUMNS))
base = on_grid(logits + normal(TOKENS, COLUMNS))
ids = torch.randint(COLUMNS, (TOKENS,), generator=generator)
advantages = torch.tensor([1.5, -0.75, 2.0, -1.25, 0.5], dtype=torch.float64)
rollout_advantages = torch.tensor([0.75, -3.0, -1.5], dtype=torch.float64)
# Ratios of about 1.65, 1.65, 0.61, 0.61 and 1: clipped, not clipped (A < 0), not clipped, clipped (A < 0), inside.
old_log_prob = on_grid(
    torch.log_softmax(logits, 1).gather(1, ids[:, None])[:, 0] + torch.tensor([-0.5, -0.5, 0.5, 0.5, 0.0])
)


def pieces(l):
    log_p = torch.log_softmax(l, 1)
    log_q = torch.log_softmax(base.to(l.dtype), 1)
    kl = (log_p.exp() * (log_p - log_q)).sum(1)
    entropy = -(log_p.exp() * log_p).sum(1)
    return log_p.gather(1, ids[:, None])[:, 0], kl, entropy


def reinforce(l, beta, eta, scale):
    log_prob, kl, entropy = pieces(l)
    return scale * (-advantages.to(l.dtype) * log_prob + beta * kl - eta * entropy).sum()


def clipped(l):
    log_prob, kl, entropy = pieces(l)
    a = advantages.to(l.dtype)
    ratio = (log_prob - old_log_prob.to(l.dtype)).exp()
    surrogate = torch.minimum(ratio * a, ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH) * a)
    return SCALE * (-surrogate + BETA * kl - ETA * entropy).sum()


def sequence(l):
    log_prob, kl, entropy = pieces(l)
    total = 0
    for r, (begin, end) in enumerate(zip(OFFSETS, OFFSETS[1:])):
        for t in range(begin, end):
            later = kl[t + 1 : end].sum().detach()
            score = rollout_advantages[r].to(l.dtype) - BETA * later
            total = total - score * log_prob[t] + BETA * kl[t] - ETA * entropy[t]
    return SCALE * total


def mapped(x):
    return CAP * torch.tanh(x / CAP) / TEMPERATURE


def mapped_reinforce(l):
    log_p, log_q = torch.log_softmax(mapped(l), 1), torch.log_softmax(mapped(base.to(l.dtype)), 1)
    kl, entropy = (log_p.exp() * (log_p - log_q)).sum(1), -(log_p.exp() * log_p).sum(1)
    log_prob = log_p.gather(1, ids[:, None])[:, 0]
    return SCALE * (-advantages.to(l.dtype) * log_prob + BETA * kl - ETA * entropy).sum()


# Ids that a sampler kept, the sampled one among them; one token's list is its own id alone.
kept = [sorted({int(i)} | set(torch.randperm(COLUMNS, generator=generator)[:n].tolist())) for i, n in zip(ids, [9, 20, 1, 0, 36])]


def kept_reinforce(l):
    total = 0
    for t in range(TOKENS):
        log_p, log_q = torch.log_softmax(l[t, kept[t]], 0), torch.log_softmax(base[t, kept[t]].to(l.dtype), 0)
        log_prob = log_p[kept[t].index(int(ids[t]))]
        total = total - advantages[t].to(l.dtype) * log_prob + (log_p.exp() * (BETA * (log_p - log_q) + ETA * log_p)).sum()
    return SCALE * total


CASES = {
    "kept_all": kept_reinforce,
    "mapped_all": mapped_reinforce,
    "reinforce": lambda l: reinforce(l, 0, 0, 1),
    "reinforce_kl": lambda l: reinforce(l, BETA, 0, 1),
    "reinforce_entropy": lambda l: reinforce(l, 0, ETA, 1),
    "reinforce_all": lambda l: reinforce(l, BETA, ETA, SCALE),
    "clipped_all": clipped,
    "sequence_all": sequence,
}


WIDTH = 3
hidden, matrix = on_grid(normal(TOKENS, WIDTH)), on_grid(normal(COLUMNS, WIDTH))
base_hidden, base_matrix = on_grid(normal(TOKENS, WIDTH + 1)), on_grid(normal(COLUMNS, WIDTH + 1))


def from_hidden():
    h, w = hidden.clone().requires_grad_(), matrix.clone().requires_grad_()
    log_p, log_q = torch.log_softmax(h @ w.T / TEMPERATURE, 1), torch.log_softmax(base_hidden @ base_matrix.T / TEMPERATURE, 1)
    log_prob = log_p.gather(1, ids[:, None])[:, 0]
    (SCALE * ((log_p.exp() * (BETA * (log_p - log_q) + ETA * log_p)).sum() - (advantages * log_prob).sum())).backward()
    return h.grad, w.grad


def gradient(loss, dtype):
    l = logits.to(dtype).clone().requires_grad_()
    loss(l).backward()
    return l.grad.to(torch.float64)


def array(name, values, kind="double"):
    numbers = ", ".join(f"{v:.17g}" if kind == "double" else str(v) for v in values)
    words, lines, line = numbers.split(" "), [], "   "
    for word in words:
        if len(line) + 1 + len(word) > 126:
            lines.append(line)
            line = "   "
        line += " " + word
    return f"inline const std::vector<{kind}> {name}{{\n" + "\n".join(lines + [line]) + "};\n"


log_prob, kl, entropy = pieces(logits)
parts = [
    "// SPDX-License-Identifier: Apache-2.0",
    "/// \\file",
    f"/// Made by make_autograd_reference.py with PyTorch {torch.__version__.split('+')[0]}. Do not edit.",
    "#pragma once",
    "",
    "#include <cstdint>",
    "#include <vector>",
    "",
    "// clang-format off",
    "namespace infalign::test::autograd {",
    "",
    f"inline constexpr int tokens = {TOKENS}, columns = {COLUMNS};",
    f"inline constexpr double beta = {BETA}, eta = {ETA}, scale = {SCALE}, clip_low = {CLIP_LOW}, clip_high = {CLIP_HIGH};",
    f"inline constexpr int width = {WIDTH};",
    f"inline constexpr double temperature = {TEMPERATURE}, cap = {CAP};",
    "",
    array("ids", ids.tolist(), "std::int32_t"),
    array("rollout_offsets", OFFSETS, "std::int64_t"),
    array("advantages", advantages.tolist()),
    array("rollout_advantages", rollout_advantages.tolist()),
    array("old_log_prob", old_log_prob.tolist()),
    array("logits", logits.flatten().tolist()),
    array("base", base.flatten().tolist()),
    array("kept_ids", sum(kept, []), "std::int64_t"),
    array("kept_offsets", [sum(map(len, kept[:t])) for t in range(TOKENS + 1)], "std::int64_t"),
    array("log_prob", log_prob.tolist()),
    array("kl", kl.tolist()),
    array("entropy", entropy.tolist()),
]
for name, loss in CASES.items():
    exact = gradient(loss, torch.float64)
    assert (gradient(loss, torch.float32) - exact).abs().max() <= 1e-5 * exact.abs().max(), name
    parts.append(array(name, exact.flatten().tolist()))
for name, values in zip(
    ["hidden", "matrix", "base_hidden", "base_matrix", "by_hidden", "by_matrix"],
    [hidden, matrix, base_hidden, base_matrix, *from_hidden()],
):
    parts.append(array(name, values.flatten().tolist()))
parts.append("}  // namespace infalign::test::autograd\n// clang-format on")
path = pathlib.Path(__file__).with_name("autograd_reference.hpp")
path.write_text("\n".join(parts) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
