# SPDX-License-Identifier: Apache-2.0
import numpy as np
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
    with pytest.raises(ValueError, match="rewards of one prompt"):
        plot.calibration(np.ones((2, 2)))


def test_win_rates_against_n(rng):
    y, z = rng.normal(0.5, 1, size=(30, 4)), rng.normal(size=(30, 4))
    ax = plot.win_rates(y, z, (1, 2, 4), label="policy")
    expected = [ia.win_rate(y, z, f"best_of:{n}").mean() for n in (1, 2, 4)]
    np.testing.assert_allclose(ax.lines[0].get_ydata(orig=False), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="fewer than the 8"):
        plot.win_rates(y, z, (8,))
