# SPDX-License-Identifier: Apache-2.0
import math
import pickle

import numpy as np
import oracles
import pytest

import infalign as ia


def merged(make, parts):
    """One state by merging those of the parts, each sent as bytes."""
    states = [make(part) for part in parts]
    total = type(states[0]).from_bytes(states[0].to_bytes())
    for state in states[1:]:
        total.merge(pickle.loads(pickle.dumps(state)))
    return total


def test_a_variance_split_is_the_one_way_layout(rng, dtype):
    x = (rng.normal(size=(30, 1)) + rng.normal(size=(30, 5))).astype(dtype)
    y = x.astype(np.float64)
    seen = ia.VarianceSplit.of(x)
    within = y.var(axis=1, ddof=1).mean()
    assert seen.prompts == 30 and seen.within == pytest.approx(within, rel=1e-12)
    assert seen.of_sampling == pytest.approx(within / 5, rel=1e-12)
    assert seen.between == pytest.approx(y.mean(1).var(ddof=1) - within / 5, rel=1e-12)
    assert seen.sampling_share == pytest.approx(within / 5 / y.mean(1).var(ddof=1), rel=1e-12)
    assert seen.mean().standard_error == pytest.approx(y.mean(1).std(ddof=1) / math.sqrt(30), rel=1e-12)
    parts = merged(ia.VarianceSplit.of, [ia.Ragged.from_groups(list(x[:7]), dtype), x[7:8], x[8:]])
    assert (parts.between, parts.within) == (pytest.approx(seen.between, rel=1e-12), pytest.approx(seen.within, rel=1e-12))
    by_hand = ia.VarianceSplit()
    for row in y:
        by_hand.add(ia.Summary.of(row))
    assert by_hand.to_bytes() == ia.VarianceSplit.of(y).to_bytes()


def test_means_and_their_covariances(rng):
    x = rng.normal(size=(3, 40)) + np.arange(3.0)[:, None]
    seen = merged(ia.MeanCovariance.of, [x[:, :1], x[:, 1:11], x[:, 11:]])
    assert (seen.count, seen.values) == (40, 3)
    np.testing.assert_allclose([seen.mean(i) for i in range(3)], x.mean(1), rtol=1e-12)
    np.testing.assert_allclose([[seen.covariance(i, j) for j in range(3)] for i in range(3)], np.cov(x), rtol=1e-11)
    one_by_one = ia.MeanCovariance(3)
    for unit in x.T:
        one_by_one.add(np.ascontiguousarray(unit))
    np.testing.assert_allclose([[one_by_one.covariance(i, j) for j in range(3)] for i in range(3)], np.cov(x), rtol=1e-11)
    paired = seen.combined(np.array([1.0, 0.0, -1.0]))
    assert paired.standard_error == pytest.approx((x[0] - x[2]).std(ddof=1) / math.sqrt(40), rel=1e-11)
    # A ratio: the error of the linearised values.
    ratio = seen.delta_method(lambda m: m[1] / m[2])
    linear = x[1] / x[2].mean() - x[1].mean() / x[2].mean() ** 2 * x[2]
    assert ratio.value == pytest.approx(x[1].mean() / x[2].mean(), rel=1e-12)
    assert ratio.standard_error == pytest.approx(linear.std(ddof=1) / math.sqrt(40), rel=1e-5)
    # NaN in, NaN out; what has no weight does not count.
    x[1, 3] = np.nan
    seen = ia.MeanCovariance.of(x)
    assert math.isnan(seen.mean(1)) and math.isnan(seen.covariance(0, 1)) and math.isnan(seen.combined(np.ones(3)).value)
    assert seen.combined(np.array([1.0, 0.0, -1.0])).standard_error == pytest.approx(paired.standard_error, rel=1e-11)


def test_the_jackknife_of_a_square_is_unbiased(rng):
    x = rng.normal(2, 1, size=(1, 15))
    found = ia.jackknife(x, lambda m: m[0] ** 2)
    assert found.value == pytest.approx(x.mean() ** 2 - x.var(ddof=1) / 15, rel=1e-12)
    of_mean = ia.jackknife(x, lambda m: m[0])
    assert of_mean.standard_error == pytest.approx(x.std(ddof=1) / math.sqrt(15), rel=1e-11)


def test_strata(rng):
    x, kinds = rng.normal(size=60), rng.permutation(np.repeat(["a", "b", "c"], [10, 20, 30]))
    groups = {name: x[kinds == name] for name in "abc"}
    for weights in (None, {"a": 3, "b": 1, "c": 0}):
        w = {name: len(groups[name]) for name in "abc"} if weights is None else weights
        total = sum(w.values())
        found = ia.stratified_mean(x, kinds, weights)
        assert found.value == pytest.approx(sum(w[n] * groups[n].mean() for n in "abc") / total, rel=1e-12)
        variance = sum((w[n] / total) ** 2 * groups[n].var(ddof=1) / len(groups[n]) for n in "abc")
        assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    same = ia.stratified_mean(x, np.unique(kinds, return_inverse=True)[1], range="win_rate")
    assert same.value == ia.stratified_mean(x, kinds.tolist()).value and same.highest == 1


# Holm (1979) on the p-values of an example that is worked through in most textbooks: R's p.adjust(c(.01, .02, .03, .04, .05), "holm").
def test_holm():
    np.testing.assert_allclose(ia.holm(np.array([0.05, 0.01, 0.03, 0.02, 0.04])), [0.09, 0.05, 0.09, 0.08, 0.09], rtol=1e-14)


def test_the_cheapest_plan_is_that_of_all():
    found = ia.plan_sampling(0.02, 0.03, 0.2, prompt_cost=2.5, sample_cost=0.5, most=40)
    costs = {m: math.ceil((0.03 + 0.2 / m) / 0.02**2 - 1e-9) * (2.5 + 0.5 * m) for m in range(1, 41)}
    assert found.samples == min(costs, key=costs.get) and found.cost == pytest.approx(costs[found.samples])
    assert found.prompts == math.ceil((0.03 + 0.2 / found.samples) / 0.02**2 - 1e-9)
    held = ia.plan_sampling(0.02, 0.03, 0.2, prompt_cost=2.5, sample_cost=0.5, least=found.samples + 3, most=40)
    assert held.samples == min(range(found.samples + 3, 41), key=costs.get)


def test_the_best_step_of_a_curve(rng):
    curve = np.array([0.1, 0.5, 0.52, 0.3]) + 0.2 * rng.normal(size=(400, 4))
    found = ia.choose_on_curve(curve, range="win_rate")
    means = curve.mean(0)
    assert found.step == means.argmax() and found.value.value == pytest.approx(means.max(), rel=1e-12)
    lead = curve[:, [found.step]] - curve
    # The normal quantile of 1 - 0.05/3 is 2.1280; Student's with 399 degrees of freedom is 0.5 % larger.
    out = lead.mean(0) > 2.15 * lead.std(0, ddof=1) / 20
    assert not (abs(lead.mean(0)[out] / lead.std(0, ddof=1)[out] * 20 - 2.14) < 0.02).any()
    assert found.candidates == np.flatnonzero(~out).tolist()
    assert [e.value for e in found.curve] == pytest.approx(means.tolist(), rel=1e-12)


def test_the_best_step_over_clusters(rng):
    of = np.arange(60) // 3
    curve = np.array([0.2, 0.5, 0.52]) + 0.2 * np.repeat(rng.normal(size=(20, 3)), 3, axis=0) + 0.05 * rng.normal(size=(60, 3))
    found = ia.choose_on_curve(curve, clusters=of)
    assert [e.standard_error for e in found.curve] == pytest.approx([oracles.clustered_error(c, of) for c in curve.T], rel=1e-10)
    assert all(e.count == 20 for e in found.curve) and found.step == curve.mean(0).argmax()
    t = oracles.student_t_quantile(1 - 0.05 / 2, 19)
    lead = [curve[:, found.step] - c for c in curve.T]
    expected = [i for i in range(3) if i == found.step or lead[i].mean() <= t * oracles.clustered_error(lead[i], of)]
    assert found.candidates == expected


def bets_of(x, alpha):
    """The next bet from the values before it: Waudby-Smith and Ramdas (2024), eq. 26."""
    mean, squares, bets, means = 0.5, 0.25, [], []
    for t, value in enumerate(x, 1):
        bets.append(math.sqrt(2 * math.log(2 / alpha) / (squares / t * t * math.log1p(t))))
        means.append(mean)
        mean = (0.5 + sum(x[:t])) / (t + 1)
        squares += (value - mean) ** 2
    return np.array(bets), np.array(means)


def sum_of_bets(x, edges, alpha):
    """Logarithms of what bets up and down against every mean have won."""
    bets, _ = bets_of(x, alpha)
    up = np.minimum(bets[:, None], 0.5 / np.maximum(edges, 1e-300))
    down = np.minimum(bets[:, None], 0.5 / np.maximum(1 - edges, 1e-300))
    return np.array([np.log1p(up * (x[:, None] - edges)).sum(0), np.log1p(down * (edges - x[:, None])).sum(0)])


def extended(state, values):
    state.extend(values)
    return state


def test_sequences_that_hold_at_every_moment(rng):
    x, alpha = rng.beta(2, 5, 80), 0.1
    bets, means = bets_of(x, alpha)
    small = np.minimum(bets, 0.5)
    centre = (small * x).sum() / small.sum()
    width = (math.log(2 / alpha) + ((x - means) ** 2 * (-np.log1p(-small) - small)).sum()) / small.sum()
    bernstein = ia.EmpiricalBernstein(1 - alpha)
    bernstein.extend(x)
    np.testing.assert_allclose(bernstein.interval(), (max(centre - width, 0), min(centre + width, 1)), rtol=1e-11)
    edges = np.arange(513) / 512
    up = np.minimum(bets[:, None], 0.5 / np.maximum(edges, 1e-300))
    down = np.minimum(bets[:, None], 0.5 / np.maximum(1 - edges, 1e-300))
    out = np.log(2 / alpha)
    above = np.log1p(up * (x[:, None] - edges)).sum(0) >= out
    below = np.log1p(down * (edges - x[:, None])).sum(0) >= out
    left = np.flatnonzero(~above & ~below)
    betting = ia.Betting(1 - alpha)
    for value in x:
        betting.add(value)
    np.testing.assert_allclose(betting.interval(), (edges[left[0]] - 1 / 512, edges[left[-1]] + 1 / 512), atol=1e-12)
    assert betting.count == 80 and betting.level == pytest.approx(0.9)

    def of(values):
        state = ia.Betting(0.9, -1, 1)
        state.extend(values)
        return state

    # What is left out before and after the same values are merged: the evidence of both streams against every mean adds up.
    parts = [x[:50], x[50:]]
    for kind in (ia.Betting, ia.EmpiricalBernstein):
        state = kind(1 - alpha)
        state.extend(parts[0])
        other = kind(1 - alpha)
        other.extend(parts[1])
        state.merge(other)
        again = kind.from_bytes(state.to_bytes())
        assert again.interval() == state.interval() and (again.count, again.level) == (80, state.level)
    evidence = [sum_of_bets(part, edges, alpha) for part in parts]
    left = np.flatnonzero((evidence[0] + evidence[1] < out).all(0))
    both = merged(lambda part: extended(ia.Betting(1 - alpha), part), parts).interval()
    np.testing.assert_allclose(both, (edges[left[0]] - 1 / 512, edges[left[-1]] + 1 / 512), atol=1e-12)
    low, high = merged(of, [2 * x - 1, x]).interval()
    assert -1 < low < (3 * x - 1).mean() / 2 < high < 1
    assert merged(of, [x, x]).count == 160


def test_of_values_that_are_refused_nothing_is_kept():
    for kind in (ia.Betting, ia.EmpiricalBernstein):
        state = extended(kind(), np.array([0.25, 0.5]))
        before = state.to_bytes()
        for bad, says in [([0.5, 2.0], "value is 2"), ([0.5, np.nan], "value is nan")]:
            with pytest.raises(ValueError, match=says):
                state.extend(np.array(bad))
        with pytest.raises(ValueError, match=r"value is -0.5, must be in \[0, 1\]"):
            state.add(-0.5)
        with pytest.raises(ValueError, match="another level or range"):
            state.merge(kind(0.9))
        with pytest.raises(TypeError, match="values is a list"):
            state.extend([0.5])
        with pytest.raises(ValueError, match="values must have one dimension"):
            state.extend(np.full((1, 1), 0.5))
        assert state.to_bytes() == before
        for arguments, says in [((0.0,), "level is 0"), ((0.9, 1.0, 0.0), "range is 1 … 0"), ((0.9, 0.0, np.inf), "must be finite")]:
            with pytest.raises(ValueError, match=says):
                kind(*arguments)


@pytest.mark.parametrize("kind", [ia.VarianceSplit, ia.MeanCovariance, ia.EmpiricalBernstein, ia.Betting])
def test_bytes_that_are_no_state(kind):
    good = (kind(1) if kind is ia.MeanCovariance else kind()).to_bytes()
    kind.from_bytes(good)
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    for bad, says in [(b"", "bytes are no state"), (good[:-1], "bytes"), (damaged, "damaged"), (ia.Summary().to_bytes(), "of kind 1, not")]:
        with pytest.raises(ia.Error, match=says):
            kind.from_bytes(bad)
    with pytest.raises(TypeError, match="incompatible"):
        kind.from_bytes("infS")


def test_bad_input(rng):
    x = rng.normal(size=10)
    state = ia.VarianceSplit.of(x[None, :])
    for call, error, says in [
        (lambda: ia.VarianceSplit.of(np.array([[1.0, np.nan]])), ValueError, r"rewards\[0\]\[1\] is nan"),
        (lambda: ia.VarianceSplit().add(ia.Summary()), ValueError, "samples is empty"),
        (lambda: ia.VarianceSplit.from_bytes(state.to_bytes()[:-1]), ValueError, "bytes"),
        (lambda: ia.VarianceSplit.from_bytes(ia.Summary.of(x).to_bytes()), ValueError, "of kind 1, not 2"),
        (lambda: ia.VarianceSplit().merge(ia.Summary()), TypeError, "incompatible"),
        (lambda: ia.MeanCovariance(0), ValueError, "values is 0"),
        (lambda: ia.MeanCovariance(2).add(x), ValueError, "unit has 10 values, must have 2"),
        (lambda: ia.MeanCovariance(2).mean(2), IndexError, "no such value"),
        (lambda: ia.MeanCovariance(2).covariance(0, 2), IndexError, "no such value"),
        (lambda: ia.MeanCovariance(2).covariance(-1, 0), IndexError, "no such value"),
        (lambda: ia.MeanCovariance(2).combined(np.ones(3)), ValueError, "weights has 3 values, must have 2"),
        (lambda: ia.MeanCovariance(2).combined(np.array([1.0, np.nan])), ValueError, r"weights\[1\] is nan, must be finite"),
        (lambda: ia.MeanCovariance(2).combined(np.ones(2), 1.0, 0.0), ValueError, "lowest is 1, must not be above highest, 0"),
        (lambda: ia.MeanCovariance.of(x[:4].reshape(2, 2)).merge(ia.MeanCovariance.of(x[None, :])), ValueError, "other has 1 values"),
        (lambda: ia.MeanCovariance.of(x[None, :]).delta_method(3), TypeError, "not callable"),
        (lambda: ia.MeanCovariance.of(x[None, :]).delta_method(lambda m: 1 / 0), ZeroDivisionError, "division"),
        (lambda: ia.MeanCovariance.of(x[None, :]).delta_method(lambda m: m[0], 1.0, 0.0), ValueError, "delta_method: lowest is 1"),
        (lambda: ia.MeanCovariance.of(x), ValueError, "1 dimensions, must have 2"),
        (lambda: state.mean(1.0, 0.0), ValueError, "VarianceSplit.mean: lowest is 1"),
        (lambda: ia.MeanCovariance(2).delta_method(lambda m: m[0]), ValueError, "no units"),
        (lambda: ia.MeanCovariance.of(x[None, :].astype(np.float32)), TypeError, "float64"),
        (lambda: ia.jackknife(x[None, :], 3), TypeError, "must be a function"),
        (lambda: ia.jackknife(x[None, :], lambda m: np.nan), ValueError, "must be finite"),
        (lambda: ia.jackknife(x[None, :], lambda m: 1 / 0), ZeroDivisionError, "division"),
        (lambda: ia.stratified_mean(x, ["a"]), ValueError, "strata has 1 values, but values has 10"),
        (lambda: ia.stratified_mean(x[:0], []), ValueError, "values is empty"),
        (lambda: ia.stratified_mean(x, ["a"] * 10, {}), ValueError, "stratum 'a' has no weight"),
        (lambda: ia.stratified_mean(x, ["a"] * 10, {"a": 1, "b": 2}), ValueError, "stratum 'b' has a weight of 2 and no prompt"),
        (lambda: ia.stratified_mean(x, ["a"] * 10, {"a": 0}), ValueError, "weights sum to 0"),
        (lambda: ia.stratified_mean(x, ["a"] * 10, {"a": -1}), ValueError, r"weights\[0\] is -1"),
        (lambda: ia.holm(np.array([0.1, 1.1])), ValueError, r"p_values\[1\] is 1.1"),
        (lambda: ia.holm(np.array([[0.1]])), ValueError, "p_values must have one dimension"),
        (lambda: ia.plan_sampling(0.1, -1, 1), ValueError, "between is -1"),
        (lambda: ia.plan_sampling(0.1, 1, 1, sample_cost=-1), ValueError, "sample is -1"),
        (lambda: ia.plan_sampling(0.1, 1, 1, least=5, most=4), ValueError, "most is 4, less than"),
        (lambda: ia.plan_sampling(0.0, 1, 1), ValueError, "error is 0"),
        (lambda: ia.choose_on_curve(np.array([[1.0, np.nan]])), ValueError, r"curve\[0\]\[1\] is nan"),
        (lambda: ia.choose_on_curve(np.ones((2, 2)), clusters=np.array([1])), ValueError, "clusters has 1 elements"),
        (lambda: ia.choose_on_curve(x), ValueError, "1 dimensions"),
        (lambda: ia.choose_on_curve(x[None, :], level=1), ValueError, "level is 1"),
        (lambda: ia.Betting(1.5), ValueError, "level is 1.5"),
        (lambda: ia.Betting().add(1.5), ValueError, r"value is 1.5, must be in \[0, 1\]"),
        (lambda: ia.EmpiricalBernstein().merge(ia.EmpiricalBernstein(0.9)), ValueError, "another level or range"),
    ]:
        with pytest.raises(error, match=says):
            call()
