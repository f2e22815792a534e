# SPDX-License-Identifier: Apache-2.0
import itertools
import math
import pickle
import struct
import zlib
from statistics import NormalDist

import numpy as np
import oracles
import pytest

import infalign as ia

SIDES = {"best_of:2": (2, "best"), "worst_of:3": (3, "worst"), "standard": (1, "best")}


@pytest.mark.parametrize("procedure", SIDES)
@pytest.mark.parametrize("base_procedure", [None, "best_of:2"])
def test_win_rate_is_the_mean_over_subsets(rng, dtype, procedure, base_procedure):
    y, z = rng.integers(0, 5, (4, 6)).astype(dtype), rng.integers(0, 5, (4, 5)).astype(dtype)
    wins = ia.win_rate(y, z, procedure, base_procedure)
    assert wins.dtype == np.float64
    expected = [oracles.win_rate(y[p], z[p], *SIDES[procedure], *SIDES[base_procedure or procedure]) for p in range(4)]
    np.testing.assert_allclose(wins, expected, rtol=1e-13)
    ragged = [ia.Ragged.from_groups(list(x), dtype) for x in (y, z)]
    np.testing.assert_allclose(ia.win_rate(*ragged, procedure, base_procedure), expected, rtol=1e-13)
    out = np.empty(4)
    assert ia.win_rate(y, z, ia.parse_procedure(procedure), base_procedure, out=out, threads=2) is out
    np.testing.assert_array_equal(out, wins)


@pytest.mark.parametrize("name", ["order_statistic:2:3", "top_of:2:3", "best_of_random:1=0.25,3=0.75"])
def test_other_procedures_by_their_subsets(rng, dtype, name):
    y, z = rng.integers(0, 5, (3, 5)).astype(dtype), rng.integers(0, 5, (3, 4)).astype(dtype)
    for base_name in (name, "worst_of:2"):
        expected = [oracles.mean_win_rate(y[p], z[p], name, base_name) for p in range(3)]
        np.testing.assert_allclose(ia.win_rate(y, z, name, base_name), expected, rtol=1e-12)
    expected = [oracles.expected_value(row, name) for row in y.astype(float)]
    np.testing.assert_allclose(ia.expected_reward(y, name), expected, rtol=1e-12)


def test_best_of_poisson_draws_from_the_samples(rng, dtype):
    # With replacement: the share of the i-th of m in ascending order is G(i/m) - G((i-1)/m), G(q) = q·e^(μ(q-1)).
    y, z = rng.normal(size=(3, 8)).astype(dtype), rng.normal(size=(3, 6)).astype(dtype)
    shares = [np.diff([q * math.exp(2.5 * (q - 1)) for q in np.linspace(0, 1, m + 1)]) for m in (8, 6)]
    beaten = [oracles.beats(np.sort(y[p])[:, None], np.sort(z[p])[None, :]) for p in range(3)]
    expected = [shares[0] @ b @ shares[1] for b in beaten]
    np.testing.assert_allclose(ia.win_rate(y, z, "best_of_poisson:2.5"), expected, rtol=1e-12)
    np.testing.assert_allclose(ia.expected_reward(y, "best_of_poisson:2.5"), np.sort(y, 1).astype(float) @ shares[0], rtol=1e-12)


def test_bad_win_rates(rng):
    y, z = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    for call, error, says in [
        (lambda: ia.win_rate(y, z, "best_of:5"), ValueError, "fewer than the 5"),
        (lambda: ia.win_rate(y, z, "best_off:2"), ValueError, "unknown procedure"),
        (lambda: ia.win_rate(y, z, 4), TypeError, "procedure"),
        (lambda: ia.win_rate(y, z[:2]), ValueError, "2 groups"),
        (lambda: ia.win_rate(y, z.astype(np.float32)), TypeError, "float32"),
        (lambda: ia.win_rate(y, z, out=np.empty(3, np.float32)), TypeError, "out is float32"),
        (lambda: ia.win_rate(y, z, out=np.empty(4)), ValueError, "3 values"),
        (lambda: ia.win_rate(np.full((3, 4), np.inf), z), ValueError, "policy_rewards"),
    ]:
        with pytest.raises(error, match=says):
            call()


@pytest.mark.parametrize("procedure", SIDES)
def test_expected_reward_is_the_mean_over_subsets(rng, dtype, procedure):
    r = rng.integers(0, 5, (4, 6)).astype(dtype)
    expected = [oracles.expected_reward(row, *SIDES[procedure]) for row in r.astype(np.float64)]
    np.testing.assert_allclose(ia.expected_reward(r, procedure), expected, rtol=1e-13)
    for call, error, says in [
        (lambda: ia.expected_reward(r, "best_of:9"), ValueError, r"rewards\[0\] has 6 values, fewer than the 9"),
        (lambda: ia.expected_reward(r * np.nan, procedure), ValueError, r"rewards\[0\]\[0\] is nan, must be finite"),
        (lambda: ia.expected_reward(r, "best"), ValueError, "'best': unknown procedure"),
        (lambda: ia.expected_reward(r, 4), TypeError, "a procedure must be given by its name"),
        (lambda: ia.expected_reward(r[0]), ValueError, "1 dimensions"),
        (lambda: ia.expected_reward(r, out=np.empty(3)), ValueError, "out must be a contiguous array of 4 values"),
        (lambda: ia.expected_reward(r, threads=0), ValueError, "threads is 0"),
    ]:
        with pytest.raises(error, match=says):
            call()


def test_pass_at_k_from_counts_and_from_rewards():
    passed = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0, 0]], np.float64)
    assert ia.pass_at_k(10, 3, 5) == pytest.approx(1 - 21 / 252, rel=1e-14)
    assert ia.expected_reward(passed, "best_of:5")[0] == pytest.approx(1 - 21 / 252, rel=1e-13)
    many = ia.pass_at_k(np.array([[10], [20]]), np.array([0, 3, 10]), 2)
    assert many.shape == (2, 3) and many[0].tolist() == pytest.approx([0, 1 - 21 / 45, 1])
    for n, c, k in [(7, 0, 3), (7, 2, 3), (7, 6, 3), (7, 7, 7), (7, 3, 1)]:
        drawn = itertools.combinations([1] * c + [0] * (n - c), k)
        assert ia.pass_at_k(n, c, k) == pytest.approx(np.mean([max(s) for s in drawn]), abs=1e-14)
    with pytest.raises(ValueError, match="samples is 3, fewer than k = 5"):
        ia.pass_at_k(3, 1, 5)
    with pytest.raises(ValueError, match="k is 0, must be at least 1"):
        ia.pass_at_k(3, 1, 0)
    with pytest.raises(ValueError, match="successes is 4"):
        ia.pass_at_k(3, 4, 1)
    with pytest.raises(TypeError, match="whole numbers"):
        ia.pass_at_k(3.0, 1, 1)


def test_preferences():
    p = ia.Ragged.from_groups([[1, 0.5], [0.25]])
    assert ia.preferences(p).tolist() == [0.75, 0.25]
    many = np.random.default_rng(4).uniform(size=(5, 7))
    out = np.empty(5)
    assert ia.preferences(many, out=out, threads=2) is out
    np.testing.assert_allclose(out, many.mean(1), rtol=1e-14)
    for call, error, says in [
        (lambda: ia.preferences(np.array([[2.0]])), ValueError, r"preferences\[0\]\[0\] is 2, must be in \[0, 1\]"),
        (lambda: ia.preferences(np.array([[1.0, np.nan]])), ValueError, r"preferences\[0\]\[1\] is nan"),
        (lambda: ia.preferences(np.empty((1, 0))), ValueError, "at least one is needed"),
        (lambda: ia.preferences(np.array([[1]])), TypeError, "judgments is int64"),
    ]:
        with pytest.raises(error, match=says):
            call()


def test_select(rng):
    r = rng.integers(0, 3, (400, 4)).astype(np.float64)
    best, worst = ia.select(r, "best_of:4", seed=5), ia.select(r, "worst_of:4", seed=5)
    rows = np.arange(400)
    assert (r[rows, best] == r.max(1)).all() and (r[rows, worst] == r.min(1)).all()
    np.testing.assert_array_equal(best, ia.select(r, "best_of:4", seed=5))
    # Ties are broken evenly: each of four equal rewards is chosen 1000 ± 5·√(4000·¼·¾) times of 4000.
    counts = np.bincount(ia.select(np.zeros((4000, 4)), "best_of:4", seed=1), minlength=4)
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)
    counts = np.bincount(ia.select(rng.normal(size=(4000, 4)), "standard", seed=1), minlength=4)
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)
    for call, says in [
        (lambda: ia.select(r, "best_of:3"), r"^select: rewards\[0\] has 4 values, but best_of:3 draws 3"),
        (lambda: ia.select(r, "best_of_poisson:3"), "^select: best_of_poisson:3 draws a random number of samples"),
        (lambda: ia.select(r, "median"), "median"),
        (lambda: ia.select(np.array([[1.0], [np.nan]]), "best_of:1"), r"^select: rewards\[1\]\[0\] is nan, must be finite"),
        (lambda: ia.select(np.empty((1, 0)), "standard"), r"^select: rewards\[0\] is empty"),
    ]:
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize("kind", ["rows", "float32", "ragged"])
def test_select_by_rank_by_softmax_and_in_order(rng, kind):
    n, r = 8000, np.array([0.3, -0.5, 1.5, 0.75])
    every = np.tile(r, (n, 1))
    given = {"rows": every, "float32": every.astype(np.float32), "ragged": ia.Ragged(every.ravel(), 4 * np.arange(n + 1))}[kind]
    weights = np.exp(r / 0.8) / np.exp(r / 0.8).sum()
    for procedure, expected in [
        ("order_statistic:2:4", [1, 0, 0, 0]),
        ("top_of:2:4", [0, 0, 0.5, 0.5]),
        ("soft_best_of:4:0.8", weights),
        ("rewind_and_repeat:0.6:4", [0, 0, 1, 0]),
        ("rewind_and_repeat:2:4", [0, 0, 0, 1]),
        ("rewind_and_repeat:2:4:best", [0, 0, 1, 0]),
        (ia.parse_procedure("top_of:1:4"), [0, 0, 1, 0]),
    ]:
        share = np.bincount(ia.select(given, procedure, seed=3), minlength=4) / n
        assert (np.abs(share - expected) <= 5 * np.sqrt(np.multiply(expected, np.subtract(1, expected)) / n)).all(), procedure


class TestSummaries:
    def test_summarize(self, rng):
        x = rng.uniform(size=50)
        e = ia.summarize(x, range="win_rate")
        assert e.value == pytest.approx(x.mean(), rel=1e-14)
        assert e.standard_error == pytest.approx(x.std(ddof=1) / np.sqrt(50), rel=1e-13)
        low, high = e.interval(0.9)
        assert 0 <= low < e.value < high <= 1 and e.count == 50

    @pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
    def test_intervals(self, rng, level):
        x = rng.exponential(size=12)
        t = oracles.student_t_quantile((1 + level) / 2, 11)
        half = t * x.std(ddof=1) / math.sqrt(12)
        assert ia.summarize(x).interval(level) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-7)
        low, high = ia.summarize(x, range="not_negative").interval(level)
        assert (low, high) == (pytest.approx(max(x.mean() - half, 0), rel=1e-6), pytest.approx(x.mean() + half, rel=1e-7))
        # Within a range: as if z²/2 values had been seen at either end (Agresti and Coull).
        wins = rng.integers(0, 2, 12).astype(float)
        extra = NormalDist().inv_cdf((1 + level) / 2) ** 2
        m = (wins.sum() + extra / 2) / (12 + extra)
        squares = ((wins - m) ** 2).sum() + extra / 2 * (m**2 + (1 - m) ** 2)
        half = t * math.sqrt(squares / (12 + extra - 1) / (12 + extra))
        found = ia.summarize(wins, range=(0, 1)).interval(level)
        assert found == pytest.approx((max(m - half, 0), min(m + half, 1)), rel=1e-7)
        assert ia.summarize(wins[:1], range="win_rate").interval(level) == (0, 1)

    def test_clusters_of_any_size(self, rng):
        x, of = rng.normal(size=70), rng.integers(-5, 12, 70)
        e = ia.summarize(x, clusters=of)
        assert (e.value, e.count) == (pytest.approx(x.mean(), rel=1e-12), len(np.unique(of)))
        assert e.standard_error == pytest.approx(oracles.clustered_error(x, of), rel=1e-12)
        y = rng.normal(size=70)
        assert ia.compare(x, y, clusters=of).difference.standard_error == pytest.approx(oracles.clustered_error(x - y, of), rel=1e-12)

    def test_clusters(self, rng):
        # Every prompt twice, in a cluster of its own: the error is that of the prompts.
        x = rng.normal(size=40)
        e = ia.summarize(np.repeat(x, 2), clusters=np.repeat(np.arange(40), 2))
        assert e.count == 40 and e.standard_error == pytest.approx(x.std(ddof=1) / np.sqrt(40), rel=1e-13)

    def test_merging_parts_is_summarizing_all(self, rng):
        x = rng.normal(1e6, 1, 1000)
        parts = [ia.Summary.of(p) for p in np.split(x, [1, 300])]
        whole = ia.Summary()
        for part in parts:
            whole.merge(pickle.loads(pickle.dumps(part)))
        assert whole.count == 1000 and whole.mean == pytest.approx(x.mean(), rel=1e-12)
        assert whole.m2 == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-9)
        one = ia.Summary()
        one.add(2.0)
        assert (one.count, one.mean, one.estimate().value) == (1, 2.0, 2.0)
        assert whole.estimate(0.0, 2e6).standard_error == pytest.approx(x.std(ddof=1) / math.sqrt(1000), rel=1e-9)
        assert (whole.estimate(0.0, 2e6).lowest, whole.estimate(0.0, 2e6).highest) == (0, 2e6)

    def test_byte_form(self, rng):
        # The form that the C++ library declares in statistics/bytes.hpp: to be read on another machine, and by it.
        s = ia.Summary.of(rng.normal(size=7))
        state = s.to_bytes()
        fields = struct.pack("<qdd", s.count, s.mean, s.m2)
        head = struct.pack("<HHI", 1, 1, len(fields))
        assert state == b"infS" + head + struct.pack("<I", zlib.crc32(head + fields)) + fields
        again = ia.Summary.from_bytes(state)
        assert (again.count, again.mean, again.m2) == (s.count, s.mean, s.m2)
        for bad, says in [
            (b"", "no state"),
            (state[:-1], "the state has 24 bytes"),
            (state[:-1] + bytes([state[-1] ^ 1]), "damaged"),
            (ia.Calibrator(np.ones((1, 2))).to_bytes(), "no state"),
        ]:
            with pytest.raises(ia.Error, match=says):
                ia.Summary.from_bytes(bad)
        with pytest.raises(TypeError):
            ia.Summary.from_bytes("infS")

    def test_compare(self, rng):
        a, b = rng.uniform(size=10), rng.uniform(size=10)
        c = ia.compare(a, b)
        d = a - b
        assert c.difference.value == pytest.approx(d.mean(), rel=1e-13)
        assert c.difference.standard_error == pytest.approx(d.std(ddof=1) / np.sqrt(10), rel=1e-13)
        assert c.p_value == pytest.approx(oracles.sign_flips(d), abs=1e-15)
        # Of many prompts by random signs; exactly by convolution, as all differences are multiples of ¼.
        steps = rng.integers(-3, 5, 60)
        shares = np.ones(1)
        for k in np.abs(steps):
            shares = np.convolve(shares, [0.5, *[0.0] * (2 * k - 1), 0.5] if k else [1.0])
        sums = np.arange(len(shares)) - len(shares) // 2
        p = shares[np.abs(sums) >= abs(steps.sum())].sum()
        assert 0 < p < 1
        seen = [ia.compare(steps / 4, np.zeros(60), seed=seed).p_value for seed in (1, 1, 2)]
        assert seen[0] == seen[1] != seen[2] and seen[0] == pytest.approx(p, abs=5 * math.sqrt(p / 1e5))
        clustered = ia.compare(a, b, clusters=np.repeat([3, 5], 5))
        assert clustered.p_value == pytest.approx(oracles.sign_flips([d[:5].sum(), d[5:].sum()]), abs=1e-15)

    def test_bad_input(self):
        x = np.ones(3)
        for call, error, says in [
            (lambda: ia.summarize(np.array([])), ValueError, "empty"),
            (lambda: ia.summarize(np.array([1.0, np.nan])), ValueError, r"values\[1\]"),
            (lambda: ia.summarize(x.astype(np.float32)), TypeError, "float32"),
            (lambda: ia.summarize(np.ones((2, 2))), ValueError, "one dimension"),
            (lambda: ia.summarize(x, clusters=np.array([1, 2])), ValueError, "clusters"),
            (lambda: ia.summarize(x, range="rate"), ValueError, "range"),
            (lambda: ia.compare(x, np.ones(2)), ValueError, "second has 2"),
            (lambda: ia.summarize(x).interval(1.0), ValueError, r"level is 1, must be in \(0, 1\)"),
            (lambda: ia.summarize(x, range=(1.0, 0.0)), ValueError, r"range is \(1.0, 0.0\), its lowest value must not be above"),
            (lambda: ia.summarize(x, range=(0.0,)), ValueError, r"range is \(0.0,\), must be one of .* or a pair of numbers"),
            (lambda: ia.summarize(x, range=[0, "one"]), ValueError, "or a pair of numbers"),
            (lambda: ia.summarize(x, range=3), ValueError, "range is 3, must be one of"),
            (lambda: ia.compare(x, np.array([1.0, np.nan, 1.0])), ValueError, r"compare: second\[1\] is nan, must be finite"),
            (lambda: ia.compare(x, x.astype(np.float32)), TypeError, "second is float32"),
            (lambda: ia.Estimate(1.0, -1.0, 3), ValueError, "Estimate: standard_error is -1, must not be negative"),
            (lambda: ia.Estimate(1.0, 1.0, -3), ValueError, "Estimate: count is -3"),
            (lambda: ia.Estimate(1.0, 1.0, 3, 2.0, 1.0), ValueError, "Estimate: lowest is 2, must not be above highest, 1"),
            (lambda: ia.Summary(-1, 0.0, 0.0), ValueError, "Summary: count is -1, must not be negative"),
            (lambda: ia.Summary(2, 0.0, -1.0), ValueError, "Summary: m2 is -1, must not be negative"),
            (lambda: ia.Summary().add(np.nan), ValueError, "Summary.add: x is nan, must be finite"),
            (lambda: ia.Summary().add(np.inf), ValueError, "x is inf"),
            (lambda: ia.Summary().merge(ia.VarianceSplit()), TypeError, "incompatible"),
            (lambda: ia.Summary().estimate(1.0, 0.0), ValueError, "Summary.estimate: lowest is 1"),
            (lambda: ia.Summary.of(np.array([1.0, np.inf])), ValueError, r"Summary: values\[1\] is inf, must be finite"),
            (lambda: ia.Summary.of(np.ones((2, 2))), ValueError, "one dimension"),
            (lambda: ia.Summary.of(x.astype(np.float32)), TypeError, "values is float32"),
        ]:
            with pytest.raises(error, match=says):
                call()

    def test_estimates_are_pickled(self):
        e = ia.summarize(np.arange(4.0), range=(0.0, 3.0))
        again = pickle.loads(pickle.dumps(e))
        assert (again.value, again.standard_error, again.count, again.interval()) == (e.value, e.standard_error, 4, e.interval())


@pytest.mark.parametrize("procedure", SIDES)
def test_tilted_win_rate_is_that_of_all_draws(rng, dtype, procedure):
    r = (rng.integers(0, 5, (3, 4)) / 2).astype(dtype)
    for beta, base_procedure in [(0.4, None), (1e-6, "standard"), (1e9, "best_of:2")]:
        wins, kl = ia.tilted_win_rate(r, beta, procedure, base_procedure)
        assert wins.dtype == kl.dtype == np.float64
        for row, w, d in zip(r, wins, kl):
            p, divergence = oracles.tilted(row, beta)
            assert w == pytest.approx(oracles.win_rate_of_draws(row, p, *SIDES[procedure], *SIDES[base_procedure or procedure]), abs=1e-12)
            assert d == pytest.approx(divergence, abs=1e-12)
        ragged = ia.Ragged.from_groups(list(r), dtype)
        np.testing.assert_array_equal(ia.tilted_win_rate(ragged, beta, ia.parse_procedure(procedure), base_procedure, threads=2), (wins, kl))


def test_bad_tilted_win_rates(rng):
    r = rng.normal(size=(3, 4))
    for call, error, says in [
        (lambda: ia.tilted_win_rate(r, 0.0), ValueError, "beta is 0, must be positive"),
        (lambda: ia.tilted_win_rate(r[:, :0], 1.0), ValueError, "rewards"),
        (lambda: ia.tilted_win_rate(np.where(r == r[1, 2], np.nan, r), 1.0), ValueError, r"rewards\[1\]\[2\] is nan"),
        (lambda: ia.tilted_win_rate(r, 1.0, "best_off:2"), ValueError, "unknown procedure"),
        (lambda: ia.tilted_win_rate(r, 1.0, base_procedure=3), TypeError, "procedure"),
        (lambda: ia.tilted_win_rate(r.astype(int), 1.0), TypeError, "rewards"),
        (lambda: ia.tilted_win_rate(r, 1.0, threads=0), ValueError, "threads"),
    ]:
        with pytest.raises(error, match=says):
            call()


class TestEvaluate:
    def test_of_continuous_rewards_is_the_theory(self, rng):
        # Theory: KL and win rate of the tilt e^{Φ/β} of uniform quantiles.
        beta = 0.136064  # at a KL of 1
        seen = ia.evaluate(rng.normal(size=(400, 128)), "identity", beta, "best_of:4")
        assert seen.reliable and seen.doubt == ""
        u = (np.arange(100_000) + 0.5) / 100_000
        f = np.exp((u - 1) / beta)
        f /= f.mean()
        cdf = (np.cumsum(f) - f / 2) / len(u)
        for value, truth in [
            (seen.kl, (f * np.log(f)).mean()),
            (seen.inference_win_rate, 1 - (cdf**4 * 4 * u**3).mean()),
            (seen.standard_win_rate, (f * u).mean()),
        ]:
            low, high = value.interval(0.99999)
            assert low <= truth <= high and abs(value.value - truth) < 0.002

    @pytest.mark.parametrize("procedure", ["best_of:2", "worst_of:3"])
    def test_raw_rewards_are_the_jackknife_of_the_tilt(self, rng, procedure):
        r, beta = np.sort(np.round(64 * rng.normal(size=(5, 6))) / 64, axis=1), 0.8
        r[:, 5] = r[:, 3] + 2.5  # as far above the median everywhere: no prompt shows that another one missed something

        def of_sample(row):
            p, kl = oracles.tilted(row, beta)
            sides = *SIDES[procedure], *SIDES["standard"]
            return np.array([kl, oracles.win_rate_of_draws(row, p, *SIDES["standard"], *SIDES["standard"]),
                             oracles.win_rate_of_draws(row, p, *sides)])

        whole, of_prompts = ia.evaluate(r, None, beta, procedure, "standard", return_prompts=True)
        plug_in = np.array([of_sample(row) for row in r])
        left_out = np.array([np.mean([of_sample(np.delete(row, i)) for i in range(6)], axis=0) for row in r])
        expected = 6 * plug_in - 5 * left_out
        for k, name in enumerate(["kl", "standard_win_rate", "inference_win_rate"]):
            value = getattr(whole, name)
            np.testing.assert_allclose(of_prompts[name], expected[:, k], atol=1e-11)
            assert value.value == value.corrected.value == pytest.approx(expected[:, k].mean(), abs=1e-11)
            assert value.corrected.standard_error == pytest.approx(expected[:, k].std(ddof=1) / math.sqrt(5), rel=1e-9)
            assert value.plug_in.value == pytest.approx(plug_in[:, k].mean(), abs=1e-11)
            assert value.bias >= abs(value.value - value.plug_in.value) / 2 - 1e-12
            low, high = value.interval()
            half = oracles.student_t_quantile(0.975, 4) * value.corrected.standard_error + value.bias
            lowest, highest = (0, math.inf) if name == "kl" else (0, 1)
            assert low <= max(value.value - half, lowest) + 1e-6 and high >= min(value.value + half, highest) - 1e-6
        e = np.exp((r - r.max(1, keepdims=True)) / beta)
        np.testing.assert_allclose(of_prompts["effective_samples"], e.sum(1) ** 2 / (e**2).sum(1), rtol=1e-10)
        assert whole.effective_samples.value == pytest.approx(of_prompts["effective_samples"].mean(), rel=1e-12)
        assert whole.thin_prompts == (of_prompts["effective_samples"] < 4).sum() > 0
        assert not whole.reliable and whole.doubt == "too few samples where the policy would put its mass"

    def test_of_tied_rewards_the_plug_in_is_the_tilt_of_mid_ranks(self, rng):
        r = np.repeat(rng.permuted(np.tile(np.arange(3.0), (4, 1)), axis=1), 2, axis=1)
        found = ia.evaluate(r, "exponential:2", 1.5, "best_of:2")
        kls, wins = [], []
        for row in r:
            phi = np.exp(2 * np.array([oracles.calibrated(row, x) for x in row]))
            p, kl = oracles.tilted(phi, 1.5)
            kls.append(kl)
            wins.append(oracles.win_rate_of_draws(row, p, 2, "best", 2, "best"))
        assert found.kl.plug_in.value == pytest.approx(np.mean(kls), abs=1e-12)
        assert found.inference_win_rate.plug_in.value == pytest.approx(np.mean(wins), abs=1e-12)

    def test_values_of_prompts(self, rng):
        r = rng.normal(size=(30, 16))
        whole, of_prompts = ia.evaluate(r, "exponential:2", 1.0, "best_of:2", return_prompts=True)
        for name, value in of_prompts.items():
            seen = getattr(whole, name)
            mean = seen.value if name == "effective_samples" else seen.corrected.value
            assert value.shape == (30,) and mean == pytest.approx(value.mean(), rel=1e-12)

    def test_raw_rewards_and_threads(self, rng):
        r = rng.normal(size=(20, 16)).astype(np.float32)
        one, two = (ia.evaluate(r, None, 1.0, threads=t) for t in (1, 2))
        assert one.kl.value == two.kl.value and one.kl.value != ia.evaluate(r, "identity", 1.0).kl.value

    def test_bad_input(self, rng):
        r = rng.normal(size=(3, 4))
        for call, error, says in [
            (lambda: ia.evaluate(r, "identity", 0.0), ValueError, "beta is 0"),
            (lambda: ia.evaluate(r, "identity", np.nan), ValueError, "beta is nan"),
            (lambda: ia.evaluate(r[:, :1], "identity", 1.0), ValueError, "at least two"),
            (lambda: ia.evaluate(r * np.nan, "identity", 1.0), ValueError, r"rewards\[0\]\[0\] is nan, must be finite"),
            (lambda: ia.evaluate(r, "nothing", 1.0), ValueError, "unknown transform"),
            (lambda: ia.evaluate(r, 3, 1.0), TypeError, "a transform must be given by its name"),
            (lambda: ia.evaluate(r, "identity", 1.0, "best"), ValueError, "unknown procedure"),
            (lambda: ia.evaluate(r, "identity", 1.0, base_procedure="best_of:0"), ValueError, "N is 0"),
            (lambda: ia.evaluate(r.tolist(), "identity", 1.0), TypeError, "rewards is a list"),
            (lambda: ia.evaluate(r, "identity", 1.0, threads=0), ValueError, "threads is 0"),
            (lambda: ia.evaluate(r, "identity", 1.0).kl.interval(0.0), ValueError, r"level is 0, must be in \(0, 1\)"),
        ]:
            with pytest.raises(error, match=says):
                call()
