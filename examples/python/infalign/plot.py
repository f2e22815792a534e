# SPDX-License-Identifier: Apache-2.0
"""Pictures on axes of matplotlib: frontiers of a plan, a calibration with its band, win rates against N."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

from ._arrays import to_numpy
from ._calibration import dkw_band
from ._evaluation import summarize, win_rate
from ._theory import PlanTable

__all__ = ["calibration", "frontier", "win_rates"]


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6, 4), layout="constrained")[1]


def frontier(plan: PlanTable, ax: Any = None, *, standard: bool = False) -> Any:
    """Win rate against KL, a line for each transform of ``plan(procedure, kl=[…])``; points that a transform cannot reach are left out.

    ``standard``: the win rate of standard sampling instead of that under the procedure. Returns the axes.
    """
    if not isinstance(plan, PlanTable):
        raise TypeError(f"plot.frontier: plan is a {type(plan).__name__}, must be what infalign.plan gives")
    ax = _axes(ax)
    names = list(dict.fromkeys(row.transform for section in plan.sections for row in section.rows))
    names.sort(key=lambda name: name != "optimal")
    for name in names:
        reached = [section[name].reached for section in plan.sections if any(r.transform == name for r in section.rows)]
        points = sorted((p.kl, p.standard_win_rate if standard else p.inference_win_rate) for p in reached if p is not None)
        if points:
            style = {"color": "black", "linewidth": 2} if name == "optimal" else {"linewidth": 1.2}
            ax.plot(*zip(*points), marker="o", markersize=3, label=name, **style)
    ax.set_xlabel("KL to the base policy (nats)")
    ax.set_ylabel("win rate, " + ("standard sampling" if standard else plan.procedure))
    ax.legend(fontsize="small")
    return ax


def calibration(references: Any, ax: Any = None, *, confidence: float = 0.95) -> Any:
    """The calibrated reward of one prompt against its reward: the share of ``references`` below, with the band of Dvoretzky, Kiefer,
    Wolfowitz and Massart, which holds the whole true curve with a probability of ``confidence``. Returns the axes.
    """
    z = np.sort(to_numpy(references, "references").astype(np.float64, copy=False))
    if z.ndim != 1 or not len(z):
        raise ValueError(f"plot.calibration: references has the shape {z.shape}, must be the rewards of one prompt")
    if not np.isfinite(z).all():
        raise ValueError(f"plot.calibration: references holds {z[~np.isfinite(z)][0]}, must be finite")
    share = np.arange(1, len(z) + 1) / len(z)
    band = dkw_band(len(z), confidence)
    ax = _axes(ax)
    ax.step(z, share, where="post", color="black", label=f"{len(z)} references")
    low, high = np.clip(share - band, 0, 1), np.clip(share + band, 0, 1)
    ax.fill_between(z, low, high, step="post", alpha=0.2, label=f"{100 * confidence:g} % band")
    ax.set_xlabel("reward")
    ax.set_ylabel("calibrated reward")
    ax.set_ylim(0, 1)
    ax.legend(fontsize="small")
    return ax


def win_rates(
    policy: Any,
    base: Any,
    n: Sequence[int] = (1, 2, 4, 8),
    ax: Any = None,
    *,
    best: bool = True,
    level: float = 0.95,
    label: Optional[str] = None,
) -> Any:
    """The win rate under best-of-N (``best=False``: worst-of-N) on both sides against N, with intervals over prompts. Returns the axes.

    ``policy`` and ``base`` as for ``win_rate``, with at least ``max(n)`` rewards a prompt.
    """
    if len(n) == 0:
        raise ValueError("plot.win_rates: n is empty")
    kind = "best_of" if best else "worst_of"
    means = [summarize(to_numpy(win_rate(policy, base, f"{kind}:{k}"), "wins"), range="win_rate") for k in n]
    values = [m.value for m in means]
    errors = np.transpose([np.subtract(m.value, m.interval(level)) * (1, -1) for m in means])
    ax = _axes(ax)
    ax.errorbar(n, values, yerr=errors, marker="o", markersize=3, capsize=2, label=label)
    ax.axhline(0.5, color="grey", linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(n), [str(k) for k in n])
    ax.set_xlabel("N")
    ax.set_ylabel(f"win rate, {'best' if best else 'worst'} of N")
    if label:
        ax.legend(fontsize="small")
    return ax
