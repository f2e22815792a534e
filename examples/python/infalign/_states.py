# SPDX-License-Identifier: Apache-2.0
"""States that merge, and means of prompts that do not all count the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

import numpy as np

from . import _core
from ._core import Betting, EmpiricalBernstein, Estimate, MeanCovariance, Summary, VarianceSplit
from ._evaluation import Range, _doubles, _range, _whole_or_none

__all__ = ["Betting", "EmpiricalBernstein", "MeanCovariance", "VarianceSplit"]

Statistic = Callable[[np.ndarray], float]


def stratified_mean(values: Any, strata: Any, weights: Optional[Mapping[Any, float]] = None, *, range: Range = None) -> Estimate:
    """The mean over strata of prompts: ``Σ w·m / Σ w``, where m is the mean of a stratum and w its share of what is asked in use.

    Parameters
    ----------
    values : (P,) float64
        One value a prompt.
    strata : names (strings or whole numbers), one a prompt
    weights : a mapping of every name to its weight, or None
        None: the shares of the prompts. A stratum of weight 0 is left out.

    How strata differ from one another is no part of the error. That of a stratum with one prompt is unknown, and the interval is then the
    whole range. Errors: ``ValueError`` for a stratum without a weight or a weight whose stratum has no prompt, weights that are negative
    or sum to 0.

    >>> stratified_mean(np.array([1.0, 0.0, 1.0, 1.0]), ["hard", "hard", "easy", "easy"], {"hard": 1, "easy": 3}).value
    0.875
    """
    x, kinds = _doubles(values, "values"), np.asarray(strata)
    if kinds.shape != x.shape:
        raise ValueError(f"stratified_mean: strata has {kinds.size} values, but values has {len(x)}")
    if len(x) == 0:
        raise ValueError("stratified_mean: values is empty")
    names, of, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares = counts.astype(np.float64)
    if weights is not None:
        left = dict(weights)
        for name in names.tolist():
            if name not in left:
                raise ValueError(f"stratified_mean: stratum {name!r} has no weight (0 leaves it out)")
        shares = np.array([left.pop(name) for name in names.tolist()], np.float64)
        for name, weight in left.items():
            if weight != 0:
                raise ValueError(f"stratified_mean: stratum {name!r} has a weight of {weight} and no prompt")
    parts = np.split(x[np.argsort(of, kind="stable")], np.cumsum(counts)[:-1])
    return _core.stratified_mean([Summary.of(part) for part in parts], shares, *_range(range))


def holm(p_values: Any) -> np.ndarray:
    """p-values adjusted for their number by Holm's method, in their order: of those below α, none is there by chance but with
    probability α.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    return np.array(_core.holm_adjusted(_doubles(p_values, "p_values")))


def jackknife(values: Any, statistic: Statistic, *, range: Range = None) -> Estimate:
    """A smooth function of means with its bias of order 1/P taken out, and its standard error, by leaving out a prompt at a time.

    ``values`` is (K, P) float64, ``statistic`` a function of the K means, as for ``bootstrap``. It is called P + 1 times.

    >>> round(jackknife(np.array([[1.0, 2.0, 3.0]]), lambda m: m[0] ** 2).value, 6)   # the plug-in is 4
    3.666667
    """
    return _core.jackknife(values, _callable("jackknife", statistic), *_range(range))


@dataclass(frozen=True)
class SamplingPlan:
    """What ``plan_sampling`` gives."""

    prompts: int
    #: of each
    samples: int
    cost: float


def plan_sampling(
    error: float,
    between: float,
    within: float,
    *,
    prompt_cost: float = 0.0,
    sample_cost: float = 1.0,
    least: int = 1,
    most: int = 4096,
) -> SamplingPlan:
    """The cheapest numbers of prompts and of samples of each whose mean has a standard error of at most ``error``.

    ``between`` and ``within`` are the variances of a pilot, say of a ``VarianceSplit``: the error is ``√((between + within/m)/P)``. A
    prompt with m samples costs ``prompt_cost + m·sample_cost``; m is in ``least … most``.

    >>> plan_sampling(0.01, between=0.04, within=0.16, prompt_cost=4)
    SamplingPlan(prompts=800, samples=4, cost=6400.0)
    """
    return SamplingPlan(*_core.plan_sampling(error, between, within, prompt_cost, sample_cost, least, most))


@dataclass(frozen=True)
class CurveChoice:
    """The best step of a curve. Steps are counted from 0: step i of a curve over N is N = i + 1."""

    step: int
    #: the mean there; of several estimates the largest is too high on average, by less than an error
    value: Estimate
    #: the steps that may be the true best
    candidates: list[int]
    #: the mean of every step
    curve: list[Estimate]


def choose_on_curve(curve: Any, *, level: float = 0.95, range: Range = None, clusters: Any = None) -> CurveChoice:
    """The step of a (P, M) curve with the largest mean over prompts, and those that hold the true best with probability ``level``.

    A step is left out if the best one's paired advantage over it is significant, by Bonferroni's inequality over the others.

    >>> rng = np.random.default_rng(0)
    >>> choose_on_curve(np.array([0.2, 0.9, 0.4]) + 0.1 * rng.normal(size=(50, 1))).candidates
    [1]
    """
    lowest, highest = _range(range)
    return CurveChoice(*_core.choose_on_curve(curve, level, lowest, highest, _whole_or_none(clusters)))


def _callable(function: str, statistic: Any) -> Statistic:
    if not callable(statistic):
        raise TypeError(f"{function}: statistic must be a function of the means")
    return statistic


def _restored(kind: type, state: bytes) -> Any:
    return kind.from_bytes(state)


def _pickled(state: Any) -> tuple:
    return _restored, (type(state), state.to_bytes())


VarianceSplit.__doc__ = """How much of an error comes from which prompts were asked, and how much from the samples of each: a state that merges.

``VarianceSplit.of(rewards)`` takes a (P, M) array or Ragged of samples, ``add(summary)`` one prompt. ``between`` is the variance of the true
means of prompts, ``within`` that of one sample around the mean of its prompt, ``of_sampling`` that of a prompt's mean, and
``sampling_share`` the share of the error that more samples a prompt would take away; the rest takes more prompts. ``mean(lowest, highest)``
is the mean over all ``prompts``. It is for means of samples; best-of-N is none.
{}"""
MeanCovariance.__doc__ = """Means of K values a prompt with their covariances: a state that merges.

``MeanCovariance.of(values)`` takes a (K, P) array of float64, ``add(unit)`` K values. Of ``count`` units with K = ``values``, ``mean(i)`` and
``covariance(i, j)`` are those of single values, ``combined(weights)`` is the mean of a weighted sum with its error,
``delta_method(statistic)`` that of a smooth function of the means. A value that is NaN makes NaN of all in which it has a weight.
{}"""
EmpiricalBernstein.__doc__ = """An interval for the mean of values in a range that holds at every moment: one may watch it and stop at will.

``add(value)``, ``extend(values)`` (all of them, or none if one is outside of the range) and ``interval()`` at the ``level`` that it was made
with, of ``count`` values; states of separate streams merge. Source: Waudby-Smith and Ramdas, JRSS B 86 (2024).
{}"""
Betting.__doc__ = """As ``EmpiricalBernstein``, by bets against 513 means: narrower up to some hundred values, and 10 µs a value.

``add(value)``, ``extend(values)``, ``interval()``, ``level`` and ``count`` are as there.
{}"""
VarianceSplit.of = staticmethod(lambda rewards: _core.variance_split_of(rewards))
MeanCovariance.of = staticmethod(lambda values: _core.mean_covariance_of(values))
_MERGES = """
``merge(other)`` adds what another one has seen; ``to_bytes()`` is the state, the same on every machine and in C++, and
``from_bytes(state)`` reads it."""
for _state in (VarianceSplit, MeanCovariance, EmpiricalBernstein, Betting):
    _state.__doc__ = _state.__doc__.format(_MERGES)
    _state.__reduce__ = _pickled
VarianceSplit.__repr__ = lambda self: (
    f"VarianceSplit({self.prompts} prompts, between = {self.between:.6g}, of_sampling = {self.of_sampling:.6g})"
)
MeanCovariance.__repr__ = lambda self: f"MeanCovariance({self.values} values of {self.count} units)"
for _state in (EmpiricalBernstein, Betting):
    _state.__repr__ = lambda self: "{}({:.6g} … {:.6g} at {:g} %, n = {})".format(
        type(self).__name__, *self.interval(), 100 * self.level, self.count
    )
