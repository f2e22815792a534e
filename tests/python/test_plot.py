# SPDX-License-Identifier: Apache-2.0
from statistics import NormalDist

import numpy as np
import oracles
import pytest

import infalign as ia

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from infalign import plot  # noqa: E402


def test_a_frontier_has_a_line_for_each_transform():
    table = ia.plan("best_of:4", kl=[0.5, 1.0])
    ax = plot.frontier(table)
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert set(lines) == {r.transform for r in table.sections[0].rows}
    for k, section in enumerate(table.sections):
        point = section["identity"].reached
        assert lines["identity"][k].tolist() == [point.kl, point.inference_win_rate]
    standard = plot.frontier(table, standard=True)
    assert standard.lines[0].get_ydata()[1] == table.sections[1]["optimal"].reached.standard_win_rate


def test_a_calibration_has_its_band(rng):
    z = rng.normal(size=50)
    ax = plot.calibration(z, confidence=0.9)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.sort(z))
    assert ax.lines[0].get_ydata()[-1] == 1
    band = np.sqrt(np.log(2 / 0.1) / 100)
    ys = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert ys.max() == 1 and np.isclose(ys, 0.5 + band).any() and np.isclose(ys, 0.5 - band).any()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.arange(1, 51) / 50)
    plt = matplotlib.pyplot
    plt.close("all")
    for call, error, says in [
        (lambda: plot.calibration(np.ones((2, 2))), ValueError, "rewards of one prompt"),
        (lambda: plot.calibration(np.ones(0)), ValueError, r"references has the shape \(0,\)"),
        (lambda: plot.calibration(np.array([1.0, np.nan])), ValueError, "references holds nan, must be finite"),
        (lambda: plot.calibration([1.0]), TypeError, "references is a list"),
        (lambda: plot.calibration(z, confidence=2), ValueError, "confidence is 2"),
        (lambda: plot.frontier(3), TypeError, "plot.frontier: plan is a int, must be what infalign.plan gives"),
    ]:
        with pytest.raises(error, match=says):
            call()
    assert plt.get_fignums() == []  # no empty figure is left behind


def test_win_rates_against_n(rng):
    y, z = rng.normal(0.5, 1, size=(30, 4)), rng.normal(size=(30, 4))
    ax = plot.win_rates(y, z, (1, 2, 4), label="policy")
    wins = [[oracles.win_rate(y[p], z[p], n, "best", n, "best") for p in range(30)] for n in (1, 2, 4)]
    np.testing.assert_allclose(ax.lines[0].get_ydata(orig=False), np.mean(wins, 1), rtol=1e-12)
    bars = ax.collections[0].get_segments()
    # As if z²/2 values had been seen at either end of [0, 1] (Agresti and Coull), with Student's quantile.
    t, extra = oracles.student_t_quantile(0.975, 29), NormalDist().inv_cdf(0.975) ** 2
    for bar, w in zip(bars, np.array(wins)):
        m = (w.sum() + extra / 2) / (30 + extra)
        half = t * np.sqrt((((w - m) ** 2).sum() + extra / 2 * (m**2 + (1 - m) ** 2)) / (29 + extra) / (30 + extra))
        np.testing.assert_allclose(bar[:, 1], (max(m - half, 0), min(m + half, 1)), rtol=1e-6)
    worst = plot.win_rates(y, z, (2,), best=False, level=0.5)
    assert worst.lines[0].get_ydata(orig=False)[0] == pytest.approx(
        np.mean([oracles.win_rate(y[p], z[p], 2, "worst", 2, "worst") for p in range(30)]), rel=1e-12
    )
    for call, says in [
        (lambda: plot.win_rates(y, z, (8,)), "fewer than the 8"),
        (lambda: plot.win_rates(y, z, ()), "n is empty"),
        (lambda: plot.win_rates(y, z, (0,)), "N is 0"),
        (lambda: plot.win_rates(y, z, (1,), level=2), "level is 2"),
        (lambda: plot.win_rates(y, z[:2], (1,)), "2 groups"),
    ]:
        with pytest.raises(ValueError, match=says):
            call()
