# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import oracles
import pytest

import infalign as ia


def tied(rng, dtype, prompts=7, size=33):
    """Rewards with ties."""
    return rng.integers(0, 9, (prompts, size)).astype(dtype)


@pytest.mark.parametrize("ties, share", [("mid_rank", 0.5), ("below", 0), ("at_or_below", 1)])
def test_calibrate_counts(rng, dtype, ties, share):
    z, y = tied(rng, dtype), tied(rng, dtype, size=5)
    u = ia.calibrate(z, y, ties=ties)
    assert u.dtype == dtype and u.shape == y.shape
    expected = np.array([[oracles.calibrated(z[p], r, share) for r in y[p]] for p in range(len(y))], dtype)
    np.testing.assert_array_equal(u, expected)


def test_randomized_ties_draw_a_share_for_each_reward(rng):
    # u = (below + v·ties)/K: the shares v are uniform on (0, 1), and depend on the seed and the position alone.
    z, y = tied(rng, np.float64, 60, 64), tied(rng, np.float64, 60, 50)
    below, ties = ((op(z[:, None, :], y[:, :, None])).sum(2) for op in (np.less, np.equal))
    assert (ties > 0).mean() > 0.9
    shares = {}
    for seed in (7, 8):
        u = ia.calibrate(z, y, ties=f"randomized:{seed}")
        np.testing.assert_array_equal(u, ia.calibrate(z, y, ties=f"randomized:{seed}"))
        shares[seed] = np.where(ties > 0, (u * 64 - below) / np.maximum(ties, 1), np.nan)
        assert (u[ties == 0] == below[ties == 0] / 64).all()
    seen = shares[7][ties > 0]
    assert 0 < seen.min() and seen.max() < 1
    # Kolmogorov's statistic of n uniform values is below 1.95/√n but once in a thousand.
    n = len(seen)
    assert np.abs(np.sort(seen) - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)
    assert abs(np.corrcoef(seen, shares[8][ties > 0])[0, 1]) < 5 / np.sqrt(n)
    again = np.where(ties > 0, (ia.calibrate(z, z[:, :50], ties="randomized:7") * 64 - (z[:, None, :] < z[:, :50, None]).sum(2)), np.nan)
    own = (z[:, None, :] == z[:, :50, None]).sum(2)
    np.testing.assert_allclose((again / own)[ties > 0], seen, atol=1e-12)


def test_calibrate_ragged_is_calibrate_of_each_prompt(rng, dtype):
    z = [rng.normal(size=k).astype(dtype) for k in (1, 5, 130)]
    y = [rng.normal(size=m).astype(dtype) for m in (4, 0, 7)]
    u = ia.calibrate(ia.Ragged.from_groups(z, dtype), ia.Ragged.from_groups(y, dtype))
    assert isinstance(u, ia.Ragged) and u.values.dtype == dtype
    for p in range(3):
        np.testing.assert_array_equal(u[p], np.array([oracles.calibrated(z[p], r) for r in y[p]], dtype))


def test_rows_go_with_ragged(rng):
    z, y = rng.normal(size=(3, 8)), rng.normal(size=(3, 4))
    ragged = ia.Ragged.from_groups(list(z))
    expected = ia.calibrate(z, y)
    mixed = ia.calibrate(ragged, y)
    assert isinstance(mixed, np.ndarray)
    np.testing.assert_array_equal(mixed, expected)
    np.testing.assert_array_equal(ia.calibrate(z, ia.Ragged.from_groups(list(y))).values, expected.reshape(-1))
    out = np.empty((3, 4))
    assert ia.calibrate(ragged, y, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_weights(rng):
    z, y = tied(rng, np.float64), tied(rng, np.float64, size=5)
    w = rng.uniform(0.5, 2, z.shape)
    expected = [[oracles.calibrated(z[p], r, weights=w[p]) for r in y[p]] for p in range(len(y))]
    np.testing.assert_allclose(ia.calibrate(z, y, weights=w), expected, rtol=1e-12)


def test_leave_one_out(rng):
    z = tied(rng, np.float64)
    expected = [[oracles.calibrated(np.delete(z[p], i), r) for i, r in enumerate(z[p])] for p in range(len(z))]
    np.testing.assert_array_equal(ia.calibrate(z, z, leave_one_out=True), expected)
    np.testing.assert_array_equal(ia.calibrate(None, z, leave_one_out=True), expected)


@pytest.mark.parametrize("name, phi", [("exponential:10", lambda u: np.exp(10 * u)), ("power:2", lambda u: u**2)])
def test_transform_by_name_object_and_function(rng, dtype, name, phi):
    z, y = rng.normal(size=(20, 64)).astype(dtype), rng.normal(size=(20, 8)).astype(dtype)
    u = ia.calibrate(z, y)
    by_name = ia.calibrate(z, y, transform=name)
    np.testing.assert_allclose(by_name, phi(u), rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(ia.calibrate(z, y, transform=ia.parse_transform(name)), by_name)
    range_ = phi(1.0) - phi(0.0)
    by_function = ia.calibrate(z, y, transform=phi)
    assert np.abs(by_function - phi(u.astype(float))).max() <= 1e-6 * range_ + 8 * np.finfo(dtype).eps * phi(1.0)


def test_a_function_of_single_numbers_is_tabulated(rng):
    import math

    z, y = rng.normal(size=(3, 64)), rng.normal(size=(3, 8))
    by_numbers = ia.calibrate(z, y, transform=lambda u: math.expm1(u))
    np.testing.assert_allclose(by_numbers, np.expm1(ia.calibrate(z, y)), atol=2e-6)


@pytest.mark.parametrize(
    "function, says", [(lambda u: -u, "falls"), (lambda u: np.log(u), "must be finite"), (lambda u: u > 0.3, "not enough")]
)
def test_functions_that_are_no_transform(function, says, rng):
    z = rng.normal(size=(2, 4))
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=says):
        ia.calibrate(z, z, transform=function)


def test_out_is_written_and_returned(rng, dtype):
    z, y = rng.normal(size=(4, 9)).astype(dtype), rng.normal(size=(4, 6)).astype(dtype)
    expected = ia.calibrate(z, y)
    wide = np.full((4, 10), -1, dtype)
    out = wide[:, 2:8]  # rows that lie apart
    assert ia.calibrate(z, y, out=out, transform="power:2") is out
    np.testing.assert_array_equal(out, ia.calibrate(z, y, transform="power:2"))
    assert (wide[:, :2] == -1).all() and (wide[:, 8:] == -1).all()
    assert ia.calibrate(z, y, out=y) is y
    np.testing.assert_array_equal(y, expected)


def test_arrays_of_any_strides_are_read(rng):
    z, y = rng.normal(size=(6, 8)), rng.normal(size=(6, 4))
    expected = ia.calibrate(z, y)
    np.testing.assert_array_equal(ia.calibrate(np.asfortranarray(z), y[:, ::-1])[:, ::-1], expected)
    np.testing.assert_array_equal(ia.calibrate(z[::-1], y[::-1])[::-1], expected)
    readonly = z.copy()
    readonly.flags.writeable = False
    np.testing.assert_array_equal(ia.calibrate(readonly, y), expected)


def test_bad_input(rng):
    z, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    bad = y.copy()
    bad[1, 1] = np.nan
    with pytest.raises(ia.Error, match=r"rewards\[1\]\[1\] is nan"):
        ia.calibrate(z, bad)
    for arguments, error, says in [
        ((z, y[:2]), ValueError, "rewards has 2 groups, but references has 3"),
        ((z, y.astype(np.float32)), TypeError, "references is float64, but rewards is float32"),
        ((z.astype(int), y), TypeError, "references is int64"),
        ((z.astype(np.float16), y), TypeError, "references is float16"),
        ((z.astype(">f8"), y), TypeError, "references is >f8"),
        ((z[0], y), ValueError, "1 dimensions"),
        ((z.tolist(), y), TypeError, "list"),
        ((None, y), TypeError, "NoneType"),
        ((z[:, :0], y), ValueError, "at least one reference"),
    ]:
        with pytest.raises(error, match=says):
            ia.calibrate(*arguments)
    for options, error, says in [
        ({"transform": "expo:3"}, ValueError, "unknown transform"),
        ({"transform": 3}, TypeError, "transform"),
        ({"ties": "middle"}, ValueError, "unknown tie rule"),
        ({"threads": 0}, ValueError, "threads is 0"),
        ({"out": np.empty((3, 3))}, ValueError, "out"),
        ({"out": np.empty((3, 2), np.float32)}, TypeError, "out is float32"),
        ({"out": np.empty((2, 3)).T}, ValueError, "not contiguous"),
        ({"weights": -z}, ValueError, "weights"),
        ({"leave_one_out": True}, ValueError, "leave_one_out"),
    ]:
        with pytest.raises(error, match=says):
            ia.calibrate(z, y, **options)
    locked = np.zeros((3, 2))
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ia.calibrate(z, y, out=locked)
    assert (locked == 0).all()


def test_results_do_not_depend_on_threads(rng):
    z, y = rng.normal(size=(3000, 128)), rng.normal(size=(3000, 16))
    one = ia.calibrate(z, y, transform="exponential:5", ties="randomized:7")
    np.testing.assert_array_equal(ia.calibrate(z, y, transform="exponential:5", ties="randomized:7", threads=3), one)


class TestCalibrator:
    def test_asks_as_calibrate_does(self, rng, dtype):
        z, x = tied(rng, dtype), tied(rng, dtype, size=5)
        fitted = ia.Calibrator(z)
        for ties in ("mid_rank", "below", "randomized:3"):
            np.testing.assert_array_equal(fitted.cdf(x, ties=ties), ia.calibrate(z, x, ties=ties))
        for ties, share in (("mid_rank", 0.5), ("below", 0), ("at_or_below", 1)):
            counted = np.array([[oracles.calibrated(z[p], r, share) for r in x[p]] for p in range(7)], dtype)
            np.testing.assert_array_equal(fitted.cdf(x, ties=ties), counted)
            np.testing.assert_allclose(fitted.cdf(x, ties=ties, transform=lambda u: u**2), counted.astype(float) ** 2, atol=2e-6)
        np.testing.assert_array_equal(fitted.cdf(x, transform="power:2"), ia.calibrate(z, x, transform="power:2"))
        u = rng.uniform(0, 1, (7, 5)).astype(dtype)
        expected = np.stack([np.quantile(z[p], u[p], method="inverted_cdf") for p in range(7)])
        np.testing.assert_array_equal(fitted.quantile(u), expected)

    def test_adding_is_fitting_all(self, rng, dtype):
        groups = [tied(rng, dtype, 1, k)[0] for k in (3, 1, 40)]
        more = [tied(rng, dtype, 1, k)[0] for k in (0, 17, 5)]
        fitted = ia.Calibrator(ia.Ragged.from_groups(groups, dtype))
        fitted.add(ia.Ragged.from_groups(more, dtype))
        for p in range(3):
            assert fitted.references[p].tolist() == sorted([*groups[p], *more[p]])
        fitted.remove(ia.Ragged.from_groups(more, dtype))
        for p in range(3):
            assert fitted.references[p].tolist() == sorted(groups[p])

    def test_merging(self, rng):
        a, b = rng.normal(size=(4, 9)), rng.normal(size=(4, 3))
        fitted, other = ia.Calibrator(a), ia.Calibrator(b)
        fitted.merge(other)
        x = rng.normal(size=(4, 6))
        expected = [[oracles.calibrated([*a[p], *b[p]], r) for r in x[p]] for p in range(4)]
        np.testing.assert_array_equal(fitted.cdf(x), expected)
        np.testing.assert_array_equal(fitted.references.values.reshape(4, 12), np.sort(np.hstack([a, b]), 1))
        assert len(other.references.values) == 12

    def test_state(self, rng, dtype):
        fitted = ia.Calibrator(rng.normal(size=(4, 9)).astype(dtype))
        for again in (ia.Calibrator.from_bytes(fitted.to_bytes()), pickle.loads(pickle.dumps(fitted))):
            np.testing.assert_array_equal(again.references.values, fitted.references.values)
            assert again.references.values.dtype == dtype and len(again) == 4
        for state in (b"", b"nothing", fitted.to_bytes()[:-30]):
            with pytest.raises(ValueError, match="no bytes of a calibrator"):
                ia.Calibrator.from_bytes(state)

    def test_bad_input(self, rng):
        fitted = ia.Calibrator(np.array([[1.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
        before = fitted.references.values.copy()
        nan = np.array([[np.nan], [1.0]])
        for call, error, says in [
            (lambda: ia.Calibrator(nan), ValueError, "must be finite"),
            (lambda: ia.Calibrator(np.empty((2, 0))), ValueError, "at least one reference"),
            (lambda: fitted.add(nan), ValueError, "must be finite"),
            (lambda: fitted.add(np.ones((3, 1))), ValueError, "3 groups"),
            (lambda: fitted.add(np.ones((2, 1), np.float32)), TypeError, "float32"),
            (lambda: fitted.remove(np.array([[1.0], [1.0]])), ValueError, "1.0 is no reference of prompt 1"),
            (lambda: fitted.remove(np.array([[1.0] * 3, [3.0, 4.0, 5.0]])), ValueError, "no reference of prompt 0"),
            (lambda: fitted.remove(np.array([[1.0, 1.0, 2.0], [3.0, 4.0, 5.0]])), ValueError, "without a reference"),
            (lambda: fitted.cdf(np.ones((3, 1))), ValueError, "groups"),
            (lambda: fitted.cdf(nan), ValueError, "must be finite"),
            (lambda: fitted.cdf(np.ones((2, 1)), ties="middle"), ValueError, "unknown tie rule"),
            (lambda: fitted.cdf(np.ones((2, 1)), transform="cube"), ValueError, "unknown transform"),
            (lambda: fitted.cdf(np.ones((2, 1), np.float32)), TypeError, "values is float32, but references is float64"),
            (lambda: fitted.quantile(np.array([[0.5], [1.5]])), ValueError, r"Calibrator.quantile: u\[1\]\[0\] is 1.5, must be in \[0, 1\]"),
            (lambda: fitted.quantile(nan), ValueError, r"u\[0\]\[0\] is nan"),
            (lambda: fitted.quantile(np.ones((3, 1))), ValueError, "values has 3 groups, but references has 2"),
            (lambda: fitted.merge(ia.Calibrator(np.ones((3, 1)))), ValueError, "3 groups, but there are 2 prompts"),
            (lambda: fitted.merge(ia.Calibrator(np.ones((2, 1), np.float32))), TypeError, "references is float32, must be float64"),
            (lambda: fitted.merge(np.ones((2, 1))), TypeError, "other is a ndarray, must be a Calibrator"),
            (lambda: fitted.remove(np.ones(2)), ValueError, "1 dimensions, must have 2"),
            (lambda: ia.Calibrator([[1.0]]), TypeError, "references is a list"),
            (lambda: ia.Calibrator.from_bytes(3), ValueError, "no bytes of a calibrator"),
        ]:
            with pytest.raises(error, match=says):
                call()
        np.testing.assert_array_equal(fitted.references.values, before)


def test_errors_of_calibrated_rewards():
    # Wilson's interval of one standard error, half of its width.
    k, u = 50, 0.3
    expected = np.sqrt(u * (1 - u) / k + 1 / (4 * k * k)) / (1 + 1 / k)
    assert ia.calibration_standard_error(u, k) == pytest.approx(expected, rel=1e-14)
    assert ia.calibration_standard_error(np.array([u, 0.0]), k) == pytest.approx([expected, 0.5 / (k + 1)], rel=1e-14)
    assert ia.dkw_band(200, 0.9) == pytest.approx(np.sqrt(np.log(2 / 0.1) / 400), rel=1e-14)
    for call, error, says in [
        (lambda: ia.calibration_standard_error(2.0, 10), ValueError, r"u is 2, must be in \[0, 1\]"),
        (lambda: ia.calibration_standard_error(np.array([0.5, np.nan]), 10), ValueError, "u is nan"),
        (lambda: ia.calibration_standard_error(0.5, 0), ValueError, "references is 0, must be at least 1"),
        (lambda: ia.calibration_standard_error("half", 10), TypeError, "u is a str"),
        (lambda: ia.dkw_band(10, 1.0), ValueError, r"confidence is 1, must be in \(0, 1\)"),
        (lambda: ia.dkw_band(0), ValueError, "references is 0, must be at least 1"),
    ]:
        with pytest.raises(error, match=says):
            call()


def test_a_band_holds_the_whole_curve(rng):
    # Massart: at least 90 % of the time; three standard errors of 2,000 tries are 2 %.
    z = np.sort(rng.uniform(size=(2000, 40)), 1)
    steps = np.arange(41) / 40
    off = np.maximum(np.abs(z - steps[1:]), np.abs(z - steps[:-1])).max(1)
    held = (off <= ia.dkw_band(40, 0.9)).mean()
    assert 0.88 < held < 0.96
