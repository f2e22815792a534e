# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest

import infalign as ia


def test_ragged():
    r = ia.Ragged(np.array([0.1, 0.2, 0.9]), np.array([0, 2, 2, 3]))
    assert len(r) == 3 and r.sizes.tolist() == [2, 0, 1] and [g.tolist() for g in r] == [[0.1, 0.2], [], [0.9]]
    assert r[-1].tolist() == [0.9] and np.shares_memory(r[0], r.values)
    again = pickle.loads(pickle.dumps(r))
    assert again.values.tolist() == r.values.tolist() and again.offsets.tolist() == r.offsets.tolist()
    for place in (3, -4):
        with pytest.raises(IndexError, match=f"group {place} of 3"):
            r[place]
    made = ia.Ragged.from_groups([[0.1, 0.2], [], [0.9]], np.float32)
    assert made.values.dtype == np.float32 and made.offsets.tolist() == r.offsets.tolist()
    assert made.values.tolist() == np.float32([0.1, 0.2, 0.9]).tolist() and len(ia.Ragged.from_groups([])) == 0
    for values, offsets, error, says in [
        ([0.1], [0, 1], TypeError, "values is a list"),
        (np.array([1]), np.array([0, 1]), TypeError, "Ragged: values is int64, must be float32 or float64"),
        (np.array([1.0]), np.array([0, 1], np.int32), TypeError, "Ragged: offsets is int32, must be int64"),
        (np.array([1.0]), np.array([1, 1]), ValueError, "offsets must begin with 0 and end with the number of values, 1; they are 1 … 1"),
        (np.array([1.0]), np.array([0, 2]), ValueError, "they are 0 … 2"),
        (np.array([1.0]), np.array([0, 1, 0, 1]), ValueError, r"offsets\[2\] is 0, less than the offset before it, 1"),
        (np.array([[1.0]]), np.array([0, 1]), ValueError, "must have one dimension"),
        (np.array([1.0]), np.array([], np.int64), ValueError, "at least one entry"),
    ]:
        with pytest.raises(error, match=says):
            ia.Ragged(values, offsets)
    for groups, dtype, error, says in [
        ([[[1.0]]], np.float64, ValueError, "one dimension"),
        ([[1]], int, TypeError, "values is int64"),
        ([["a"]], np.float64, ValueError, "could not convert"),
        (3, np.float64, TypeError, "not iterable"),
    ]:
        with pytest.raises(error, match=says):
            ia.Ragged.from_groups(groups, dtype)


INT = np.int64


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"offsets": np.array([0, 2, 9], INT)}, ValueError, "offsets must begin with 0 and end with the number of values, 4"),
        ({"offsets": np.array([-3, 2, 4], INT)}, ValueError, "must begin with 0"),
        ({"offsets": np.array([], INT)}, ValueError, "must begin with 0"),
        ({"offsets": np.array([0, 9, 4], INT)}, ValueError, r"offsets\[2\] is 4, less than the offset before it, 9"),
        ({"offsets": np.array([0, 2, 4], np.int32)}, TypeError, "offsets is int32, must be int64"),
        ({"offsets": np.array([0.0, 2.0, 4.0])}, TypeError, "offsets is float64, must be int64"),
        ({"offsets": np.array([[0, 2, 4]], INT)}, ValueError, "offsets must have one dimension"),
        ({"offsets": np.array([0, 9, 2, 9, 4], INT)[::2]}, ValueError, "offsets is not contiguous"),
        ({"offsets": np.array(0, INT)}, ValueError, "offsets must have one dimension"),
        ({"offsets": [0, 2, 4]}, TypeError, "list"),
        ({"values": np.zeros(3)}, ValueError, "end with the number of values, 3"),
        ({"values": np.zeros(8)[::2]}, ValueError, "values is not contiguous"),
        ({"values": np.zeros((2, 2))}, ValueError, "values must have one dimension"),
        ({"values": np.array(1.0)}, ValueError, "values must have one dimension"),
        ({"values": np.zeros(4, INT)}, TypeError, "values is int64"),
        ({"values": [0.0] * 4}, TypeError, "list"),
    ],
)
def test_ragged_that_was_changed_is_checked_again(change, error, says):
    def changed():
        r = ia.Ragged(np.arange(4.0), np.array([0, 2, 4]))
        for name, value in change.items():
            setattr(r, name, value)
        return r

    good = ia.Ragged(np.arange(4.0), np.array([0, 2, 4]))
    for call in [
        lambda: ia.calibrate(good, changed()),
        lambda: ia.calibrate(changed(), good),
        lambda: ia.calibrate(good, good, out=changed()),
        lambda: ia.win_rate(good, changed()),
        lambda: ia.expected_reward(changed()),
        lambda: ia.preferences(changed()),
        lambda: ia.select(changed()),
        lambda: ia.evaluate(changed(), "identity", 1.0),
        lambda: ia.advantage("rloo", changed()),
        lambda: ia.Calibrator(changed()),
        lambda: ia.Calibrator(good).cdf(changed()),
    ]:
        with pytest.raises(error, match=says):
            call()


def test_offsets_that_were_written_to_are_checked_again():
    r = ia.Ragged(np.arange(4.0), np.array([0, 2, 4]))
    fitted = ia.Calibrator(r)
    r.offsets[1] = 1 << 40
    with pytest.raises(ValueError, match="less than the offset before it"):
        ia.expected_reward(r)
    with pytest.raises(ValueError, match="offsets"):
        fitted.cdf(np.zeros((2, 1)))
