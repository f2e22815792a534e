# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import oracles
import pytest

import infalign as ia


def majority(answers, right, k):
    """The mean over all k-subsets; ties are shared."""
    found = []
    for drawn in itertools.combinations(answers, k):
        most = max(drawn.count(a) for a in drawn)
        winners = {a for a in drawn if drawn.count(a) == most}
        found.append((right in winners) / len(winners))
    return np.mean(found)


def test_votes(rng):
    answers = [rng.integers(0, 4, 8).tolist(), list("aabbcad"), ["42"] * 3 + [42] * 2]
    right = [2, "a", 42]
    for k in (1, 2, 3, 5):
        expected = [majority(a, r, k) for a, r in zip(answers, right)]
        np.testing.assert_allclose(ia.majority_at_k(answers, right, k), expected, atol=1e-12)
    assert ia.majority_at_k(answers, [9, 9, 9], 3).tolist() == [0, 0, 0]
    for n, c, k, needed in [(7, 3, 4, 2), (7, 7, 3, 3), (6, 0, 2, 1)]:
        drawn = itertools.combinations([1] * c + [0] * (n - c), k)
        assert ia.consensus_at_k(n, c, k, needed) == pytest.approx(np.mean([sum(s) >= needed for s in drawn]), abs=1e-13)
    counts = ia.consensus_at_k(10, np.array([[0, 5], [8, 10]]), 3)
    assert counts.shape == (2, 2) and counts[0, 1] == pytest.approx(0.5) and counts[1, 1] == 1
    assert ia.consensus_at_k(10, 4, 3, 1) == pytest.approx(ia.pass_at_k(10, 4, 3), rel=1e-12)


def log_beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def test_success_rates_beyond_the_samples(rng):
    n = rng.integers(20, 60, 40)
    c = rng.binomial(n, rng.beta(0.5, 3, 40))
    fit = ia.fit_beta_rates(n, c)

    def likelihood(a, b):
        return sum(log_beta(a + s, b + m - s) - log_beta(a, b) for m, s in zip(n.tolist(), c.tolist()))

    top = likelihood(fit.alpha, fit.beta)
    for da, db in [(1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)]:
        assert likelihood(fit.alpha * da, fit.beta * db) < top
    rate = fit.pass_at(500)
    assert rate.value == pytest.approx(1 - math.exp(log_beta(fit.alpha, fit.beta + 500) - log_beta(fit.alpha, fit.beta)), rel=1e-9)
    assert rate.count == 40 and rate.interval(0.5)[0] < rate.value < rate.interval(0.5)[1] < rate.interval()[1]
    # A curve that is a power law goes on as one, and both halves agree.
    attempts = np.arange(1.0, 11.0)
    curve = np.exp(-1.5 * attempts**-0.4) + np.array([[0.01], [-0.01]])
    law = ia.extrapolate_power_law(curve, 1000.0)
    assert law.value == pytest.approx(math.exp(-1.5 * 1000**-0.4), rel=1e-12) and law.model_error < 1e-10
    assert ia.extrapolate_power_law(curve[:, ::2], 1000.0, attempts[::2]).value == pytest.approx(law.value, rel=1e-12)


def log_odds_by_power_law(rates, attempts, target):
    slope, level = np.polyfit(np.log(attempts), np.log(-np.log(rates)), 1)
    missing = math.exp(level + slope * math.log(target))
    return -missing - math.log(-math.expm1(-missing))


def test_the_errors_of_extrapolations(rng):
    attempts, prompts = np.arange(1.0, 9.0), 50
    curve = 1 - (1 - rng.beta(1, 3, (prompts, 1))) ** attempts
    law = ia.extrapolate_power_law(curve, 64.0)
    mean = curve.mean(0)
    whole, late = (log_odds_by_power_law(mean[k:], attempts[k:], 64.0) for k in (0, 4))
    assert math.log(law.value / (1 - law.value)) == pytest.approx(whole, rel=1e-10)
    assert law.model_error == pytest.approx(abs(late - whole), rel=1e-9)
    step = 1e-6 * np.eye(8)
    by = [(log_odds_by_power_law(mean + s, attempts, 64.0) - log_odds_by_power_law(mean - s, attempts, 64.0)) / 2e-6 for s in step]
    assert law.log_odds_error == pytest.approx((curve @ by).std(ddof=1) / math.sqrt(prompts), rel=1e-4)
    for level in (0.5, 0.95):
        width = oracles.student_t_quantile((1 + level) / 2, prompts - 1) * law.log_odds_error + law.model_error
        ends = [1 / (1 + math.exp(-(whole + sign * width))) for sign in (-1, 1)]
        assert law.interval(level) == pytest.approx(ends, rel=1e-7)
    # The sandwich of the derivatives of every prompt's likelihood by (log a, log b), by differences.
    n = rng.integers(20, 60, prompts)
    c = rng.binomial(n, rng.beta(0.7, 3, prompts))
    fit = ia.fit_beta_rates(n, c)

    def each(x, y):
        a, b = math.exp(x), math.exp(y)
        return np.array([log_beta(a + s, b + m - s) - log_beta(a, b) for m, s in zip(n.tolist(), c.tolist())])

    def rate(x, y):
        missed = math.exp(log_beta(math.exp(x), math.exp(y) + 500) - log_beta(math.exp(x), math.exp(y)))
        return math.log((1 - missed) / missed)

    at, h = np.log([fit.alpha, fit.beta]), 1e-4
    moves = h * np.eye(2)
    scores = np.stack([(each(*(at + m)) - each(*(at - m))) / (2 * h) for m in moves])
    second = [[(each(*(at + m + k)) - each(*(at + m - k)) - each(*(at - m + k)) + each(*(at - m - k))).sum() for k in moves] for m in moves]
    inverse = np.linalg.inv(-np.array(second) / (4 * h * h))
    gradient = np.array([(rate(*(at + m)) - rate(*(at - m))) / (2 * h) for m in moves])
    variance = prompts / (prompts - 1) * gradient @ inverse @ (scores @ scores.T) @ inverse @ gradient
    assert fit.pass_at(500).log_odds_error == pytest.approx(math.sqrt(variance), rel=1e-4)
    assert fit.pass_at(500).model_error == 0


def test_the_kl_of_best_of_n():
    p, r = np.array([0.1, 0.4, 0.2, 0.3]), np.array([1.0, 3.0, 2.0, 3.0])
    served = np.zeros(4)
    for drawn in itertools.product(range(4), repeat=3):
        best = [i for i in drawn if r[i] == max(r[j] for j in drawn)]
        for i in best:
            served[i] += p[list(drawn)].prod() / len(best)
    assert ia.best_of_kl(3, p, r) == pytest.approx((served * np.log(served / p)).sum(), abs=1e-13)
    assert ia.best_of_kl(3) == pytest.approx(oracles.best_of_kl(3), rel=1e-14)
    # A response of probability e that is the best, the others without ties below it: exactly, by midpoints.
    for n, e in [(2, 0.3), (4, 0.05), (8, 0.5), (3, 0.999)]:
        hit = 1 - (1 - e) ** n
        u = (np.arange(200_000) + 0.5) / 200_000 * (1 - e)
        rest = n * u ** (n - 1)
        exact = hit * math.log(hit / e) + (rest * np.log(rest)).mean() * (1 - e)
        assert ia.best_of_kl_estimate(n, e) == pytest.approx(exact, abs=1e-9)
    assert ia.best_of_kl_estimate(4, 1e-12) == pytest.approx(oracles.best_of_kl(4), rel=1e-9)
    assert ia.best_of_kl_estimate(4, 1.0) == 0 and 0 < ia.best_of_kl_estimate(4, 0.3) < oracles.best_of_kl(4)


def test_the_kl_of_responses(rng):
    own, base, exact = (-rng.exponential(size=(9, 5)), -rng.exponential(size=(9, 5)), rng.exponential(size=(9, 5)))
    d = (base - own).sum(1)
    found = ia.sequence_kl(own, base, exact)
    for e, values in [(found.k1, -d), (found.k2, d * d / 2), (found.k3, np.expm1(d) - d), (found.rao_blackwell, exact.sum(1))]:
        assert e.value == pytest.approx(values.mean(), rel=1e-12)
        assert e.standard_error == pytest.approx(values.std(ddof=1) / 3, rel=1e-11)
    ragged = [ia.Ragged.from_groups([row[: 1 + i % 5] for i, row in enumerate(x)]) for x in (own, base)]
    cut = ia.sequence_kl(*ragged, clusters=np.arange(9) // 3)
    assert cut.rao_blackwell is None and cut.k1.count == 3
    assert cut.k1.value == pytest.approx(np.mean([(a - b).sum() for a, b in zip(*ragged)]), rel=1e-12)


def test_win_rates_at_equal_lengths(rng):
    lengths = rng.normal(20, 50, 200)
    p = 1 / (1 + np.exp(-(0.4 - 0.8 * np.tanh(lengths / lengths.std()))))
    # Judgments that are the model itself: its coefficients come back, and at equal lengths it is 1/(1 + e^-0.4).
    fit = ia.length_controlled(p, lengths)
    scale = np.tanh(lengths / lengths.std(ddof=1))
    slope = np.linalg.lstsq(np.stack([np.ones(200), scale], 1), np.log(p / (1 - p)), rcond=None)[0]
    assert (fit.of_policy, fit.of_length) == (pytest.approx(slope[0], abs=2e-3), pytest.approx(slope[1], abs=5e-3))
    assert fit.win_rate.value == pytest.approx(1 / (1 + math.exp(-0.4)), abs=1e-3)
    assert fit.win_rate.count == 200 and fit.as_alpaca_eval.standard_error == pytest.approx(0, abs=1e-12)
    hard = ia.length_controlled(p, lengths, difficulties=rng.normal(size=200), clusters=np.arange(200) // 4)
    assert hard.win_rate.count == 50 and abs(hard.of_difficulty) < 1e-2


@pytest.mark.parametrize("ridge", [0.0, 2.0])
@pytest.mark.parametrize("with_difficulties", [False, True])
def test_length_controlled_is_newtons_logistic_regression(rng, ridge, with_difficulties):
    lengths, hard, of = rng.normal(20, 50, 90), rng.normal(size=90), np.arange(90) // 3
    y = rng.integers(0, 3, 90) / 2
    x = np.stack([np.ones(90), np.tanh(lengths / lengths.std(ddof=1)), hard][: 3 if with_difficulties else 2], 1)
    b = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        curvature = x.T @ (x * (p * (1 - p))[:, None]) + ridge * np.eye(len(b))
        b += np.linalg.solve(curvature, x.T @ (y - p) - ridge * b)
    fit = ia.length_controlled(y, lengths, difficulties=hard if with_difficulties else None, clusters=of, ridge=ridge)
    assert [fit.of_policy, fit.of_length, fit.of_difficulty][: len(b)] == pytest.approx(b.tolist(), abs=1e-9)
    # At equal lengths; the error by HC3 over clusters, of the mean and of the coefficients.
    level = x * ([1, 0, 1][: len(b)])
    at = 1 / (1 + np.exp(-level @ b))
    slope = (level * (at * (1 - at))[:, None]).mean(0)
    leverage = p * (1 - p) * np.einsum("ij,ij->i", x, np.linalg.solve(curvature, x.T).T)
    influence = (at - at.mean()) / 90 + x @ np.linalg.solve(curvature, slope) * (y - p) / (1 - leverage)
    sums = influence.reshape(30, 3).sum(1)
    assert fit.win_rate.value == pytest.approx(at.mean(), abs=1e-9) and fit.win_rate.count == 30
    assert fit.win_rate.standard_error == pytest.approx(math.sqrt(30 / 29 * (sums**2).sum()), rel=1e-7)
    assert fit.as_alpaca_eval.value == fit.win_rate.value
    assert fit.as_alpaca_eval.standard_error == pytest.approx(at.std(ddof=1) / math.sqrt(90), rel=1e-7, abs=1e-12)


def selected(proxy, truth, n):
    """The true reward of the sample with the largest proxy, mean over n-subsets; ties are shared."""
    found = []
    for s in itertools.combinations(range(len(proxy)), n):
        best = max(proxy[i] for i in s)
        found.append(np.mean([truth[i] for i in s if proxy[i] == best]))
    return np.mean(found)


def test_what_a_proxy_is_worth(rng, dtype):
    proxy, truth = rng.integers(0, 4, (3, 6)).astype(dtype), rng.integers(0, 3, (3, 6)).astype(dtype)
    curve = ia.proxy_reward_curve(proxy, truth, 4)
    expected = [[selected(v, t, n) for n in range(1, 5)] for v, t in zip(proxy, truth.astype(float))]
    np.testing.assert_allclose(curve, expected, rtol=1e-12)
    ragged = [ia.Ragged.from_groups(list(x), dtype) for x in (proxy, truth)]
    np.testing.assert_array_equal(ia.proxy_reward_curve(*ragged, 4, threads=2), curve)
    wins = ia.proxy_win_rate_curve(proxy, truth, 3)
    for p in range(3):
        for n in range(1, 4):
            seen = []
            for s in itertools.combinations(range(6), n):
                best = [i for i in s if proxy[p, i] == max(proxy[p, j] for j in s)]
                seen += [np.mean([oracles.beats(truth[p, i], truth[p, j]) for i in best]) for j in range(6) if j not in s]
            assert wins[p, n - 1] == pytest.approx(np.mean(seen), abs=1e-12)
    poisson = ia.best_of_poisson_curve(curve, [0.0, 1.5])
    pmf = [math.exp(-1.5) * 1.5**i / math.factorial(i) for i in range(3)]
    np.testing.assert_allclose(poisson[:, 0], curve[:, 0], rtol=1e-13)
    np.testing.assert_allclose(poisson[:, 1], curve @ np.array([*pmf, 1 - sum(pmf)]), rtol=1e-10)
    soft = ia.soft_best_of_curve(proxy, truth, 3, [0.7, 5.0])
    for p in range(3):
        for i, temperature in enumerate([0.7, 5.0]):
            seen = []
            for s in itertools.combinations(range(6), 3):
                w = np.exp(proxy[p, list(s)].astype(float) / temperature)
                seen.append((w * truth[p, list(s)]).sum() / w.sum())
            assert soft[p, i] == pytest.approx(np.mean(seen), abs=3e-9)


def powers(references, reward, degree):
    """The unbiased estimates of C^j: the mean over j-subsets of references of the product of comparisons."""
    beats = [float(oracles.beats(reward, z)) for z in references]
    return [np.mean([math.prod(s) for s in itertools.combinations(beats, j)]) for j in range(degree + 1)]


def test_transforms_without_the_bias_of_few_references(rng, dtype):
    z, y = rng.integers(0, 6, (2, 7)).astype(dtype), rng.integers(0, 6, (2, 3)).astype(dtype)
    tight = 1e-12 if dtype == np.float64 else 1e-6
    coefficients = [0.5, -1.0, 2.0, 1.0]
    cubic = [[np.dot(coefficients, powers(z[p], r, 3)) for r in y[p]] for p in range(2)]
    np.testing.assert_allclose(ia.corrected_transform(z, y, coefficients), cubic, rtol=tight, atol=tight)
    series = [[sum(e * 3.0**j / math.factorial(j) for j, e in enumerate(powers(z[p], r, 7))) for r in y[p]] for p in range(2)]
    np.testing.assert_allclose(ia.corrected_transform(z, y, "exponential:3"), series, rtol=tight)
    np.testing.assert_allclose(ia.corrected_transform(z, y, "identity"), ia.calibrate(z, y), rtol=10 * tight)
    ragged, errors = ia.corrected_transform(
        ia.Ragged.from_groups(list(z), dtype), ia.Ragged.from_groups(list(y), dtype), "exponential:2", method="jackknife", return_errors=True
    )
    for p in range(2):
        for i, reward in enumerate(y[p]):
            whole = math.exp(2 * oracles.calibrated(z[p], reward))
            without = [math.exp(2 * oracles.calibrated(np.delete(z[p], k), reward)) for k in range(7)]
            assert ragged[p][i] == pytest.approx(7 * whole - 6 * np.mean(without), rel=10 * tight)

            def corrected(among):
                left = [math.exp(2 * oracles.calibrated(np.delete(among, k), reward)) for k in range(len(among))]
                return len(among) * math.exp(2 * oracles.calibrated(among, reward)) - (len(among) - 1) * np.mean(left)

            each = np.array([corrected(np.delete(z[p], k)) for k in range(7)])
            assert errors[p][i] == pytest.approx(math.sqrt(6 / 7 * ((each - each.mean()) ** 2).sum()), rel=20 * tight, abs=20 * tight)
    near = ia.corrected_transform(z, y, "exponential:2", method="series")
    for p in range(2):
        for i, reward in enumerate(y[p]):
            compared = np.array([float(oracles.beats(reward, x)) for x in z[p]])
            u, low, high = compared.mean(), max(compared.mean() - 0.5 / 7, 0), min(compared.mean() + 0.5 / 7, 1)
            second = 2 * (math.exp(2 * high) - math.exp(2 * low)) / (high - low)
            assert near[p, i] == pytest.approx(math.exp(2 * u) - second * compared.var(ddof=1) / 14, rel=10 * tight)


def test_tensors_come_back():
    torch = pytest.importorskip("torch")
    y, z = torch.rand(3, 8), torch.rand(3, 8)
    assert isinstance(ia.proxy_reward_curve(y, z, 4), torch.Tensor)
    assert isinstance(ia.corrected_transform(z, y, "exponential:2"), torch.Tensor)


def test_bad_input(rng):
    y, z = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    n = np.array([4, 4])
    for call, error, says in [
        (lambda: ia.majority_at_k([["a"]], ["a", "b"], 1), ValueError, "correct has 2 values, but answers has 1"),
        (lambda: ia.majority_at_k([["a"]], ["a"], 2), ValueError, r"answers\[0\] has 1 values, fewer than k = 2"),
        (lambda: ia.majority_at_k([["a"]], ["a"], 0), ValueError, "k is 0"),
        (lambda: ia.consensus_at_k(3, 4, 2), ValueError, "successes is 4"),
        (lambda: ia.consensus_at_k(3, 2, 2, 3), ValueError, "needed is 3"),
        (lambda: ia.consensus_at_k(3.0, 2, 2), TypeError, "whole numbers"),
        (lambda: ia.fit_beta_rates(n, n), ValueError, "needs some of either"),
        (lambda: ia.fit_beta_rates(n, np.array([0, 5])), ValueError, r"successes\[1\] is 5"),
        (lambda: ia.fit_beta_rates(n, np.array([1, 2])).pass_at(0), ValueError, "n is 0"),
        (lambda: ia.fit_beta_rates(n, np.array([1, 2])).pass_at(np.nan), ValueError, "n is nan, must be at least 1"),
        (lambda: ia.fit_beta_rates(n, np.array([1, 2])).pass_at(9).interval(1.0), ValueError, r"level is 1, must be in \(0, 1\)"),
        (lambda: ia.fit_beta_rates(n, np.array([1.0, 2.0])), TypeError, "successes is float64, must be whole numbers"),
        (lambda: ia.length_controlled(np.full(2, 0.5), np.zeros(3)), ValueError, "length_differences has 3 values, preferences has 2"),
        (lambda: ia.length_controlled(np.full(2, 0.5), np.zeros(2), difficulties=np.zeros(3)), ValueError, "difficulties has 3 values"),
        (lambda: ia.length_controlled(np.full(2, 0.5), np.zeros(2), ridge=-1.0), ValueError, "ridge is -1"),
        (lambda: ia.proxy_win_rate_curve(y, z[:2], 2), ValueError, "true_rewards has 2 groups"),
        (lambda: ia.best_of_poisson_curve(y[0], [1.0]), ValueError, "1 dimensions"),
        (lambda: ia.soft_best_of_curve(y, z, 5, [1.0]), ValueError, "fewer than the 5"),
        (lambda: ia.extrapolate_power_law(np.full((2, 5), 0.5), 3.0), ValueError, "target is 3"),
        (lambda: ia.extrapolate_power_law(np.zeros(5), 9.0), ValueError, "1 dimensions"),
        (lambda: ia.best_of_kl(0), ValueError, "n is 0"),
        (lambda: ia.best_of_kl(2, np.array([0.5, 0.4]), np.array([0.0, 1.0])), ValueError, "sum to 0.9"),
        (lambda: ia.best_of_kl(2, np.array([1.0])), TypeError, "come together"),
        (lambda: ia.best_of_kl_estimate(2, 1.5), ValueError, "probability is 1.5"),
        (lambda: ia.sequence_kl(-abs(y), y * np.nan), ValueError, r"base_log_probs\[0\]\[0\] is nan"),
        (lambda: ia.sequence_kl(-abs(y), -abs(y[:2])), ValueError, "base_log_probs has 2 groups"),
        (lambda: ia.sequence_kl(-abs(y).astype(np.float32), -abs(y)), TypeError, "log_probs is float32"),
        (lambda: ia.length_controlled(np.array([0.5, 2.0]), np.zeros(2)), ValueError, r"preferences\[1\] is 2"),
        (lambda: ia.length_controlled(np.ones(4), np.zeros(4)), ValueError, "a ridge above 0"),
        (lambda: ia.proxy_reward_curve(y, z, 5), ValueError, "fewer than the 5"),
        (lambda: ia.proxy_reward_curve(y, z, 0), ValueError, "n is 0"),
        (lambda: ia.proxy_win_rate_curve(y, z, 4), ValueError, "fewer than the 5"),
        (lambda: ia.proxy_reward_curve(y, z[:, :3], 2), ValueError, "true_rewards"),
        (lambda: ia.proxy_reward_curve(y, z.astype(np.float32), 2), TypeError, "float32"),
        (lambda: ia.best_of_poisson_curve(y, [-1.0]), ValueError, r"means\[0\] is -1"),
        (lambda: ia.soft_best_of_curve(y, z, 2, [0.0]), ValueError, r"lambdas\[0\] is 0"),
        (lambda: ia.corrected_transform(y, z, [np.nan]), ValueError, r"coefficients\[0\] is nan"),
        (lambda: ia.corrected_transform(y, z, np.ones(6)), ValueError, "fewer than the 5"),
        (lambda: ia.corrected_transform(y, z, [1.0], method="series"), ValueError, "without bias"),
        (lambda: ia.corrected_transform(y, z, "identity", method="mean"), ValueError, "method is 'mean'"),
        (lambda: ia.corrected_transform(y, z, "logarithm", method="unbiased"), ValueError, "no unbiased estimate is known"),
    ]:
        with pytest.raises(error, match=says):
            call()
