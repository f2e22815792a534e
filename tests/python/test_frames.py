# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import infalign as ia


def shuffled(rng, keys, rows=3000, dtype=np.float64):
    ids = np.concatenate([keys, rng.choice(keys, rows - len(keys))])
    rng.shuffle(ids)
    return ids, rng.normal(size=rows).astype(dtype)


def dicts(ids, rewards):
    return {"prompt_id": ids, "reward": rewards}


def pandas_frame(ids, rewards):
    return pytest.importorskip("pandas").DataFrame({"reward": rewards, "other": 1, "prompt_id": ids})


def polars_frame(ids, rewards):
    pytest.importorskip("pyarrow")
    return pytest.importorskip("polars").DataFrame({"reward": rewards, "prompt_id": ids})


def arrow_table(ids, rewards):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"reward": rewards, "prompt_id": ids})
    return pa.concat_tables([table.slice(0, 1000), table.slice(1000)])


@pytest.mark.parametrize("frame", [dicts, pandas_frame, polars_frame, arrow_table])
@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_a_calibrated_column(rng, frame, kind, dtype):
    keys = np.arange(40) * 7 - 3
    if kind == "strings":
        keys = np.array([f"prompt {k}" for k in keys])
    (base_ids, z), (ids, y) = shuffled(rng, keys, dtype=dtype), shuffled(rng, keys, 2000, dtype)
    base = ia.group(frame(base_ids, z))
    rollouts = ia.group(frame(ids, y), like=base)
    assert len(base) == 40 and list(rollouts.keys) == list(base.keys)
    column = rollouts.restore(ia.calibrate(base.values, rollouts.values))
    assert column.dtype == dtype
    for i in (0, 17, 1999):
        own = z[base_ids == ids[i]]
        assert column[i] == dtype((own < y[i]).mean())
    np.testing.assert_array_equal(rollouts.restore(rollouts.values), y)
    per_prompt = rollouts.restore(np.arange(40.0))
    assert per_prompt[17] == list(base.keys).index(ids[17])


def test_whole_numbers_become_float64():
    g = ia.group({"prompt_id": np.array([1, 1]), "reward": np.array([True, False])})
    assert g.values.values.dtype == np.float64 and g.values[0].tolist() == [1, 0]


def test_bad_frames():
    good = dicts(np.array([1, 2]), np.array([1.0, 2.0]))
    base = ia.group(good)
    for call, error, says in [
        (lambda: ia.group(good, by="id"), KeyError, "no column 'id'"),
        (lambda: ia.group(dicts(np.array([1]), np.array([1.0, 2.0]))), ValueError, "2 rows"),
        (lambda: ia.group(dicts(np.array([1, 2]), np.array(["a", "b"]))), TypeError, "must be numbers"),
        (lambda: ia.group(dicts(np.array([1, 3]), np.array([1.0, 2.0])), like=base), ValueError, "prompt .*3.* is not among"),
        (lambda: ia.group(dicts(np.array([1, 1]), np.array([1.0, 2.0])), like=base), ValueError, "prompt .*2.* of like has no row"),
        (lambda: base.restore(np.ones(3)), ValueError, "3 values"),
        (lambda: base.restore(np.ones((2, 2))), ValueError, "values has 2 dimensions, must have 1"),
        (lambda: base.restore(3.0), ValueError, "values has 0 dimensions"),
        (lambda: ia.group([1, 2]), TypeError, "frame is a list, must be a frame of pandas, polars or Arrow"),
        (lambda: ia.group(good, like=good), TypeError, "like is a dict, must be Groups"),
        (lambda: ia.group(good, value="score"), KeyError, "no column 'score', only .*prompt_id"),
        (lambda: ia.group(dicts(np.array([[1, 2]]), np.array([1.0, 2.0]))), ValueError, "prompt_id has 2 dimensions"),
        (lambda: ia.group(dicts(np.array([1, 2]), np.array([[1.0, 2.0]]))), ValueError, "reward has 2 dimensions"),
        (lambda: ia.group(dicts([1, 2], np.array([1.0, 2.0]))), TypeError, "prompt_id is a list"),
    ]:
        with pytest.raises(error, match=says):
            call()


def test_missing_ids_and_rewards():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"prompt_id\[1\] is None"):
        ia.group(pa.table({"prompt_id": ["a", None], "reward": [1.0, 2.0]}))
    with pytest.raises(ValueError, match=r"reward\[1\] is None"):
        ia.group(pa.table({"prompt_id": ["a", "b"], "reward": [1.0, None]}))


@pytest.mark.parametrize("frame", [dicts, pandas_frame, polars_frame, arrow_table])
@pytest.mark.parametrize("what", ["prompt_id", "reward"])
def test_nan_is_refused_with_its_row(rng, frame, what, dtype):
    ids, rewards = rng.integers(0, 9, 3000).astype(np.float64), rng.normal(size=3000).astype(dtype)
    (ids if what == "prompt_id" else rewards)[[1234, 2000]] = np.nan
    with pytest.raises(ValueError, match=rf"{what}\[1234\] is (nan|NaN)"):
        ia.group(frame(ids, rewards))


def test_other_missing_values_of_plain_arrays():
    for ids in (
        np.array(["a", None, "b"], object),
        np.array(["a", np.nan, "b"], object),
        np.array(["2026-01-01", "NaT", "2026-01-02"], "datetime64[D]"),
    ):
        with pytest.raises(ValueError, match=r"prompt_id\[1\] is (None|nan|NaT)"):
            ia.group(dicts(ids, np.ones(3)))
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"reward\[1\] is <NA>"):
        ia.group(pd.DataFrame({"prompt_id": [1, 2], "reward": pd.array([1, None], dtype="Int64")}))
