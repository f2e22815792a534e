# SPDX-License-Identifier: Apache-2.0
"""Transforms and procedures: by name, as objects, or as a function of yours."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from . import _core
from ._arrays import Ragged, like, to_numpy
from ._core import Procedure, Transform

TransformLike = Union[str, Transform, Callable[[Any], Any]]
ProcedureLike = Union[str, Procedure]


def parse_transform(name: str) -> Transform:
    """The transform that a name says, ``"exponential:10"`` for example. ``ValueError`` with what is wrong in it."""
    return _core.parse_transform(name)


def parse_procedure(name: str) -> Procedure:
    """The procedure that a name says, ``"best_of:4"`` for example. ``ValueError`` with what is wrong in it."""
    return _core.parse_procedure(name)


def tabulated(u: Sequence[float], values: Sequence[float], slopes: Optional[Sequence[float]] = None) -> Transform:
    """The increasing transform through the points ``(u[i], values[i])``, by the monotone cubic of Fritsch and Carlson.

    ``u`` increases strictly from 0 to 1, ``values`` do not decrease, ``slopes`` are those at the points where they are known; with
    slopes values may fall, and the cubic is then the one with these slopes.

    >>> tabulated([0, 0.5, 1], [0, 0.25, 1]).value(0.5)
    0.25
    """
    as_list = lambda x: [float(v) for v in x]  # noqa: E731
    return _core.tabulated(as_list(u), as_list(values), None if slopes is None else as_list(slopes))


def tabulate(function: Callable[[Any], Any], tolerance: float = 1e-6, most: int = 4097) -> Transform:
    """A table of ``function``, which is increasing on [0, 1]: intervals are halved until the cubic is right at their middles.

    The error there is at most ``tolerance * (function(1) - function(0))``. A function that takes arrays is called with arrays, any other
    point by point. Errors: ``ValueError`` if a value is not finite, if the function falls, or if ``most`` points are not enough.
    """

    def values_at(u: np.ndarray) -> np.ndarray:
        try:
            y = np.asarray(function(u), float)
        except (TypeError, ValueError):
            y = None
        if y is None or y.shape != u.shape:
            y = np.array([float(function(float(x))) for x in u])
        bad = np.flatnonzero(~np.isfinite(y))
        if len(bad):
            raise ValueError(f"transform: the function is {y[bad[0]]} at u = {u[bad[0]]}, must be finite on [0, 1]: clamp it")
        return y

    u = np.linspace(0, 1, 17)
    y = values_at(u)
    while True:
        falls = np.flatnonzero(np.diff(y) < 0)
        if len(falls):
            i = falls[0]
            raise ValueError(f"transform: the function falls from {y[i]} at u = {u[i]} to {y[i + 1]} at u = {u[i + 1]}")
        table = tabulated(u, y)
        middle = (u[1:] + u[:-1]) / 2
        exact = values_at(middle)
        error = np.abs(_core.apply(table, middle[None, :], 1)[0] - exact)
        if not (error > tolerance * (y[-1] - y[0])).any():
            return table
        if 2 * len(u) - 1 > most:
            worst = int(np.argmax(error))
            raise ValueError(
                f"transform: {len(u)} points of the function are not enough, the error at u = {middle[worst]} is {error[worst]}"
            )
        # Halving all of them keeps the slopes, which are made of neighbouring secants, of second order.
        merged = np.empty(2 * len(u) - 1)
        merged[::2], merged[1::2] = u, middle
        values = np.empty_like(merged)
        values[::2], values[1::2] = y, exact
        u, y = merged, values


def as_transform(transform: TransformLike) -> Any:
    """What `_core` takes: a name or a Transform. A function becomes a table."""
    if isinstance(transform, (str, Transform)) or not callable(transform):
        return transform
    if isinstance(transform, _core.OptimalTransform):
        return transform.table()
    return tabulate(transform)


def _apply(self: Transform, u: Any, *, threads: int = 1) -> Any:
    """``Φ(u)`` of a number, or of an array of float32 or float64 of any shape, or Ragged, with values in [0, 1]."""
    if isinstance(u, (int, float)):
        return self.value(float(u))
    if isinstance(u, Ragged):
        return Ragged._over(_apply(self, u.values, threads=threads), u.offsets)
    array = to_numpy(u, "u")
    values = _core.apply(self, np.ascontiguousarray(array).reshape(1, -1), threads).reshape(array.shape)
    return values if array is u else like(u, values)


def _reduce_transform(self: Transform) -> tuple:
    state = self._state()
    return (parse_transform, state) if len(state) == 1 else (tabulated, state)


Transform.__doc__ = """A transform Φ of calibrated rewards. It is called with a number or an array of them, all in [0, 1].

``value(u)`` and ``derivative(u)`` are of one number, ``kinks()`` where the derivative or the curvature jumps, and ``name`` is what
``parse_transform`` reads, but for a table. It is pickled."""
Procedure.__doc__ = """What is run at inference to serve one of several samples: if rewards of the policy have the CDF F, those served have G(F).

``distortion(q)`` is G and ``density(q)`` its derivative, for q in [0, 1]; ``samples_needed`` is how many samples a prompt must have for an
estimate, and ``name`` what ``parse_procedure`` reads. It is pickled."""
Transform.__call__ = _apply
Transform.__reduce__ = _reduce_transform
Transform.__repr__ = lambda self: f"<Transform {self.name}>"
Procedure.__reduce__ = lambda self: (parse_procedure, (self.name,))
Procedure.__repr__ = lambda self: f"<Procedure {self.name}>"


def transform_names() -> list[tuple[str, str, str]]:
    """What ``parse_transform`` reads: syntax, example and a line of explanation of each."""
    return _core.transform_names()


def procedure_names() -> list[tuple[str, str, str]]:
    """What ``parse_procedure`` reads: syntax, example and a line of explanation of each."""
    return _core.procedure_names()
