# SPDX-License-Identifier: Apache-2.0
"""What the functions must give, written by their definitions in plain NumPy and Python, for a prompt at a time."""

import itertools
import math

import numpy as np


def calibrated(references, reward, share=0.5, weights=None):
    w = np.ones(len(references)) if weights is None else np.asarray(weights, float)
    z = np.asarray(references)
    return (w[z < reward].sum() + share * w[z == reward].sum()) / w.sum()


def beats(a, b):
    return (a > b) + 0.5 * (a == b)


def served(sample, kind):
    return {"best": max, "worst": min}[kind](sample)


def win_rate(policy, base, n, kind, base_n, base_kind):
    """The mean over all pairs of subsets."""
    sides = [[served(s, k) for s in itertools.combinations(x, m)] for x, m, k in ((policy, n, kind), (base, base_n, base_kind))]
    return float(np.mean([beats(a, b) for a in sides[0] for b in sides[1]]))


def expected_reward(rewards, n, kind):
    return float(np.mean([served(s, kind) for s in itertools.combinations(rewards, n)]))


def expected_reward_gradient(rewards, n, kind):
    """m·(U - U without the rollout)."""
    m, whole = len(rewards), expected_reward(rewards, n, kind)
    return [m * (whole - expected_reward(np.delete(rewards, i), n, kind)) for i in range(m)]


def win_rate_gradient(rewards, base, n, kind):
    m, whole = len(rewards), win_rate(rewards, base, n, kind, n, kind)
    return [m * (whole - win_rate(np.delete(rewards, i), base, n, kind, n, kind)) for i in range(m)]


def tilted(rewards, beta):
    """Probabilities e^(R/β)/Σ of the samples, and their KL to the uniform ones."""
    r = np.asarray(rewards, float)
    p = np.exp((r - r.max()) / beta)
    p /= p.sum()
    return p, float(sum(x * math.log(len(r) * x) for x in p if x > 0))


def win_rate_of_draws(rewards, p, n, kind, base_n, base_kind):
    """Of what is served of n draws from p against what is served of draws that are uniform: by all tuples of draws."""
    k, total = len(rewards), 0.0
    for own in itertools.product(range(k), repeat=n):
        for base in itertools.product(range(k), repeat=base_n):
            a, b = (served([rewards[i] for i in t], of) for t, of in ((own, kind), (base, base_kind)))
            total += math.prod(p[i] for i in own) / k**base_n * beats(a, b)
    return total


def sign_flips(differences):
    d = np.asarray(differences)
    seen = abs(d.sum())
    sums = [abs((np.array(s) * d).sum()) for s in itertools.product([1, -1], repeat=len(d))]
    return float(np.mean([s >= seen - 1e-12 for s in sums]))


def best_of_kl(n):
    """KL of best-of-n to its base, in the quantile picture."""
    return math.log(n) - (n - 1) / n
