# SPDX-License-Identifier: Apache-2.0
"""Rewards of a data frame, grouped by prompt without a loop in Python."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from . import _core
from ._arrays import Ragged, to_numpy

__all__ = ["Groups", "group"]


class Groups:
    """The values of a frame by prompt, and the way back to its rows: the prompts are ``keys``, in the order of the groups of ``values``,
    and ``order`` has the row of each value."""

    __slots__ = ("keys", "values", "order")

    def __init__(self, keys: np.ndarray, values: Ragged, order: np.ndarray) -> None:
        #: the prompts, in the order of the groups
        self.keys = keys
        #: their values
        self.values = values
        #: the row that each value came from
        self.order = order

    def __len__(self) -> int:
        return len(self.keys)

    def restore(self, values: Any) -> np.ndarray:
        """One value a row in the order of the frame: from values in the order of the groups, or from one value a prompt."""
        flat = values.values if isinstance(values, Ragged) else np.asarray(values)
        if flat.ndim != 1:
            raise ValueError(f"restore: values has {flat.ndim} dimensions, must have 1 or be Ragged")
        if len(flat) == len(self) and not isinstance(values, Ragged):
            flat = np.repeat(flat, self.values.sizes)
        if len(flat) != len(self.order):
            raise ValueError(f"restore: there are {len(flat)} values, but {len(self.order)} rows and {len(self)} prompts")
        out = np.empty(len(flat), flat.dtype)
        out[self.order] = flat
        return out

    def __repr__(self) -> str:
        return f"Groups({len(self)} prompts, {len(self.order)} rows)"


def group(frame: Any, by: str = "prompt_id", value: str = "reward", *, like: Optional[Groups] = None) -> Groups:
    """The rewards of a frame of pandas, polars or Arrow, or of a dict of arrays, by prompt: rows may come in any order.

    ``like``: the groups of another frame, whose prompts and order these take; every prompt of either must be in the other. So the
    references of a prompt meet its rollouts:

    >>> base = group({"prompt_id": np.array([7, 3, 7]), "reward": np.array([1.0, 2.0, 3.0])})
    >>> rollouts = group({"prompt_id": np.array([3, 7]), "reward": np.array([5.0, 2.0])}, like=base)
    >>> from infalign import calibrate
    >>> rollouts.restore(calibrate(base.values, rollouts.values))
    array([1. , 0.5])

    Rows keep their order within a prompt. Rewards of float32 or float64; whole numbers and booleans become float64, which is exact up
    to 2⁵³. Errors: ``KeyError`` for a missing column; ``ValueError`` for an id or a reward that is missing or NaN, with its row, and for
    a prompt that the other frame lacks; ``TypeError``.
    """
    if like is not None and not isinstance(like, Groups):
        raise TypeError(f"group: like is a {type(like).__name__}, must be Groups of another frame")
    codes, keys = _factorize(_column(frame, by), by)
    values = _rewards(_column(frame, value), value)
    if len(values) != len(codes):
        raise ValueError(f"group: {value} has {len(values)} rows, but {by} has {len(codes)}")
    if like is not None:
        codes, keys = _aligned(codes, keys, like.keys), like.keys
    offsets, order = _core.group_rows(codes, len(keys))
    return Groups(keys, Ragged._over(values[order], offsets), order)


def _column(frame: Any, name: str) -> Any:
    names = getattr(frame, "column_names", None)
    if names is None:
        names = getattr(frame, "columns", None)
    if names is None and not hasattr(frame, "keys"):
        raise TypeError(f"group: frame is a {type(frame).__name__}, must be a frame of pandas, polars or Arrow, or a dict of arrays")
    if names is None:
        names = frame.keys()
    if name not in list(names):
        raise KeyError(f"group: there is no column {name!r}, only {[str(n) for n in names]}")
    return frame[name]


def _factorize(column: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's prompt, and the prompts in the order in which they are first seen (sorted, for plain arrays)."""
    if type(column).__module__.startswith("pandas"):
        import pandas

        codes, keys = pandas.factorize(column)
        keys = np.asarray(keys)
    elif type(column).__module__.startswith(("polars", "pyarrow")):
        if type(column).__module__.startswith("polars"):
            column = column.to_arrow()
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
        encoded = column.dictionary_encode()
        if hasattr(encoded, "chunk"):
            encoded = encoded.combine_chunks()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        keys = encoded.dictionary.to_numpy(zero_copy_only=False)
        codes = _without_nan(codes, keys)
    else:
        ids = _of_one_dimension(to_numpy(column, name), name)
        _expect_all(ids, _is_missing(ids), name, "an id")
        keys, codes = np.unique(ids, return_inverse=True)
    codes = np.ascontiguousarray(codes, np.int64).reshape(-1)
    _expect_all(column, codes < 0, name, "an id")
    return codes, keys


def _of_one_dimension(values: np.ndarray, name: str) -> np.ndarray:
    if values.ndim != 1:
        raise ValueError(f"group: {name} has {values.ndim} dimensions, must have 1")
    return values


def _is_missing(values: np.ndarray) -> np.ndarray:
    """Where an array has NaN, NaT or None."""
    if values.dtype.kind == "O":
        return np.array([v is None or v != v for v in values], bool)
    return values != values if values.dtype.kind in "fcmM" else np.zeros(values.shape, bool)


def _without_nan(codes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Codes with -1 for a key that is NaN, which Arrow does not count as missing."""
    bad = np.flatnonzero(_is_missing(keys))
    return np.where(np.isin(codes, bad), -1, codes) if len(bad) else codes


def _expect_all(column: Any, missing: np.ndarray, name: str, what: str) -> None:
    if missing.any():
        row = int(np.argmax(missing))
        value = column.iloc[row] if hasattr(column, "iloc") else column[row]
        raise ValueError(f"group: {name}[{row}] is {value}, every row must have {what}")


def _rewards(column: Any, name: str) -> np.ndarray:
    module = type(column).__module__
    if module.startswith("pyarrow"):
        if column.null_count:
            _expect_all(column, column.is_null().to_numpy(zero_copy_only=False), name, "a reward")
        values = column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)
    elif module.startswith(("pandas", "polars")):
        null = np.asarray(column.isna() if module.startswith("pandas") else column.is_null())
        _expect_all(column, null, name, "a reward")
        values = column.to_numpy()
    else:
        values = _of_one_dimension(to_numpy(column, name), name)
    if values.dtype.kind in "biu":
        values = values.astype(np.float64)
    if values.dtype not in (np.float32, np.float64):
        raise TypeError(f"group: {name} is {values.dtype}, must be numbers")
    _expect_all(values, np.isnan(values), name, "a reward")
    return values


def _aligned(codes: np.ndarray, keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The same rows, by the places of their prompts in `wanted`."""
    if len(keys) != len(wanted) or not np.array_equal(keys, wanted):
        order = np.argsort(wanted, kind="stable")
        places = np.searchsorted(wanted, keys, sorter=order)
        known = places < len(wanted)
        places = order[np.minimum(places, len(wanted) - 1)] if len(wanted) else places
        known &= wanted[places] == keys if len(wanted) else False
        if not known.all():
            raise ValueError(f"group: prompt {keys[np.flatnonzero(~known)[0]]!r} is not among those of like")
        if len(keys) < len(wanted):
            seen = np.zeros(len(wanted), bool)
            seen[places] = True
            raise ValueError(f"group: prompt {wanted[np.flatnonzero(~seen)[0]]!r} of like has no row")
        codes = places[codes]
    return np.ascontiguousarray(codes, np.int64)
