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
    with pytest.raises(IndexError):
        r[3]
    for values, offsets, error in [
        ([0.1], [0, 1], TypeError),
        (np.array([1]), np.array([0, 1]), TypeError),
        (np.array([1.0]), np.array([0, 1], np.int32), TypeError),
        (np.array([1.0]), np.array([1, 1]), ValueError),
        (np.array([1.0]), np.array([0, 2]), ValueError),
        (np.array([1.0]), np.array([0, 1, 0, 1]), ValueError),
        (np.array([[1.0]]), np.array([0, 1]), ValueError),
    ]:
        with pytest.raises(error):
            ia.Ragged(values, offsets)


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
