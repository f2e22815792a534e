#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes alpaca_eval_lengths.hpp and prints what scipy makes of it: preferences and differences of lengths of one policy, from the
annotations that AlpacaEval publishes (github.com/tatsu-lab/alpaca_eval, Apache-2.0, results/gemma-7b-it/
weighted_alpaca_eval_gpt4_turbo/annotations.json). Needs numpy and scipy.

    ./make_alpaca_eval_lengths.py annotations.json > alpaca_eval_lengths.hpp
"""
import json
import sys

import numpy as np
from scipy.optimize import minimize

annotations = json.load(open(sys.argv[1]))
preference = np.array([a["preference"] for a in annotations], float)
difference = np.array([len(a["output_1"]) - len(a["output_2"]) for a in annotations])
print("""// SPDX-License-Identifier: Apache-2.0
// Made by make_alpaca_eval_lengths.py from annotations of AlpacaEval 2 (github.com/tatsu-lab/alpaca_eval, Apache-2.0): of 805 instructions
// the preference, 1 (gpt4_1106_preview) to 2 (gemma-7b-it), and how many characters the first response is longer.
#pragma once

// clang-format off
inline constexpr struct { double preference; int longer; } alpaca_eval_lengths[] = {""")
for i in range(0, len(preference), 4):
    print("  " + " ".join(f"{{{p!r}, {d}}}," for p, d in zip(preference[i : i + 4].tolist(), difference[i : i + 4].tolist())))
print("};\n// clang-format on")

y = preference - 1
X = np.c_[np.ones(len(y)), np.tanh(difference / difference.std(ddof=1))]
beta = minimize(lambda b: np.sum(np.logaddexp(0, X @ b) - y * (X @ b)), [0, 0], tol=1e-13).x
print("coefficients", beta, "length-controlled", 1 / (1 + np.exp(-beta[0])), file=sys.stderr)
