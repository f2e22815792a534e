# SPDX-License-Identifier: Apache-2.0
"""Intervals for what has no formula of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from . import _core
from ._evaluation import _doubles, _whole_or_none
from ._progress import Progress, counted


@dataclass(frozen=True)
class BootstrapEstimate:
    """What ``bootstrap`` gives."""

    #: of the data as they are
    value: float
    #: standard deviation of the resampled values
    standard_error: float
    #: their mean less ``value``
    bias: float
    #: low and high
    interval: tuple[float, float]
    #: prompts or clusters, which are drawn
    units: int


def bootstrap(
    values: Any,
    statistic: Optional[Callable[[np.ndarray], float]] = None,
    *,
    clusters: Any = None,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    interval: str = "bca",
    threads: int = 1,
    progress: Progress = False,
) -> BootstrapEstimate:
    """The bootstrap over prompts, or clusters of them, of a mean, or of a function of means.

    Parameters
    ----------
    values : (P,) float64, or (K, P) with ``statistic``
        One value a prompt; or K of them, of which the means are taken over the same draw.
    statistic : function of K means, or None
        ``lambda m: m[0] / m[1]`` for a ratio. None: the mean itself. It is called once a resample, and P times more for ``"bca"``.
    clusters : whole numbers, one a prompt, or None
        What is drawn instead of prompts; for the mean alone.
    interval : ``"bca"`` or ``"percentile"``
        Corrected for bias and skewness, or the quantiles of the resampled values as they are.
    threads : int
        For the mean. The same seed gives the same bits with any number.
    progress : bool or function
        With ``statistic``, whose calls may take long: True for a bar on stderr, or ``progress(done, total)`` after each call. The mean
        has none: its 10,000 resamples of 20,000 prompts take a second.

    For win rates near 0 or 1, or of few prompts, ``summarize(…).interval()`` is better: no resample shows what was not seen. Of one
    prompt nothing is known: the error is infinite. Errors: ``ValueError`` with the library's message, ``TypeError``.

    >>> e = bootstrap(np.array([0.25, 0.5, 0.75, 0.5]))
    >>> e.value, e.interval[0] < 0.5 < e.interval[1]
    (0.5, True)
    """
    if interval not in ("bca", "percentile"):
        raise ValueError(f"bootstrap: interval is {interval!r}, must be bca or percentile")
    if statistic is not None:
        if not callable(statistic):
            raise TypeError("bootstrap: statistic must be a function of the means")
        if clusters is not None:
            raise TypeError("bootstrap: with a statistic there are no clusters: give their sums as values")
    else:
        if progress is not False:
            raise TypeError("bootstrap: progress is for a statistic")
        values = _doubles(values, "values")
    settings = (_whole_or_none(clusters), resamples, seed, level, interval == "percentile", threads)
    if progress is False:
        return BootstrapEstimate(*_core.bootstrap(values, statistic, *settings))
    units = np.shape(values)[-1] if interval == "bca" else 0
    with counted(statistic, "bootstrap", 1 + resamples + units, progress) as reporting:
        return BootstrapEstimate(*_core.bootstrap(values, reporting, *settings))
