# SPDX-License-Identifier: Apache-2.0
"""Scores of many policies from judgments of pairs."""

from __future__ import annotations

from typing import Any, Hashable

import numpy as np

from . import _core
from ._core import Estimate
from ._evaluation import _doubles, _whole_or_none


class Ranking:
    """What ``rank`` gives. ``names`` are the policies, the best first, as they were in its arguments; ``KeyError`` for another."""

    __slots__ = ("names", "_fit", "_places")

    def __init__(self, names: list, fit: _core.BradleyTerry) -> None:
        self._fit = fit
        self._places = {name: i for i, name in enumerate(names)}
        #: the policies, the best first
        self.names = sorted(names, key=lambda name: -fit.score(self._places[name]).value)

    def _place(self, policy: Hashable) -> int:
        if policy not in self._places:
            raise KeyError(f"Ranking: there is no policy {policy!r} among the {len(self)}")
        return self._places[policy]

    def score(self, policy: Hashable) -> Estimate:
        """Its score above the average of all policies, in log-odds."""
        return self._fit.score(self._place(policy))

    def elo(self, policy: Hashable) -> Estimate:
        """``1000 + 400/log 10·score``: a difference of 400 means odds of ten to one."""
        return self._fit.elo(self._place(policy))

    def difference(self, policy: Hashable, other: Hashable) -> Estimate:
        """``score(policy) - score(other)`` with its own error: two scores move together."""
        return self._fit.difference(self._place(policy), self._place(other))

    def win_rate(self, policy: Hashable, other: Hashable) -> float:
        """The probability that ``policy`` beats ``other``, a tie counted ½."""
        return self._fit.win_rate(self._place(policy), self._place(other))

    def __len__(self) -> int:
        return len(self.names)

    def __str__(self) -> str:
        width = max(len(str(name)) for name in self.names)
        rows = [(name, self.elo(name)) for name in self.names]
        lines = ["{:{}} {:7.1f}   95 % {:.1f} … {:.1f}".format(str(name), width, e.value, *e.interval()) for name, e in rows]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Ranking({len(self)} policies, the best is {self.names[0]!r})"


def rank(first: Any, second: Any, outcomes: Any, *, clusters: Any = None, prior: float = 0.0) -> Ranking:
    """Bradley–Terry scores, or Elo, of policies that were compared in pairs: ``P(i beats j) = 1/(1 + e^{s_j - s_i})``.

    Parameters
    ----------
    first, second : names (strings or whole numbers), one a comparison
    outcomes : float64, one a comparison
        1 where ``first`` was preferred, 0 where ``second`` was, ½ for a tie; a judge's probability.
    clusters : whole numbers, one a comparison, or None
        Comparisons of one cluster, say of one prompt, may be alike: errors rest on the differences between clusters, and ``count`` is
        their number. Some dozens are needed.
    prior : float
        So many ties against the mean score for every policy, for one that won or lost always.

    Errors: ``ValueError`` with the library's message, for policies that are not compared with others, or win or lose always.

    >>> r = rank(["a", "a", "b", "a"], ["b", "b", "a", "b"], np.array([1.0, 1.0, 1.0, 1.0]))
    >>> r.names, round(r.win_rate("a", "b"), 3)
    (['a', 'b'], 0.75)
    """
    i, j = _names(first, "first"), _names(second, "second")
    if i.shape != j.shape:
        raise ValueError(f"rank: second has {len(j)} values, but first has {len(i)}")
    if i.dtype.kind != j.dtype.kind and {i.dtype.kind, j.dtype.kind} != {"i", "u"}:
        raise TypeError(f"rank: second is {j.dtype}, but first is {i.dtype}")
    names, places = np.unique(np.concatenate([i, j]), return_inverse=True)
    places = np.ascontiguousarray(places, np.int64).reshape(2, -1)
    won = _doubles(np.asarray(outcomes) if isinstance(outcomes, (list, tuple)) else outcomes, "outcomes")
    return Ranking(names.tolist(), _core.fit_bradley_terry(len(names), *places, won, _whole_or_none(clusters), prior))


def _names(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(v, str) for v in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "iuUT":
        raise TypeError(f"rank: {name} is {array.dtype}, must be strings or whole numbers")
    if array.ndim != 1:
        raise ValueError(f"rank: {name} has {array.ndim} dimensions, must have 1")
    return array
