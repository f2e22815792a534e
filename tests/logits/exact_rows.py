#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes what rows of logits give with 50 digits, and writes exact_rows.hpp, which accuracy_test.cpp compares with.

The rows are those of `row_case` in exact_row.hpp: integers decide every bit, so that both sides have the same logits.
Needs mpmath (1.3 was used). Takes about half a minute:

    tests/logits/exact_rows.py > tests/logits/exact_rows.hpp
"""
from dataclasses import dataclass
from fractions import Fraction

from mpmath import mp, mpf

mp.dps = 50
WORD = (1 << 64) - 1
COEFFICIENTS = (mpf(3) / 4, mpf(1) / 4, mpf(1) / 8)  # score, KL, entropy: exact in binary


@dataclass
class Case:
    columns: int
    spread: float = 0.0
    noise: float = 0.0
    reach: int = 1
    offset: float = 0.0
    base_offset: float = 0.0
    lift: float = 0.0
    bump: float = 0.0
    lifted: int = 0
    masked: int = 0
    dropped: int = 0
    token: int = 0


def bits(j):
    z = (j + 1) * 0x9E3779B97F4A7C15 & WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def draw(j):
    z = bits(2 * j)
    return (z & 0xFFFF) + ((z >> 16) & 0xFFFF) + ((z >> 32) & 0xFFFF) + (z >> 48) - 131070


def draw_noise(j, reach):
    return (bits(2 * j + 1) >> 11) % (2 * reach + 1) - reach


def exact(terms):
    """The sum of the terms, which a double must hold."""
    total = sum(terms, Fraction(0))
    assert Fraction(float(total)) == total, "the logits of a case must be exact"
    return mpf(float(total))


def rows(c):
    policy, base = [], []
    spread, noise = Fraction(c.spread), Fraction(c.noise)
    for j in range(c.columns):
        if j + 1 < c.columns <= j + 1 + c.masked:
            policy.append(None)
            base.append(None)
            continue
        lift, bump = (Fraction(c.lift), Fraction(c.bump)) if j == c.lifted else (0, 0)
        logit = spread * (draw(j) >> c.dropped) + lift
        policy.append(exact([Fraction(c.offset), logit]))
        base.append(exact([Fraction(c.base_offset), logit, noise * draw_noise(j, c.reach), bump]))
    return policy, base


def log_softmax(logits):
    largest = max(l for l in logits if l is not None)
    total = mp.fsum(mp.exp(l - largest) for l in logits if l is not None)
    normalizer = largest + mp.log(total)
    return [None if l is None else l - normalizer for l in logits]


def results(c):
    policy, base = rows(c)
    log_p, log_q = log_softmax(policy), log_softmax(base)
    present = [j for j in range(c.columns) if log_p[j] is not None]
    p = {j: mp.exp(log_p[j]) for j in present}
    kl = mp.fsum(p[j] * (log_p[j] - log_q[j]) for j in present)
    entropy = -mp.fsum(p[j] * log_p[j] for j in present)
    score, beta, eta = COEFFICIENTS

    def gradient(j):
        if log_p[j] is None:
            return mpf(0)
        factor = score + beta * (log_p[j] - log_q[j] - kl) + eta * (log_p[j] + entropy)
        return p[j] * factor - (score if j == c.token else 0)

    top = max(present, key=lambda j: policy[j])
    return [log_p[c.token], log_q[c.token], kl, entropy, gradient(c.token), gradient(top), gradient(c.columns // 3)]


F = 2.0**-22  # logits within 0.03 of each other
M = 3 * 2.0**-15  # a standard deviation of 3.5
W = 2.0**-10  # of 37: nearly one token
MILLIONTH = 2.0**-20

CASES = [
    Case(1, M, MILLIONTH, 1000),
    Case(2, M, MILLIONTH, 1 << 21, token=1),
    Case(2, M, MILLIONTH, 80, token=1),
    Case(17, M, MILLIONTH, 1 << 21, token=3),
    Case(17, M, MILLIONTH, 1000, token=16),
    Case(1000, F, 2.0**-24, 1 << 20, token=999),
    Case(1000, M, MILLIONTH, 1 << 21, token=5),
    Case(1000, M, MILLIONTH, 1 << 16, token=6),
    Case(1000, M, MILLIONTH, 1 << 11, token=7),
    Case(1000, M, MILLIONTH, 80, token=8),
    Case(1000, W, 2.0**-16, 1 << 16, token=9),
    Case(1000, W, 2.0**-16, 1 << 6, token=10),
    Case(1000, 2.0**-9, 2.0**-10, 20, offset=8192, base_offset=8192, dropped=5, token=11),
    Case(1000, 2.0**-9, 2.0**-10, 20, offset=8192, dropped=5, token=12),
    Case(1000, 2.0**-9, 2.0**-10, 1, base_offset=-8192, dropped=5, token=13),
    Case(1000, M, lift=9.0, bump=2.0**-8, lifted=500, token=500),
    Case(1000, M, lift=9.0, bump=2.0**-13, lifted=500, token=501),
    Case(17, lift=17.0, bump=2.0**-6, lifted=4, token=4),  # an entropy of 1e-5
    Case(1000, 2.0**-17, MILLIONTH, 1 << 19, lift=23.5, lifted=17, token=17),  # of 1e-6
    # What only double holds: small differences of large logits.
    Case(1000, M, MILLIONTH, 80, offset=2.0**20, base_offset=2.0**20 + 10000, token=13),
    Case(1000, 2.0**-3, 2.0**-3, 4, offset=1e15, base_offset=1e15, dropped=11, token=14),
    Case(1000, 2.0**-3, 2.0**-3, 1, offset=1e15, base_offset=-1e15, dropped=11, token=15),
    Case(9001, M, MILLIONTH, 1000, masked=6000, token=5),
    Case(50257, M, MILLIONTH, 1 << 12, lift=12.0, lifted=50256, token=50256),
    Case(50257, M, MILLIONTH, 80, token=77),
    Case(50257, 2.0**-17, MILLIONTH, 1 << 19, lift=28.0, lifted=50000, token=50000),
    Case(300000, M, MILLIONTH, 1 << 14, token=123456),
]


def literal(x):
    return mp.nstr(x, 25, min_fixed=0, max_fixed=0) + "L"


def number(x):
    return "0" if x == 0 else float(x).hex() if isinstance(x, float) else str(x)


print(
    """// SPDX-License-Identifier: Apache-2.0
/// \\file
/// Made by exact_rows.py: what rows of logits give, computed with 50 digits.
#pragma once

#include <cstdint>

#include "logits/exact_row.hpp"

namespace infalign::test {

/// The coefficients of the gradients.
inline constexpr row_coefficients exact_coefficients{0.75, 0.25, 0.125};

struct exact_result {
  row_case row;
  std::int32_t token;
  long double log_prob;
  long double base_log_prob;
  long double kl;
  long double entropy;
  long double gradient_of_token;
  long double gradient_of_likeliest;
  long double gradient_of_third;  ///< of the column at a third of the row
};

// clang-format off
inline const exact_result exact_results[] = {"""
)
for c in CASES:
    fields = [c.columns, c.spread, c.noise, c.reach, c.offset, c.base_offset, c.lift, c.bump, c.lifted, c.masked, c.dropped]
    print("  {{" + ", ".join(number(f) for f in fields) + f"}}, {c.token},")
    print("   " + ", ".join(literal(r) for r in results(c)) + "},", flush=True)
print(
    """};
// clang-format on

}  // namespace infalign::test"""
)
