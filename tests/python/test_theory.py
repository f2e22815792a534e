# SPDX-License-Identifier: Apache-2.0
import math
import pickle

import numpy as np
import pytest

import infalign as ia


def tilt(phi, beta, n):
    """KL, standard and best-of-n win rate of the policy with density e^{Φ(u)/β}/Z of the quantile, by the midpoint rule."""
    n_points = 100_000
    u = (np.arange(n_points) + 0.5) / n_points
    f = np.exp((phi(u) - phi(1.0)) / beta)
    f /= f.mean()
    cdf = (np.cumsum(f) - f / 2) / n_points
    return (f * np.log(f)).mean(), (f * u).mean(), 1 - (cdf**n * n * u ** (n - 1)).mean()


class TestPlan:
    def test_rows_are_the_tilt_of_their_transform(self):
        table = ia.plan("best_of:4", kl=[0.5, 1.0])
        assert len(table.sections) == 2 and table.recommended and table.procedure == table.base_procedure == "best_of:4"
        for section in table.sections:
            for name, phi in [("identity", lambda u: u), ("exponential:5", lambda u: np.exp(5 * u))]:
                point = section[name].reached
                kl, standard, inference = tilt(phi, point.beta, 4)
                assert point.kl == pytest.approx(section.wanted, abs=1e-9) and kl == pytest.approx(point.kl, abs=1e-6)
                assert standard == pytest.approx(point.standard_win_rate, abs=1e-6)
                assert inference == pytest.approx(point.inference_win_rate, abs=1e-5)
            rows = [r for r in section.rows if r.reached]
            assert [r.price for r in rows] == sorted(r.price for r in rows)
            best = section["optimal"].reached.inference_win_rate
            assert best == max(r.reached.inference_win_rate for r in rows)
            for r in rows:
                assert r.price == pytest.approx(best - r.reached.inference_win_rate, abs=1e-9) and r.largest_kl == math.inf
            assert section.gain == pytest.approx(best - 0.5, abs=1e-9) and section.bound >= best - 1e-9
            for name, range_ in [("identity", 1.0), ("exponential:5", math.exp(5) - 1)]:
                assert section[name].scaled_beta == pytest.approx(section[name].reached.beta / range_, rel=1e-12)
            assert math.isnan(section["logarithm"].scaled_beta)
        assert "recommended: " in str(table) and repr(pickle.loads(pickle.dumps(table))) == repr(table)

    def test_a_transform_with_a_flat_top_does_not_reach_every_kl(self):
        # At β → 0 the policy is uniform on the upper half: KL log 2, and 1 - ∫ (2u - 1)^4·4·u³ du over that half under best-of-4.
        section = ia.plan("best_of:4", kl=1.0, transforms=["clamped:0:0.5:identity"]).sections[0]
        row = section["clamped:0:0.5:identity"]
        assert row.reached is None and row.largest_kl == pytest.approx(math.log(2), abs=1e-6)
        assert f"reaches a KL of at most {row.largest_kl:.4g}" in str(ia.plan("best_of:4", kl=1.0, transforms=["clamped:0:0.5:identity"]))

    def test_standard_sampling_needs_no_transform(self):
        # Without a procedure the optimum is the identity: its price is 0.
        section = ia.plan("standard", kl=1.0).sections[0]
        assert section["identity"].price == pytest.approx(0, abs=1e-9)

    def test_transforms_of_ones_own(self):
        table = ia.plan("best_of:4", kl=1.0, transforms=["identity", lambda u: u**2, ia.tabulated([0, 1], [0, 1])])
        names = [r.transform for r in table.sections[0].rows]
        assert "identity" in names and sum(n.startswith("tabulated") for n in names) == 2
        # A straight line is the identity.
        prices = {r.transform: r.price for r in table.sections[0].rows}
        assert prices["tabulated:2"] == pytest.approx(prices["identity"], abs=1e-9)

    def test_procedures_that_select_by_reward(self):
        # Values by quadrature in NumPy, as in tests/theory/reward_procedure_test.cpp.
        for procedure, base, wins in [
            ("soft_best_of:2:0.1", None, 0.802219582756),
            ("rewind_and_repeat:0.8:4", ia.parse_procedure("standard"), 0.911126713806),
        ]:
            table = ia.plan(procedure, base, beta=0.2, transforms=["identity"])
            assert table.sections[0]["identity"].reached.inference_win_rate == pytest.approx(wins, abs=1e-11)
            assert table.procedure == procedure

    def test_bad_input(self):
        for call, error, says in [
            (lambda: ia.plan("rewind_and_repeat:1.5:4", kl=1.0), ValueError, "threshold of rewind_and_repeat:1.5:4 is 1.5"),
            (lambda: ia.plan("soft_best_of:4:0", kl=1.0), ValueError, "lambda is 0"),
            (lambda: ia.plan("best_of:4"), TypeError, "either kl"),
            (lambda: ia.plan("best_of:4", kl=1.0, beta=1.0), TypeError, "either kl"),
            (lambda: ia.plan("best_of:4", kl=[]), ValueError, "budget"),
            (lambda: ia.plan("best_of:4", kl=-1.0), ValueError, "kl is -1"),
            (lambda: ia.plan("best_of:0", kl=1.0), ValueError, "best_of"),
            (lambda: ia.plan("best_of:4", kl=1.0, forgo=2.0), ValueError, "forgo"),
            (lambda: ia.plan("best_of:4", kl=1.0).sections[0]["cube"], KeyError, "cube"),
        ]:
            with pytest.raises(error, match=says):
                call()


class TestOptimalTransform:
    def test_is_a_fixed_point(self):
        best = ia.optimal_transform("best_of:4", beta=0.1)
        kl, standard, inference = tilt(np.vectorize(best), 0.1, 4)
        assert kl == pytest.approx(best.kl, abs=1e-6) and standard == pytest.approx(best.standard_win_rate, abs=1e-6)
        assert inference == pytest.approx(best.win_rate, abs=1e-5)
        # Φ*' = g(F)·g(u), with g(q) = 4·q³.
        for u in (0.3, 0.8, 0.95):
            slope = (best(u + 1e-5) - best(u - 1e-5)) / 2e-5
            assert slope == pytest.approx(16 * best.cdf(u) ** 3 * u**3, rel=1e-4)
        # The density and the CDF of the policy: those of the tilt, by midpoints.
        u = midpoints(20_000)
        f = np.exp((np.vectorize(best)(u) - best(1.0)) / 0.1)
        f /= f.mean()
        for k in (3_000, 12_000, 19_900):
            assert best.density(u[k]) == pytest.approx(f[k], rel=1e-5)
            assert best.cdf(u[k]) == pytest.approx((f[: k + 1].sum() - f[k] / 2) / 20_000, abs=1e-6)
        assert best.cdf(0.0) == 0 and best.cdf(1.0) == pytest.approx(1, abs=1e-12)

    def test_table(self, rng):
        best = ia.optimal_transform("best_of:4", kl=1.0)
        assert best.kl == pytest.approx(1, abs=1e-9) and best.proof == "proved global"
        table = best.table(1e-6)
        u = rng.uniform(size=(1, 50))
        exact = [best(x) for x in u[0]]
        np.testing.assert_allclose(table(u)[0], exact, atol=1e-6 * (best(1.0) - best(0.0)))
        z = rng.normal(size=(2, 64))
        np.testing.assert_array_equal(ia.calibrate(z, z, transform=best), ia.calibrate(z, z, transform=table))

    def test_procedures_that_select_by_reward(self):
        # By mirror ascent in NumPy, as in tests/theory/reward_optimum_test.cpp.
        best = ia.optimal_transform("rewind_and_repeat:0.8:4", beta=0.05)
        assert best.win_rate == pytest.approx(0.9505096008569, abs=1e-11) and best.kl == pytest.approx(1.56674746061, abs=1e-9)
        assert best.proof == "best stationary point" and best(0.79) > best(0.81)
        table = best.table(1e-6)
        again = pickle.loads(pickle.dumps(table))
        u = np.array([[0.1, 0.79, 0.81, 0.95]])
        np.testing.assert_array_equal(again(u), table(u))
        np.testing.assert_allclose(table(u)[0], [best(x) for x in u[0]], atol=2e-6)

    def test_bad_input(self):
        best = ia.optimal_transform("best_of:4", kl=1.0)
        for call, error, says in [
            (lambda: ia.optimal_transform("best_of:4"), TypeError, "give either kl or beta"),
            (lambda: ia.optimal_transform("best_of:4", kl=1.0, beta=1.0), TypeError, "give either kl or beta"),
            (lambda: ia.optimal_transform("best_of:4", beta=-1.0), ValueError, "beta is -1, must be finite and not negative"),
            (lambda: ia.optimal_transform("best_of:4", kl=0.0), ValueError, "kl is 0, must be positive and finite"),
            (lambda: ia.optimal_transform("best_of:4", kl=math.nan), ValueError, "kl is nan"),
            (lambda: ia.optimal_transform("best", kl=1.0), ValueError, "'best': unknown procedure"),
            (lambda: ia.optimal_transform(4, kl=1.0), TypeError, "a procedure must be given by its name"),
            (lambda: best(1.5), ValueError, r"argument is 1.5, must be in \[0, 1\]"),
            (lambda: best(math.nan), ValueError, "argument is nan"),
            (lambda: best.density(-0.5), ValueError, "argument is -0.5"),
            (lambda: best.cdf(2.0), ValueError, "argument is 2"),
            (lambda: best.table(0.0), ValueError, "tolerance is 0"),
        ]:
            with pytest.raises(error, match=says):
                call()


def midpoints(n=1_000_000):
    return (np.arange(n) + 0.5) / n


def toy(u):
    """HedgeTune's: u¹²(1-u), scaled to a maximum of 1."""
    return u**12 * (1 - u) * 13 * (13 / 12) ** 12


class TestHedge:
    def test_the_best_n_of_hedgetunes_toy(self):
        # By hand: ∫ u¹²(1-u)·n·u^(n-1) du = n/((n+12)(n+13)), largest at √156.
        best, n = ia.hedge_best_of(toy), math.sqrt(156)
        assert best.parameter == pytest.approx(n, abs=2e-6) and best.kl == pytest.approx(math.log(n) - (n - 1) / n, abs=1e-7)
        assert best.value == pytest.approx(13 * (13 / 12) ** 12 * n / (n + 12) / (n + 13), abs=1e-12)
        assert pickle.loads(pickle.dumps(best)) == best
        assert ia.served_value(toy, "best_of:12") == pytest.approx(0.6794, abs=1e-4)
        assert ia.hedge_best_of(lambda u: u, 100).parameter == pytest.approx(100, abs=1e-4)

    def test_the_best_mean_by_search(self):
        # G(q) = q·e^(μ(q-1)), integrated by midpoints for every μ of a grid.
        u = midpoints(20_000)
        value = lambda mean: (toy(u) * (1 + mean * u) * np.exp(mean * (u - 1))).mean()  # noqa: E731
        grid = np.arange(11.5, 13.5, 0.01)
        best = ia.hedge_best_of_poisson(toy)
        assert best.parameter == pytest.approx(grid[np.argmax([value(m) for m in grid])], abs=0.006)
        assert best.value == pytest.approx(value(best.parameter), abs=1e-7)
        density = (1 + best.parameter * u) * np.exp(best.parameter * (u - 1))
        assert best.kl == pytest.approx((density * np.log(density)).mean(), abs=1e-6)
        assert ia.hedge_best_of_poisson(lambda u: 1 - u).parameter == 0

    def test_values_and_kl_by_quadrature(self):
        u = midpoints()
        for procedure, density in [("best_of:3", 3 * u**2), ("worst_of:2", 2 * (1 - u)), ("standard", np.ones_like(u))]:
            for given in (procedure, ia.parse_procedure(procedure)):
                assert ia.served_value(lambda x: math.sin(5 * x), given) == pytest.approx((np.sin(5 * u) * density).mean(), abs=1e-10)
                assert ia.procedure_kl(given) == pytest.approx((density * np.log(density)).mean(), abs=1e-9)
        for n in (2, 64, 10**6):
            assert ia.procedure_kl(f"best_of:{n}") == pytest.approx(ia.best_of_kl(n), abs=1e-10)

    def test_a_function_is_called_once_for_each_quantile(self):
        seen = []
        ia.hedge_best_of(lambda u: seen.append(u) or np.float32(u))
        assert len(seen) == len(set(seen)) and min(seen) == 0 and max(seen) == 1

    def test_bad_input(self):
        def broken(u):
            raise KeyError("mine")

        for call, error, says in [
            (lambda: ia.hedge_best_of(toy, 1.0), ValueError, "most is 1, must be more than 1 and at most 1e9"),
            (lambda: ia.hedge_best_of_poisson(toy, 0.0), ValueError, "most is 0, must be more than 0"),
            (lambda: ia.hedge_best_of(3.0), TypeError, "hedge_best_of: true_reward must be a function of a number"),
            (lambda: ia.hedge_best_of(lambda u: "x"), TypeError, r"hedge_best_of: true_reward\(0\.\d+\) is 'x', must be a number"),
            (lambda: ia.served_value(lambda u: math.nan, "standard"), ValueError, r"served_value: true_reward\(0\.\d+\) is nan, must be finite"),
            (lambda: ia.served_value(toy, "best_of:0"), ValueError, "N is 0"),
            (lambda: ia.served_value(toy, 4), TypeError, "procedure"),
            (lambda: ia.procedure_kl("best_off:2"), ValueError, "unknown procedure"),
            (lambda: ia.hedge_best_of_poisson(broken), KeyError, "mine"),
        ]:
            with pytest.raises(error, match=says):
                call()


class TestNames:
    def test_transforms(self, dtype):
        u = np.linspace(0, 1, 9, dtype=dtype)
        for name, phi in [("identity", lambda u: u), ("exponential:-5", lambda u: -np.exp(-5 * u)), ("power:3", lambda u: u**3),
                          ("clamped:0.1:0.9:power:2", lambda u: np.clip(u, 0.1, 0.9) ** 2)]:
            t = ia.parse_transform(name)
            assert t.name == name
            np.testing.assert_allclose(t(u), phi(u), rtol=8 * np.finfo(dtype).eps, atol=1e-12)
            assert t(u).dtype == dtype and t(0.5) == pytest.approx(phi(0.5))
            h = 1e-6
            assert t.derivative(0.5) == pytest.approx((phi(0.5 + h) - phi(0.5 - h)) / (2 * h), rel=1e-6)
            ragged = t(ia.Ragged(u, np.array([0, 4, 9])))
            assert len(ragged) == 2 and (ragged.values == t(u)).all() and (t(u.reshape(3, 3)) == t(u).reshape(3, 3)).all()
            again = pickle.loads(pickle.dumps(t))
            assert again.name == name and (again(u) == t(u)).all()
        for syntax, example, summary in ia.transform_names():
            assert ia.parse_transform(example).name == example and summary

    def test_tables(self):
        t = ia.tabulated([0, 0.25, 1], [0, 1, 2], slopes=[1, 2, 0])
        again = pickle.loads(pickle.dumps(t))
        assert t.kinks() == [0.25] and again.name == t.name == "tabulated:3"
        assert [again.value(x) for x in (0.0, 0.1, 0.25, 0.7)] == [t.value(x) for x in (0.0, 0.1, 0.25, 0.7)]
        # A cubic through values and slopes on each interval.
        for x in (0.1, 0.2, 0.4, 0.9):
            (a, b, y0, y1, d0, d1) = (0, 0.25, 0, 1, 1, 2) if x < 0.25 else (0.25, 1, 1, 2, 2, 0)
            h, s = b - a, (x - a) / (b - a)
            cubic = [(1 + 2 * s) * (1 - s) ** 2 * y0, s * (1 - s) ** 2 * h * d0, s * s * (3 - 2 * s) * y1, s * s * (s - 1) * h * d1]
            assert t.value(x) == pytest.approx(sum(cubic), rel=1e-13)
            step = (t.value(x + 1e-6) - t.value(x - 1e-6)) / 2e-6
            assert t.derivative(x) == pytest.approx(step, rel=1e-7)

    def test_tables_without_slopes_take_harmonic_means(self):
        u, y = np.array([0, 0.2, 0.3, 0.7, 1]), np.array([0, 0.1, 0.5, 0.5, 2.0])
        t = ia.tabulated(u, y)
        h, d = np.diff(u), np.diff(y) / np.diff(u)
        # Fritsch and Butland: weights (h' + 2h) and (2h' + h) of the secants at either side; flat beside a flat stretch.
        inner = (3 * (h[0] + h[1])) / ((2 * h[1] + h[0]) / d[0] + (h[1] + 2 * h[0]) / d[1])
        ends = [max(((2 * a + b) * m - a * n) / (a + b), 0) for a, b, m, n in [(h[0], h[1], d[0], d[1]), (h[3], h[2], d[3], d[2])]]
        slopes = [ends[0], inner, 0, 0, min(ends[1], 3 * d[3])]
        assert [t.derivative(x) for x in u] == pytest.approx(slopes, rel=1e-12)
        assert [t.value(x) for x in u] == y.tolist() and t.value(0.5) == 0.5

    @pytest.mark.parametrize(
        "call, error, says",
        [
            (lambda: ia.tabulated([0, 1], [1, 0]), ValueError, "must not be below"),
            (lambda: ia.tabulated([0, 0.5], [0, 1]), ValueError, r"u\[1\] is 0.5, must be 1"),
            (lambda: ia.tabulated([0, 0.5, 0.5, 1], [0, 1, 2, 3]), ValueError, r"u\[2\] is 0.5, must be above the one before it"),
            (lambda: ia.tabulated([0, 1], [0, 1, 2]), ValueError, "values has 3 values, but u has 2"),
            (lambda: ia.tabulated([0, 1], [0, 1], [1]), ValueError, "slopes has 1 values, but u has 2"),
            (lambda: ia.tabulated([0, 1], [0, 1], [-1, 1]), ValueError, r"slopes\[0\] is -1"),
            (lambda: ia.tabulated([0, 1], [0, math.nan]), ValueError, r"values\[1\] is nan"),
            (lambda: ia.tabulated([], []), ValueError, "u has 0 points, needs at least 2"),
            (lambda: ia.parse_transform("cube"), ValueError, "parse_transform: 'cube': unknown transform, must be one of identity"),
            (lambda: ia.parse_transform("exponential"), ValueError, "T is missing; the syntax is exponential:T"),
            (lambda: ia.parse_transform("exponential:x"), ValueError, "T is 'x', must be a finite number"),
            (lambda: ia.parse_transform(3), TypeError, "incompatible"),
            (lambda: ia.parse_transform("power:2").value(1.5), ValueError, r"Transform.value: u is 1.5, must be in \[0, 1\]"),
            (lambda: ia.parse_transform("power:2").derivative(-1.0), ValueError, "Transform.derivative: u is -1"),
            (lambda: ia.parse_transform("power:2")(math.nan), ValueError, "u is nan, must be in"),
            (lambda: ia.parse_transform("power:2")(np.array([0.5, 1.5])), ValueError, r"in\[1\] is 1.5, must be in \[0, 1\]"),
            (lambda: ia.parse_transform("power:2")([0.5]), TypeError, "u is a list"),
            (lambda: ia.parse_transform("power:2")(np.ones(2), threads=0), ValueError, "threads is 0"),
            (lambda: ia.parse_procedure("best_of:0"), ValueError, "N is 0, must be at least 1; the syntax is best_of:N"),
            (lambda: ia.parse_procedure("order_statistic:3:2"), ValueError, "rank is 3, must be in 1 … 2"),
            (lambda: ia.parse_procedure(3), TypeError, "incompatible"),
            (lambda: ia.parse_procedure("best_of:2").distortion(1.5), ValueError, r"Procedure.distortion: q is 1.5, must be in \[0, 1\]"),
            (lambda: ia.parse_procedure("best_of:2").density(math.nan), ValueError, "Procedure.density: q is nan"),
        ],
    )
    def test_bad_input(self, call, error, says):
        with pytest.raises(error, match=says):
            call()

    def test_procedures(self):
        p = ia.parse_procedure("best_of:4")
        assert (p.name, p.samples_needed) == ("best_of:4", 4)
        assert p.distortion(0.5) == 0.0625 and p.density(0.5) == 0.5
        # P(rank m of n is at most q): at least m of n uniform values are.
        rank = lambda m, n, q: sum(math.comb(n, j) * q**j * (1 - q) ** (n - j) for j in range(m, n + 1))  # noqa: E731
        for name, draws, distortion in [
            ("standard", 1, lambda q: q),
            ("worst_of:3", 3, lambda q: 1 - (1 - q) ** 3),
            ("order_statistic:2:5", 5, lambda q: rank(2, 5, q)),
            ("top_of:2:8", 8, lambda q: (rank(7, 8, q) + rank(8, 8, q)) / 2),
            ("best_of_random:2=0.25,8=0.75", 8, lambda q: q**2 / 4 + 3 * q**8 / 4),
            ("best_of_poisson:3", 1, lambda q: q * math.exp(3 * (q - 1))),
        ]:
            p = ia.parse_procedure(name)
            assert (p.name, p.samples_needed) == (name, draws)
            for q in (0.0, 0.1, 0.6, 0.95, 1.0):
                assert p.distortion(q) == pytest.approx(distortion(q), abs=1e-14)
            for q in (0.1, 0.6, 0.95):
                assert p.density(q) == pytest.approx((distortion(q + 1e-6) - distortion(q - 1e-6)) / 2e-6, rel=1e-7)
            assert pickle.loads(pickle.dumps(p)).name == name
        for syntax, example, summary in ia.procedure_names():
            assert ia.parse_procedure(example).name == example and summary
        for name in ("best_of", "best_of:x", "best_of:4:5", ""):
            with pytest.raises(ValueError, match="parse_procedure"):
                ia.parse_procedure(name)

    def test_best_of_n_has_its_known_kl(self):
        # Best-of-n of the base is the tilt by (n-1)·log u, with KL log n - (n-1)/n; its win rate is n/(n+1).
        section = ia.plan("standard", beta=1 / 3, transforms=["logarithm"]).sections[0]
        point = section["logarithm"].reached
        assert point.kl == pytest.approx(math.log(4) - 3 / 4, abs=1e-9)
        assert point.standard_win_rate == pytest.approx(4 / 5, abs=1e-9)
