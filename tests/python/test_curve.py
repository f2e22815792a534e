# SPDX-License-Identifier: Apache-2.0
import numpy as np
import oracles
import pytest

import infalign as ia


def rewards(rng, dtype):
    return rng.integers(0, 5, (4, 6)).astype(dtype), rng.integers(0, 5, (4, 5)).astype(dtype)


@pytest.mark.parametrize("kind", ["best", "worst"])
@pytest.mark.parametrize("base_serves", ["same", "one_sample"])
def test_every_column_is_the_mean_over_subsets(rng, dtype, kind, base_serves):
    y, z = rewards(rng, dtype)
    wins = ia.win_rate_curve(y, z, 5, served=kind, base_serves=base_serves)
    assert wins.shape == (4, 5) and wins.dtype == np.float64
    one = base_serves == "one_sample"
    expected = [[oracles.win_rate(y[p], z[p], n, kind, 1 if one else n, kind) for n in range(1, 6)] for p in range(4)]
    np.testing.assert_allclose(wins, expected, rtol=1e-12, atol=1e-14)
    served = ia.expected_reward_curve(y, 6, served=kind)
    expected = [[oracles.expected_reward(row, n, kind) for n in range(1, 7)] for row in y.astype(float)]
    np.testing.assert_allclose(served, expected, rtol=1e-12, atol=1e-14)


def test_ragged_threads_and_out(rng, dtype):
    y, z = rewards(rng, dtype)
    expected = ia.win_rate_curve(y, z, 3)
    ragged = [ia.Ragged.from_groups(list(x), dtype) for x in (y, z)]
    for pair in (ragged, (ragged[0], z)):
        np.testing.assert_allclose(ia.win_rate_curve(*pair, 3, threads=2), expected, rtol=1e-13)
    wide = np.full((4, 7), -1.0)
    out = wide[:, 2:5]
    assert ia.win_rate_curve(y, z, 3, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert (wide[:, :2] == -1).all() and (wide[:, 5:] == -1).all()
    assert ia.expected_reward_curve(y, 3, out=out) is out
    np.testing.assert_array_equal(out, ia.expected_reward_curve(ragged[0], 3))


def test_pass_at_n(rng):
    passed = rng.integers(0, 2, (8, 10)).astype(np.float64)
    curve = ia.expected_reward_curve(passed, 10)
    for n in (1, 4, 10):
        np.testing.assert_allclose(curve[:, n - 1], ia.pass_at_k(10, passed.sum(1).astype(int), n), rtol=1e-12, atol=1e-15)


def test_tensors_come_back():
    torch = pytest.importorskip("torch")
    y, z = torch.rand(3, 8), torch.rand(3, 8)
    assert isinstance(ia.win_rate_curve(y, z, 4), torch.Tensor) and isinstance(ia.expected_reward_curve(y, 4), torch.Tensor)


def test_bad_input(rng):
    y, z = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    for call, error, says in [
        (lambda: ia.win_rate_curve(y, z, 5), ValueError, "fewer than the 5"),
        (lambda: ia.win_rate_curve(y, z[:, :2], 3), ValueError, "fewer than the 3"),
        (lambda: ia.win_rate_curve(y, z, 0), ValueError, "n is 0"),
        (lambda: ia.expected_reward_curve(y, -1), ValueError, "n is -1"),
        (lambda: ia.expected_reward_curve(y, 2.0), TypeError, "incompatible"),
        (lambda: ia.win_rate_curve(y, z, 2, served="top"), ValueError, "served is 'top', must be best or worst"),
        (lambda: ia.win_rate_curve(y, z, 2, base_serves="none"), ValueError, "base_serves is 'none'"),
        (lambda: ia.win_rate_curve(y, z.astype(np.float32), 2), TypeError, "float32"),
        (lambda: ia.win_rate_curve(y, z[:2], 2), ValueError, "2 groups"),
        (lambda: ia.win_rate_curve(y * np.nan, z, 2), ValueError, "must be finite"),
        (lambda: ia.win_rate_curve(y, z, 2, out=np.empty((3, 3))), ValueError, r"out must have the shape \(3, 2\)"),
        (lambda: ia.win_rate_curve(y, z, 2, out=np.empty((2, 2))), ValueError, r"out must have the shape \(3, 2\)"),
        (lambda: ia.win_rate_curve(y, z, 2, out=np.empty((3, 2), np.float32)), TypeError, "out is float32"),
        (lambda: ia.win_rate_curve(y, z, 2, out=np.empty((2, 3)).T), ValueError, "not contiguous"),
        (lambda: ia.win_rate_curve(y, z, 2, out=y[:, :2]), ValueError, "out"),
    ]:
        with pytest.raises(error, match=says):
            call()
