# SPDX-License-Identifier: Apache-2.0
import math
from statistics import NormalDist

import numpy as np
import pytest

import infalign as ia


def by_numpy(columns, statistic, rng, resamples=40_000, level=0.95):
    """The standard error, and the ends by percentile and by BCa (Efron 1987)."""
    units = columns.shape[1]
    found = np.array([statistic(columns[:, rng.integers(0, units, units)].mean(1)) for _ in range(resamples)])
    value = statistic(columns.mean(1))
    without = np.array([statistic(np.delete(columns, i, axis=1).mean(1)) for i in range(units)])
    d = without.mean() - without
    skew = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    normal = NormalDist()
    z0 = normal.inv_cdf(((found < value).sum() + 0.5 * (found == value).sum()) / resamples)
    tails = [(1 - level) / 2, (1 + level) / 2]
    moved = [normal.cdf(z0 + (z0 + normal.inv_cdf(t)) / (1 - skew * (z0 + normal.inv_cdf(t)))) for t in tails]
    return found.std(ddof=1), np.quantile(found, tails), np.quantile(found, moved)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_ratio_of_skewed_means(rng, interval):
    columns = np.stack([rng.exponential(size=60), 1 + rng.exponential(size=60)])
    ratio = lambda m: m[0] / m[1]  # noqa: E731
    e = ia.bootstrap(columns, ratio, resamples=40_000, seed=3, interval=interval)
    error, *ends = by_numpy(columns, ratio, rng)
    assert e.value == pytest.approx(ratio(columns.mean(1)), rel=1e-14) and e.units == 60
    # Two sets of 40,000 draws: standard errors to 1/sqrt(40,000), ends to sqrt(q·(1 - q)/40,000) over the density there.
    assert e.standard_error == pytest.approx(error, rel=0.025) and abs(e.bias) < 0.1 * error
    np.testing.assert_allclose(e.interval, ends[interval == "bca"], atol=0.08 * error)


def test_of_a_mean(rng):
    x = rng.normal(size=200)
    e = ia.bootstrap(x, resamples=20_000)
    assert e.value == pytest.approx(x.mean(), rel=1e-13)
    assert e.standard_error == pytest.approx(x.std() / math.sqrt(200), rel=0.03)
    same = ia.bootstrap(x, resamples=20_000, threads=3)
    assert same == e and ia.bootstrap(x, resamples=20_000, seed=1) != e
    # The mean as a statistic, over the same draws.
    of_means = ia.bootstrap(x[None, :], lambda m: m[0], resamples=500)
    assert of_means == ia.bootstrap(x, resamples=500)
    wider = ia.bootstrap(x, resamples=500, level=0.99).interval
    assert wider[0] < of_means.interval[0] and wider[1] > of_means.interval[1]


def test_clusters_are_drawn_whole(rng):
    x, of = rng.normal(size=90), np.sort(rng.integers(0, 25, 90))
    ids = np.unique(of)
    sums = np.array([[x[of == c].sum() for c in ids], [(of == c).sum() for c in ids]], float)
    e = ia.bootstrap(x, clusters=of, resamples=400)
    expected = ia.bootstrap(sums, lambda m: m[0] / m[1], resamples=400)
    assert e.units == len(ids)
    error, *ends = by_numpy(sums, lambda m: m[0] / m[1], rng, 10_000)
    drawn = ia.bootstrap(x, clusters=of, resamples=40_000, interval="percentile")
    assert drawn.standard_error == pytest.approx(error, rel=0.05)
    np.testing.assert_allclose(drawn.interval, ends[0], atol=0.15 * error)
    for name in ("value", "standard_error", "bias", "interval"):
        assert getattr(e, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12)


def test_one_prompt_says_nothing_of_its_error():
    e = ia.bootstrap(np.array([3.0]))
    assert (e.value, e.standard_error, e.interval) == (3.0, math.inf, (-math.inf, math.inf))


def test_bad_input(rng):
    x = rng.normal(size=10)
    for call, error, says in [
        (lambda: ia.bootstrap(np.array([])), ValueError, "values is empty"),
        (lambda: ia.bootstrap(x.astype(np.float32)), TypeError, "float32"),
        (lambda: ia.bootstrap(np.array([1.0, np.nan])), ValueError, r"columns\[0\]\[1\] is nan"),
        (lambda: ia.bootstrap(x, resamples=1), ValueError, "resamples is 1"),
        (lambda: ia.bootstrap(x, level=1.0), ValueError, "level is 1"),
        (lambda: ia.bootstrap(x, interval="t"), ValueError, "interval is 't'"),
        (lambda: ia.bootstrap(x, threads=0), ValueError, "threads is 0"),
        (lambda: ia.bootstrap(x, clusters=np.array([1])), ValueError, "clusters"),
        (lambda: ia.bootstrap(x, 3), TypeError, "must be a function"),
        (lambda: ia.bootstrap(x, lambda m: 1.0), ValueError, "1 dimensions"),
        (lambda: ia.bootstrap(x[None, :], lambda m: 1.0, clusters=np.arange(10)), TypeError, "no clusters"),
        (lambda: ia.bootstrap(x[None, :].astype(np.float32), lambda m: 1.0), TypeError, "float64"),
        (lambda: ia.bootstrap(x[None, :], lambda m: "one"), TypeError, "must be real number|float"),
        (lambda: ia.bootstrap(x[None, :], lambda m: np.nan), ValueError, "must be finite"),
        (lambda: ia.bootstrap(x[None, :], lambda m: 1 / 0), ZeroDivisionError, "division"),
    ]:
        with pytest.raises(error, match=says):
            call()


@pytest.mark.parametrize("interval, calls", [("percentile", 101), ("bca", 121)])
def test_progress(rng, capsys, interval, calls):
    columns = rng.normal(size=(2, 20))
    statistic = lambda m: m[0] - m[1]  # noqa: E731
    seen = []
    found = ia.bootstrap(columns, statistic, resamples=100, interval=interval, progress=lambda *at: seen.append(at))
    assert found == ia.bootstrap(columns, statistic, resamples=100, interval=interval)
    assert seen == [(k, calls) for k in range(1, calls + 1)]
    assert ia.bootstrap(columns, statistic, resamples=100, interval=interval, progress=True) == found
    lines = capsys.readouterr().err
    assert lines.endswith(" 0 s left \n") and f"] {calls}/{calls}," in lines and "#" * 40 in lines

    def fails(m):
        if len(seen) > calls + 9:
            raise RuntimeError("enough")
        seen.append(m)
        return 0.0

    with pytest.raises(RuntimeError, match="enough"):
        ia.bootstrap(columns, fails, resamples=100, progress=True)
    assert capsys.readouterr().err.endswith("left \n")
    with pytest.raises(TypeError, match="progress must be True"):
        ia.bootstrap(columns, statistic, progress=3)
    with pytest.raises(TypeError, match="progress is for a statistic"):
        ia.bootstrap(columns[0], progress=True)
