# SPDX-License-Identifier: Apache-2.0
"""Calibration: the quantile of a reward under the base policy of its prompt."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from . import _core
from ._arrays import Ragged, equal_offsets, to_numpy
from ._names import TransformLike, as_transform

_plain = _core.calibrate


def calibrate(
    references: Any,
    rewards: Any,
    *,
    transform: TransformLike = "identity",
    ties: str = "mid_rank",
    weights: Any = None,
    leave_one_out: bool = False,
    out: Any = None,
    threads: int = 1,
) -> Any:
    """Calibrated rewards, and their transform: ``Φ((#{z < y} + ½·#{z = y}) / K)`` for each reward y of a prompt with K references z.

    Parameters
    ----------
    references : (P, K) array or Ragged of P groups
        Rewards of base samples, K ≥ 1 a prompt, of float32 or float64.
    rewards : (P, M) array or Ragged of P groups
        Rewards of rollouts, of the type of ``references``.
    transform : name, Transform or function
        ``"identity"``, ``"exponential:10"`` … (``transform_names()``); a function is tabulated to 1e-6 of its range.
    ties : ``"mid_rank"`` (½), ``"below"`` (0), ``"at_or_below"`` (1) or ``"randomized:SEED"``
        What share of a reference counts that equals the reward.
    weights : of the shape of ``references``
        ``π₀/q``, where references were drawn from another policy q.
    leave_one_out : bool
        ``rewards`` are their own references, each compared with the others of its prompt. ``references`` is None or ``rewards``.
    out : of the shape and type of ``rewards``
        Written and returned instead of a new array; it may be ``rewards``.

    Returns values in [0, 1] before the transform, of the shape, type and kind of ``rewards``.

    >>> calibrate(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[2.0, 2.5]]))
    array([[0.375, 0.5  ]])
    """
    if transform.__class__ is not str:
        transform = as_transform(transform)
    return _plain(references, rewards, transform, ties, weights, leave_one_out, out, threads)


def calibration_standard_error(u: Any, references: int) -> Any:
    """The standard error of calibrated rewards ``u`` from ``references`` references (Wilson); an upper bound where there are ties."""
    values = np.asarray(to_numpy(u, "u") if not isinstance(u, (int, float)) else u, np.float64)
    errors = _core.standard_error(values.reshape(-1), references).reshape(values.shape)
    return errors if values.ndim else float(errors)


def dkw_band(references: int, confidence: float = 0.95) -> float:
    """Half the width of the band around an empirical CDF that holds the whole true CDF with a probability of ``confidence``."""
    return _core.dkw_band(references, confidence)


class Calibrator:
    """The references of P prompts, sorted once, to be asked many times and added to.

    >>> fitted = Calibrator(np.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> fitted.cdf(np.array([[2.5]])), fitted.quantile(np.array([[0.5]]))
    (array([[0.5]]), array([[2.]]))
    """

    __slots__ = ("_sorted",)

    def __init__(self, references: Any) -> None:
        """``references``: a (P, K) array or Ragged of P groups, K ≥ 1. Cost: O(K log K) a prompt."""
        self._sorted = _ragged(_core.sorted(references))

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def references(self) -> Ragged:
        """The sorted references."""
        return self._sorted

    def cdf(self, rewards: Any, *, transform: TransformLike = "identity", ties: str = "mid_rank") -> Any:
        """Calibrated rewards, as ``calibrate`` gives them to the bit. O(log K) each."""
        u = _core.look_up(self._sorted, rewards, ties, False)
        if transform.__class__ is str and transform == "identity":
            return u
        phi = as_transform(transform)
        return (_core.parse_transform(phi) if isinstance(phi, str) else phi)(u)

    def quantile(self, u: Any) -> Any:
        """For each ``u`` in [0, 1] the smallest reference z with ``#{z' <= z} / K >= u``."""
        return _core.look_up(self._sorted, u, "mid_rank", True)

    def add(self, references: Any) -> None:
        """Inserts references of every prompt: as if they had been given at first. Groups may be empty. Cost: O(all references)."""
        more = self._checked(references, "references")
        old = self._sorted
        offsets = old.offsets + more.offsets
        values = np.empty(len(old.values) + len(more.values), old.values.dtype)
        groups = np.repeat(np.arange(len(more)), more.sizes)
        order = np.lexsort((more.values, groups))
        new = more.values[order]
        # Where each new value goes: behind the old ones of its prompt that are not larger.
        places = _ranks(old, new, groups) + np.arange(len(new))
        kept = np.ones(len(values), bool)
        kept[places] = False
        values[places], values[kept] = new, old.values
        self._sorted = Ragged._over(values, offsets)

    def remove(self, references: Any) -> None:
        """Takes references out, each of which must be there: those that leave a window of the latest.

        Errors: ``ValueError`` for a reference that is not there, and if a prompt would be left without one; then nothing is changed.
        """
        gone = self._checked(references, "references")
        old = self._sorted
        groups = np.repeat(np.arange(len(gone)), gone.sizes)
        order = np.lexsort((gone.values, groups))
        values = gone.values[order]
        last = _ranks(old, values, groups) - 1  # the last that equals the value, if there is one
        # The n-th of several equal values takes the n-th from the end.
        at = np.arange(len(values))
        begins = np.ones(len(values), bool)
        begins[1:] = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
        places = last - (at - np.maximum.accumulate(np.where(begins, at, 0)))
        found = (places >= old.offsets[groups]) & (old.values[np.maximum(places, 0)] == values)
        if not found.all():
            i = int(np.flatnonzero(~found)[0])
            raise ValueError(f"Calibrator.remove: {values[i]} is no reference of prompt {groups[i]}")
        offsets = old.offsets - gone.offsets
        empty = np.flatnonzero(np.diff(offsets) == 0)
        if len(empty):
            raise ValueError(f"Calibrator.remove: prompt {empty[0]} would be left without a reference")
        kept = np.ones(len(old.values), bool)
        kept[places] = False
        self._sorted = Ragged._over(old.values[kept], offsets)

    def merge(self, other: Calibrator) -> None:
        """Adds the references of another calibrator of the same prompts."""
        if not isinstance(other, Calibrator):
            raise TypeError(f"Calibrator.merge: other is a {type(other).__name__}, must be a Calibrator: add takes references")
        self.add(other._sorted)

    def to_bytes(self) -> bytes:
        """The state, to be stored or sent; ``from_bytes`` reads it. NumPy's own format, without pickles."""
        file = io.BytesIO()
        np.savez(file, values=self._sorted.values, offsets=self._sorted.offsets)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, state: bytes) -> Calibrator:
        """Errors: ``ValueError`` for bytes that are no state."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
                stored = Ragged(arrays["values"], arrays["offsets"])
        except Exception as error:  # zipfile has errors of its own
            raise ValueError(f"Calibrator.from_bytes: these are no bytes of a calibrator: {error}") from error
        return cls(stored)

    def __reduce__(self) -> tuple:
        return (Calibrator, (self._sorted,))

    def __repr__(self) -> str:
        return f"Calibrator({len(self)} prompts, {len(self._sorted.values)} references of {self._sorted.values.dtype})"

    def _checked(self, references: Any, name: str) -> Ragged:
        more = _ragged(references)
        if len(more) != len(self):
            raise ValueError(f"Calibrator: {name} has {len(more)} groups, but there are {len(self)} prompts")
        if more.values.dtype != self._sorted.values.dtype:
            raise TypeError(f"Calibrator: {name} is {more.values.dtype}, must be {self._sorted.values.dtype}")
        bad = np.flatnonzero(~np.isfinite(more.values))
        if len(bad):
            raise ValueError(f"Calibrator: {name} holds {more.values[bad[0]]}, must be finite")
        return more


def _ragged(groups: Any) -> Ragged:
    if isinstance(groups, Ragged):
        return groups
    rows = np.ascontiguousarray(to_numpy(groups, "references"))
    if rows.ndim != 2:
        raise ValueError(f"Calibrator: references has {rows.ndim} dimensions, must have 2")
    return Ragged(rows.reshape(-1), equal_offsets(*rows.shape))


def _ranks(among: Ragged, values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """For each value, which are in ascending order in each group, the place behind the values of its group that are not larger."""
    low, high = among.offsets[groups].copy(), among.offsets[groups + 1].copy()
    while (low < high).any():
        middle = (low + high) // 2
        open_ = low < high
        right = open_ & (among.values[np.minimum(middle, len(among.values) - 1)] <= values)
        low = np.where(right, middle + 1, low)
        high = np.where(open_ & ~right, middle, high)
    return low
