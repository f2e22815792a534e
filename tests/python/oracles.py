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


def subset_shares(rewards, n, kind, against):
    """N times the mean over the N-subsets that hold a rollout of what is served, or of its wins over each of ``against``."""
    m, values = len(rewards), []
    for i in range(m):
        own = [served([rewards[j] for j in s], kind) for s in itertools.combinations(range(m), n) if i in s]
        values.append(n * np.mean(own if against is None else [beats(x, z) for x in own for z in against]))
    return values


def of_sorted(name):
    """What a procedure serves of as many rewards as it draws, as pairs of a probability and the number of draws with their weights."""
    kind, *numbers = name.split(":")
    if kind == "best_of_random":
        pairs = [p.split("=") for p in numbers[0].split(",")]
        return [(float(p), int(n), [0] * (int(n) - 1) + [1]) for n, p in pairs]
    m, n = [int(x) for x in numbers] if len(numbers) == 2 else (1, int(numbers[0])) if numbers else (1, 1)
    ranks = np.arange(1, n + 1)
    weights = {"order_statistic": ranks == m, "top_of": (ranks > n - m) / m, "worst_of": ranks == 1}.get(kind, ranks == n)
    return [(1.0, n, list(weights))]


def expected_value(rewards, name):
    """The mean over subsets of what a procedure of ``of_sorted`` serves."""
    return sum(
        p * np.mean([np.dot(weights, sorted(s)) for s in itertools.combinations(rewards, n)]) for p, n, weights in of_sorted(name)
    )


def mean_win_rate(policy, base, name, base_name):
    """The mean over all pairs of subsets, of procedures of ``of_sorted``."""
    total = 0.0
    for p, n, weights in of_sorted(name):
        for q, k, base_weights in of_sorted(base_name):
            wins = [
                sum(w * v * beats(a, b) for w, a in zip(weights, sorted(s)) for v, b in zip(base_weights, sorted(t)))
                for s in itertools.combinations(policy, n)
                for t in itertools.combinations(base, k)
            ]
            total += p * q * np.mean(wins)
    return total


def student_t_quantile(p, df):
    """By bisection of an integral of the density."""
    factor = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)

    def below(t):
        x = (np.arange(20_000) + 0.5) / 20_000 * t
        return 0.5 + factor * t * float(((1 + x * x / df) ** (-(df + 1) / 2)).mean())

    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < abs(p - 0.5) + 0.5 else (low, middle)
    return math.copysign(middle, p - 0.5)


def clustered_error(values, clusters):
    """Of a mean: sqrt(G/(G - 1)·Σ(Σ_{i in g} (x_i - m))²)/P."""
    d = np.asarray(values) - np.mean(values)
    sums = [d[np.asarray(clusters) == g].sum() for g in np.unique(clusters)]
    return math.sqrt(len(sums) / (len(sums) - 1) * np.square(sums).sum()) / len(d)


def sign_flips(differences):
    d = np.asarray(differences)
    seen = abs(d.sum())
    sums = [abs((np.array(s) * d).sum()) for s in itertools.product([1, -1], repeat=len(d))]
    return float(np.mean([s >= seen - 1e-12 for s in sums]))


def best_of_kl(n):
    """KL of best-of-n to its base, in the quantile picture."""
    return math.log(n) - (n - 1) / n
