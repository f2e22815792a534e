#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes loss_values.hpp: the policy losses as their papers and trainers state them, in plain Python, with derivatives by dual numbers.

    python3 make_loss_values.py > loss_values.hpp

Needs the standard library alone. A loss is a function of the lists `lp`, `old` (log-probabilities of a response's tokens) and the
response's advantage `a`; it gives one value a token. The derivative of a token is that of the sum of these values.
"""

import math


class dual:
    """A number and its derivative."""

    def __init__(self, value, slope=0.0):
        self.value, self.slope = value, slope

    def __add__(self, other):
        other = as_dual(other)
        return dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = as_dual(other)
        return dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_dual(other)

    def __truediv__(self, number):
        return self * (1.0 / number)

    __radd__, __rmul__ = __add__, __mul__


def as_dual(x):
    return x if isinstance(x, dual) else dual(x)


def exp(x):
    return dual(math.exp(x.value), math.exp(x.value) * x.slope)


def sigmoid(x):
    tail = math.exp(-abs(x.value))  # 1 - sigmoid would cancel
    return dual((1 if x.value > 0 else tail) / (1 + tail), tail / (1 + tail) ** 2 * x.slope)


def minimum(x, y):
    x, y = as_dual(x), as_dual(y)
    return x if x.value <= y.value else y


def maximum(x, y):
    return -minimum(-as_dual(x), -as_dual(y))


def clamp(x, low, high):
    return minimum(maximum(x, low), high)


def stop(x):
    return dual(x.value)


def mean(xs):
    return sum(xs, dual(0.0)) / len(xs)


def ratios(lp, old, bound=math.inf):
    return [exp(clamp(x - y, -bound, bound)) for x, y in zip(lp, old)]


def ppo(rho, a, low, high, c=None, delta=None):
    first = rho if delta is None else minimum(rho, delta)
    loss = -minimum(first * a, clamp(rho, 1 - low, 1 + high) * a)
    return minimum(loss, -c * a) if c is not None and a < 0 else loss


def sequence_ratio(lp, old, largest_log=math.inf):
    return exp(minimum(mean([x - y for x, y in zip(lp, old)]), largest_log))


def gmpo(lp, old, a, low, high):
    sign = 1.0 if a > 0 else -1.0
    terms = [minimum((x - y) * sign, clamp(x - y, -low, high) * sign) * sign for x, y in zip(lp, old)]
    return [-exp(mean(terms)) * a] * len(lp)


def vespo(lp, old, a):
    k, lam = (2.0, 3.0) if a >= 0 else (3.0, 2.0)
    log_w = clamp(sum([clamp(x - y, -20.0, 20.0) for x, y in zip(lp, old)], dual(0.0)), math.log(1e-8), 20.0)
    phi = stop(exp(dual(lam) + k * log_w - lam * exp(log_w)))
    return [-(phi * a * x) for x in lp]


def sapo(lp, old, a, positive, negative, bound=math.inf):
    tau = positive if a > 0 else negative
    return [-(4 / tau * sigmoid(tau * (r - 1.0)) * a) for r in ratios(lp, old, bound)]


def truncated_reinforce(lp, old, a):
    return [-(stop(clamp(r, 0.5, 2.0)) * a * x) for r, x in zip(ratios(lp, old), lp)]


def masked_cispo(lp, old, a):
    w = math.exp(sum(x.value - y for x, y in zip(lp, old)))
    w = w if 0.2 <= w <= 3 else 0.0
    return [w * x for x in LOSSES["cispo, TRL"](lp, old, a)]


def truncated_vespo(lp, old, a):
    w = min(sequence_ratio(lp, old).value, 1.5)
    return [w * x for x in vespo(lp, old, a)]


LOSSES = {
    "reinforce": lambda lp, old, a: [-(x * a) for x in lp],
    "clipped_surrogate": lambda lp, old, a: [ppo(r, a, 0.2, 0.28) for r in ratios(lp, old)],
    "clipped_surrogate, verl": lambda lp, old, a: [ppo(r, a, 0.2, 0.2, c=3.0) for r in ratios(lp, old, 20.0)],
    "clipped_surrogate, TRL's delta": lambda lp, old, a: [ppo(r, a, 0.2, 0.2, delta=1.5) for r in ratios(lp, old)],
    "clipped_surrogate, a small delta": lambda lp, old, a: [ppo(r, a, 0.2, 0.5, delta=1.1) for r in ratios(lp, old)],
    "gspo": lambda lp, old, a: [ppo(sequence_ratio(lp, old), a, 0.003, 0.2)] * len(lp),
    "gspo, verl": lambda lp, old, a: [ppo(sequence_ratio(lp, old, 10.0), a, 0.003, 0.2)] * len(lp),
    "response_surrogate": lambda lp, old, a: [ppo(exp(sum([x - y for x, y in zip(lp, old)], dual(0.0))), a, 0.2, 0.3)] * len(lp),
    "cispo, verl": lambda lp, old, a: [-(stop(clamp(r, 0.8, 1.2)) * a * x) for r, x in zip(ratios(lp, old, 20.0), lp)],
    "cispo, TRL": lambda lp, old, a: [-(stop(minimum(r, 5.0)) * a * x) for r, x in zip(ratios(lp, old), lp)],
    "sapo": lambda lp, old, a: sapo(lp, old, a, 1.0, 1.05),
    "sapo, verl": lambda lp, old, a: sapo(lp, old, a, 0.7, 2.0, 20.0),
    "gmpo": lambda lp, old, a: gmpo(lp, old, a, 0.4, 0.3),
    "vespo": vespo,
    "reinforce, truncated weights": truncated_reinforce,
    "cispo, masked weights of responses": masked_cispo,
    "vespo, truncated mean weights": truncated_vespo,
}

RESPONSES = [
    ([-1.25], [-1.25], 1.5),
    ([-0.5, -2.0, -1.0], [-0.75, -1.5, -1.0625], 0.75),
    ([-0.5, -2.0, -1.0], [-0.75, -1.5, -1.0625], -1.25),
    ([-0.25, -3.0], [-2.5, -3.125], -0.5),
    ([-0.25, -3.0], [-2.5, -3.125], 2.0),
    ([-7.0, -0.125, -4.0, -0.5], [-0.5, -0.25, -4.5, -0.375], -2.0),
    ([-0.5, -1.0], [-1.75, -1.25], -1.0),  # ratios of 3.49 and 1.28
    ([-0.125, -0.25], [-29.0, -14.0], -1.0),
    ([-31.0, -2.5], [-1.0, -2.0], 0.5),
]


def main():
    print("// SPDX-License-Identifier: Apache-2.0")
    print("/// \\file")
    print("/// Losses of the tokens of a few responses, with derivatives. Written by make_loss_values.py, which states the formulas.")
    print("#pragma once\n\n#include <string>\n#include <vector>\n\nnamespace infalign::test {\n")
    print("struct known_response {\n  std::vector<double> log_prob, old_log_prob;\n  double advantage;\n};\n")
    print("struct known_loss {\n  std::string name;\n  std::vector<std::vector<double>> values, slopes;  // of each response, by token\n};\n")
    print("// clang-format off\ninline const std::vector<known_response> known_responses{")

    def numbers(xs):
        return "{" + ", ".join(repr(x) for x in xs) + "}"

    for lp, old, a in RESPONSES:
        print(f"    {{{numbers(lp)}, {numbers(old)}, {a!r}}},")
    print("};\n\ninline const std::vector<known_loss> known_losses{")
    for name, loss in LOSSES.items():
        print(f'    {{"{name}",')
        for part, end in (values, "},"), (slopes, "}},"):
            rows = [numbers(part(loss, *response)) for response in RESPONSES]
            print("     {" + ",\n      ".join(rows) + end)
    print("};\n// clang-format on\n\n}  // namespace infalign::test")


def values(loss, lp, old, a):
    return [as_dual(x).value for x in loss([dual(x) for x in lp], old, a)]


def slopes(loss, lp, old, a):
    moved = [[dual(x, 1.0 if s == t else 0.0) for s, x in enumerate(lp)] for t in range(len(lp))]
    return [sum(as_dual(x).slope for x in loss(row, old, a)) for row in moved]


main()
