#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes preference_values.hpp: preference losses as their papers and trainers state them, differentiated by PyTorch.

    python -m venv venv && venv/bin/pip install torch==2.13.0
    venv/bin/python tests/objective/make_preference_values.py

Two parts. The losses of pairs of responses whose log-probabilities are given, with the derivatives by these. And the gradient with
respect to the logits of five ragged responses in four pairs, with weights of tokens. Everything is a multiple of 1/64, so that float and
double hold the same numbers.
"""


import pathlib

import torch
from torch.nn.functional import logsigmoid

BETA, FLIPPED, N, ALPHA, LOG_Z = 0.25, 0.125, 8, 0.25, 0.5

# log π and log π₀ of the chosen response, the same of the rejected one, their numbers of tokens
PAIRS = [
    (-4.0, -4.0, -6.0, -6.0, 3, 2),
    (-4.0, -5.5, -6.0, -5.75, 3, 4),
    (-20.0, -12.0, -7.0, -9.25, 5, 1),
    (-300.0, -100.0, -90.0, -400.0, 80, 60),
    (-90.0, -400.0, -300.0, -100.0, 60, 80),
    (-1.5, -1.25, -3.0, -7.5, 1, 1),
]


def ipo(c, r):
    return (c - r - 1 / (2 * BETA)) ** 2


def target_of(n):
    return (n - 1) * sum(1 / k for k in range(1, n))


# c, r: log-ratios; lc, lr: log-probabilities; nc, nr: lengths
LOSSES = {
    "dpo": lambda c, r, lc, lr, nc, nr: -logsigmoid(BETA * (c - r)),
    "conservative_dpo": lambda c, r, lc, lr, nc, nr: -(1 - FLIPPED) * logsigmoid(BETA * (c - r))
    - FLIPPED * logsigmoid(-BETA * (c - r)),
    "robust_dpo": lambda c, r, lc, lr, nc, nr: (
        -(1 - FLIPPED) * logsigmoid(BETA * (c - r)) + FLIPPED * logsigmoid(-BETA * (c - r))
    )
    / (1 - 2 * FLIPPED),
    "preference_hinge": lambda c, r, lc, lr, nc, nr: torch.relu(1 - BETA * (c - r)),
    "ipo": lambda c, r, lc, lr, nc, nr: ipo(c, r),
    "ipo of means": lambda c, r, lc, lr, nc, nr: ipo(c / nc, r / nr),
    "sppo_hard": lambda c, r, lc, lr, nc, nr: (c - 0.5 / BETA) ** 2 + (r + 0.5 / BETA) ** 2,
    "bonbon": lambda c, r, lc, lr, nc, nr: ALPHA * -lc + (1 - ALPHA) * (c - r - target_of(N)) ** 2,
}


def qrpo(log_ratio, reward):
    return (reward - BETA * LOG_Z - BETA * log_ratio) ** 2


TOKENS, COLUMNS = 11, 13
OFFSETS = [0, 3, 4, 4, 7, 11]
BATCH_PAIRS = [(0, 1), (3, 4), (4, 0), (2, 3)]
SCALE = 0.25

generator = torch.Generator().manual_seed(7)


def on_grid(x):
    return torch.round(x * 64) / 64


def normal(*shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


logits = on_grid(2 * normal(TOKENS, COLUMNS))
base = on_grid(logits + normal(TOKENS, COLUMNS))
ids = torch.randint(COLUMNS, (TOKENS,), generator=generator)
weights = torch.tensor([1, 0.5, 1, 1, 1, 0, 1, 2, 1, 1, 0], dtype=torch.float64)
rewards = torch.tensor([0.5, -1.25, 0.25, 2.0, 0.75], dtype=torch.float64)


def responses(l):
    def sums(x):
        return torch.stack([x[a:b].sum() for a, b in zip(OFFSETS, OFFSETS[1:])])

    of_policy = torch.log_softmax(l, 1).gather(1, ids[:, None])[:, 0]
    of_base = torch.log_softmax(base, 1).gather(1, ids[:, None])[:, 0]
    return sums(weights * of_policy), sums(weights * (of_policy - of_base)), sums((weights != 0).double())


def paired(loss):
    def of_logits(l):
        log_prob, log_ratio, length = responses(l)
        length = length.clamp(min=1)
        return [
            LOSSES[loss](log_ratio[c], log_ratio[r], log_prob[c], log_prob[r], length[c], length[r]) for c, r in BATCH_PAIRS
        ]

    return of_logits


CASES = {
    "dpo": paired("dpo"),
    "ipo_of_means": paired("ipo of means"),
    "bonbon": paired("bonbon"),
    "qrpo": lambda l: list(qrpo(responses(l)[1], rewards)),
    "weighted_sft": lambda l: list(-rewards * responses(l)[0]),
}


def array(name, values, kind="double"):
    numbers = ", ".join(repr(float(v)) if kind == "double" else str(v) for v in values)
    words, lines, line = numbers.split(" "), [], "   "
    for word in words:
        if len(line) + 1 + len(word) > 126:
            lines.append(line)
            line = "   "
        line += " " + word
    return f"inline const std::vector<{kind}> {name}{{\n" + "\n".join(lines + [line]) + "};\n"


def braces(rows):
    return "{" + ", ".join("{" + ", ".join(repr(float(x)) for x in row) + "}" for row in rows) + "}"


def known_losses():
    for name, loss in LOSSES.items():
        found = []
        for lc, bc, lr, br, nc, nr in PAIRS:
            c = torch.tensor(lc, dtype=torch.float64, requires_grad=True)
            r = torch.tensor(lr, dtype=torch.float64, requires_grad=True)
            value = loss(c - bc, r - br, c, r, nc, nr)
            slopes = torch.autograd.grad(value, (c, r), allow_unused=True)
            found.append([value.item()] + [0.0 if s is None else s.item() for s in slopes])
        yield name, found


parts = [
    "// SPDX-License-Identifier: Apache-2.0",
    "/// \\file",
    f"/// Made by make_preference_values.py with PyTorch {torch.__version__.split('+')[0]}. Do not edit.",
    "#pragma once\n\n#include <array>\n#include <cstdint>\n#include <string>\n#include <vector>\n",
    "// clang-format off\nnamespace infalign::test::preference {\n",
    f"inline constexpr double beta = {BETA}, flipped = {FLIPPED}, alpha = {ALPHA}, log_z = {LOG_Z}, scale = {SCALE};",
    f"inline constexpr int n = {N}, tokens = {TOKENS}, columns = {COLUMNS};\n",
    "struct known_pair {\n  double chosen, chosen_base, rejected, rejected_base, chosen_length, rejected_length;\n};\n",
    "inline const std::vector<known_pair> known_pairs" + braces(PAIRS) + ";\n",
    "struct known_loss {\n  std::string name;\n  std::vector<std::array<double, 3>> values;  // of each pair, with its derivatives\n};\n",
    "inline const std::vector<known_loss> known_losses{",
]
for name, found in known_losses():
    parts.append(f'    {{"{name}",\n     {{' + ",\n      ".join("{{" + ", ".join(map(repr, row)) + "}}" for row in found) + "}},")
log_prob, log_ratio, _ = responses(logits)
parts += [
    "};\n",
    array("ids", ids.tolist(), "std::int64_t"),
    array("offsets", OFFSETS, "std::int64_t"),
    array("pairs", [i for pair in BATCH_PAIRS for i in pair], "std::int64_t"),
    array("weights", weights.tolist()),
    array("rewards", rewards.tolist()),
    array("logits", logits.flatten().tolist()),
    array("base", base.flatten().tolist()),
    array("log_prob", log_prob.tolist()),
    array("log_ratio", log_ratio.tolist()),
]
for name, losses in CASES.items():
    l = logits.clone().requires_grad_()
    values = losses(l)
    (SCALE * sum(values)).backward()
    parts.append(array(name + "_loss", [v.item() for v in values]))
    parts.append(array(name + "_gradient", l.grad.flatten().tolist()))
parts.append("}  // namespace infalign::test::preference\n// clang-format on")
path = pathlib.Path(__file__).with_name("preference_values.hpp")
path.write_text("\n".join(parts) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
