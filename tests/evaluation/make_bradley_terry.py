#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what SciPy makes of Bradley-Terry scores with a prior: the numbers in pairwise_test.cpp. Needs numpy and scipy."""
import numpy as np
import scipy
from scipy.optimize import minimize, root
from scipy.special import expit, log_expit

# First, second, wins of the first, wins of the second. Policy 3 loses everything, and 4 is compared with 0 alone.
judged = [(0, 1, 7, 3), (1, 2, 12, 0), (0, 3, 5, 0), (2, 3, 4, 0), (0, 4, 1.5, 2.5)]


def centred(free):
    return np.append(free, -free.sum())


def loss(free, prior):
    s = centred(free)
    return -sum(a * log_expit(s[i] - s[j]) + b * log_expit(s[j] - s[i]) for i, j, a, b in judged) - 0.5 * prior * (
        log_expit(s) + log_expit(-s)).sum()


def slope(free, prior):
    s = centred(free)
    by_score = -prior * (0.5 - expit(s))
    for i, j, a, b in judged:
        by_score[i] -= a * expit(s[j] - s[i]) - b * expit(s[i] - s[j])
        by_score[j] += a * expit(s[j] - s[i]) - b * expit(s[i] - s[j])
    return by_score[:-1] - by_score[-1]


print("scipy", scipy.__version__)
for prior in (1, 1e-4):
    start = minimize(loss, np.zeros(4), args=(prior,), method="Nelder-Mead", options={"maxiter": 10**5, "maxfev": 10**5}).x
    found = root(slope, start, args=(prior,), tol=1e-15).x
    assert loss(found, prior) <= loss(start, prior) and np.abs(found - start).max() < 0.1
    print(prior, ", ".join(f"{s:.12f}" for s in centred(found)))
