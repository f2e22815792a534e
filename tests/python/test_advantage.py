# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import oracles
import pytest

import infalign as ia


def rows(formula):
    return lambda r, *rest: np.array([formula(row, *(x[p] for x in rest)) for p, row in enumerate(r)])


grpo = rows(lambda r: (r - r.mean()) / (r.std(ddof=1) + 1e-4))
def max_at_k(r, k):
    """n/binom(n, k) times the sum over the k-subsets that hold a rollout of what it adds to their maximum."""
    added = np.zeros(len(r))
    for s in itertools.combinations(range(len(r)), k):
        for i in s:
            added[i] += max(r[j] for j in s) - max(r[j] for j in s if j != i)
    return len(r) / math.comb(len(r), k) * added


def best_sample(r, over, normalized, epsilon=1e-6):
    top = np.sort(r)
    lead = top[-1] - (top[-2] if over == "second" else r.mean())
    return (r == top[-1]) * lead / (r.std(ddof=1) + epsilon if normalized else 1)


left_out = rows(lambda r: r - (r.sum() - r) / (len(r) - 1))


@pytest.mark.parametrize(
    "kind, options, formula",
    [
        ("group_normalized", {}, grpo),
        ("grpo", {}, grpo),
        ("group_normalized", {"spread": "population", "epsilon": 0.5}, rows(lambda r: (r - r.mean()) / (r.std() + 0.5))),
        ("leave_one_out", {}, left_out),
        ("rloo", {}, left_out),
        ("mean_centred", {}, rows(lambda r: r - r.mean())),
        ("mean_normalized", {}, rows(lambda r: (r - r.mean()) / (r.mean() + 1e-6))),
        ("best_sample", {"over": "mean", "normalized": False}, rows(lambda r: (r - r.mean()) * (np.arange(len(r)) == r.argmax()))),
        ("best_sample", {}, rows(lambda r: best_sample(r, "second", True))),
        ("best_sample", {"over": "mean", "epsilon": 0.1}, rows(lambda r: best_sample(r, "mean", True, 0.1))),
        ("max_at_k", {"k": 3}, rows(lambda r: max_at_k(r, 3))),
        ("max_at_k", {"k": 6}, rows(lambda r: 6 * (r == r.max()) * (r.max() - np.sort(r)[-2]))),
        ("expected_reward", {"procedure": "best_of:2"}, rows(lambda r: oracles.expected_reward_gradient(r, 2, "best"))),
        ("expected_reward", {"procedure": "best_of:3", "baseline": "none"}, rows(lambda r: oracles.subset_shares(r, 3, "best", None))),
        ("expected_reward", {"procedure": "worst_of:3"}, rows(lambda r: oracles.expected_reward_gradient(r, 3, "worst"))),
    ],
)
def test_formulas(rng, dtype, kind, options, formula):
    r = rng.permuted(np.tile(np.arange(1, 7) ** 2 / 36, (5, 1)), axis=1).astype(dtype)
    a = ia.advantage(kind, r, **options)
    assert a.dtype == dtype
    np.testing.assert_allclose(a, formula(r.astype(float)), rtol=40 * np.finfo(dtype).eps, atol=40 * np.finfo(dtype).eps)
    ragged = ia.advantage(kind, ia.Ragged.from_groups(list(r), dtype), **options)
    np.testing.assert_allclose(ragged.values, a.reshape(-1), rtol=40 * np.finfo(dtype).eps, atol=40 * np.finfo(dtype).eps)
    out = np.empty_like(r)
    assert ia.advantage(kind, r, out=out, **options) is out
    np.testing.assert_array_equal(out, a)
    np.testing.assert_array_equal(ia.advantage(kind, r, threads=2, **options), a)


def test_with_a_second_argument(rng, dtype):
    r, base = rng.normal(size=(4, 5)).astype(dtype), rng.normal(size=(4, 6)).astype(dtype)
    greedy, lengths = rng.normal(size=4).astype(dtype), rng.integers(1, 9, (4, 5)).astype(dtype)
    eps = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(ia.advantage("remax", r, greedy=greedy), r - greedy[:, None], rtol=eps)
    weighted = (lengths * r).sum(1, keepdims=True) / lengths.sum(1, keepdims=True)
    np.testing.assert_allclose(ia.advantage("opo", r, lengths=lengths), r - weighted, rtol=eps, atol=eps)
    wins = ia.advantage("win_rate", r, base_rewards=base, procedure="best_of:2")
    expected = rows(lambda r, b: oracles.win_rate_gradient(r, b, 2, "best"))(r, base)
    np.testing.assert_allclose(wins, expected, rtol=eps, atol=eps)
    wins = ia.advantage("win_rate", r, base_rewards=base, procedure="worst_of:3", base_procedure="standard", baseline="none")
    expected = rows(lambda r, b: oracles.subset_shares(r, 3, "worst", b))(r, base)
    np.testing.assert_allclose(wins, expected, rtol=eps, atol=eps)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_pass_at_k_is_the_mean_over_subsets(rng, dtype, k):
    r = rng.integers(0, 2, (6, 5)).astype(dtype)
    r[0], r[1] = 0, 1  # where nothing is to be learned
    a = ia.advantage("pass_at_k", r, k=k)
    for row, own in zip(r, a):
        subsets = list(itertools.combinations(range(5), k))
        passed = [row[list(s)].max() for s in subsets]
        mean, deviation = np.mean(passed), np.std(passed)
        expected = [np.mean([p - mean for s, p in zip(subsets, passed) if i in s]) / (deviation or 1) for i in range(5)]
        np.testing.assert_allclose(own, expected, atol=1e-12 if dtype == np.float64 else 1e-6)


def test_missing_rewards_and_groups_of_one():
    r = np.array([[1.0, np.nan, 3.0]])
    np.testing.assert_allclose(ia.advantage("mean_centred", r, missing="left_out"), [[-1, 0, 1]])
    np.testing.assert_allclose(ia.advantage("mean_centred", r, missing=-1.0), [[0, -2, 2]])
    one = np.array([[3.0]])
    assert ia.advantage("grpo", one, single="zero").tolist() == [[0.0]]
    assert ia.advantage("rloo", one, single="uncentred").tolist() == [[3.0]]
    for call in (lambda: ia.advantage("mean_centred", r), lambda: ia.advantage("rloo", one)):
        with pytest.raises(ia.Error):
            call()


def test_nonzero_scaled():
    # verl's gpg with f_norm = 1: all rewards over those that are not 0.
    r = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(ia.advantage("nonzero_scaled", r), 8 / 4 * (r - r.mean(1, keepdims=True)), rtol=1e-14)
    assert (ia.advantage("nonzero_scaled", np.zeros((2, 3))) == 0).all()


def test_bad_input(rng):
    r = rng.normal(size=(2, 3))
    for call, error, says in [
        (lambda: ia.advantage("gae", r), ValueError, "kind is 'gae', must be one of leave_one_out"),
        (lambda: ia.advantage("grpo", r, k=3), TypeError, "takes no k"),
        (lambda: ia.advantage("max_at_k", r), TypeError, "needs k"),
        (lambda: ia.advantage("max_at_k", r, k=4), ValueError, "fewer than k = 4"),
        (lambda: ia.advantage("grpo", r, spread="sample"), ValueError, "spread is 'sample'"),
        (lambda: ia.advantage("grpo", r, epsilon=0.0), ValueError, "epsilon is 0"),
        (lambda: ia.advantage("pass_at_k", r, k=1), ValueError, "0 or 1"),
        (lambda: ia.advantage("remax", r, greedy=np.ones(2, np.float32)), TypeError, "greedy is float32"),
        (lambda: ia.advantage("remax", r, greedy=np.ones(3)), ValueError, "greedy has 3"),
        (lambda: ia.advantage("opo", r, lengths=-np.ones((2, 3))), ValueError, "lengths"),
        (lambda: ia.advantage("expected_reward", r, procedure="best_of_poisson:2"), ValueError, "no unbiased estimate"),
        (lambda: ia.advantage("win_rate", r, base_rewards=r.astype(np.float32), procedure="standard"), TypeError, "float32"),
    ]:
        with pytest.raises(error, match=says):
            call()


@pytest.mark.parametrize("bad", ["0.5", None, [0.5], "\udc80", {}])
def test_options_of_another_type(rng, bad):
    r = rng.normal(size=(2, 3))
    for kind, option in [
        ("grpo", "epsilon"),
        ("grpo", "spread"),
        ("grpo", "single"),
        ("grpo", "missing"),
        ("best_sample", "over"),
        ("best_sample", "normalized"),
        ("best_sample", "epsilon"),
        ("max_at_k", "k"),
        ("pass_at_k", "k"),
        ("expected_reward", "baseline"),
    ]:
        text = isinstance(bad, str) and bad.isascii()
        words = text and option in ("spread", "single", "missing", "over", "baseline")
        options = {option: bad, **({"procedure": "standard"} if kind == "expected_reward" else {})}
        with pytest.raises(ValueError if words else TypeError, match=f"advantage: {option} is "):
            ia.advantage(kind, r, **options)
    for option in ("procedure", "base_procedure"):
        with pytest.raises((TypeError, ValueError)):
            ia.advantage("win_rate", r, **{"base_rewards": r, "procedure": "standard", option: bad})
    for option, kind in (("lengths", "opo"), ("greedy", "remax")):
        with pytest.raises(TypeError, match=f"{option} is a "):
            ia.advantage(kind, r, **{option: bad})


def test_whole_numbers_of_any_kind(rng):
    r = rng.normal(size=(2, 4))
    expected = ia.advantage("max_at_k", r, k=2)
    np.testing.assert_array_equal(ia.advantage("max_at_k", r, k=np.int32(2)), expected)
    np.testing.assert_array_equal(ia.advantage("grpo", r, epsilon=np.float32(0.5)), ia.advantage("grpo", r, epsilon=0.5))
    np.testing.assert_array_equal(ia.advantage("grpo", r, epsilon=1), ia.advantage("grpo", r, epsilon=1.0))
    for k, error in ((2.0, TypeError), (2**70, ValueError)):
        with pytest.raises(error, match="k "):
            ia.advantage("max_at_k", r, k=k)
