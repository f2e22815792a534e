# SPDX-License-Identifier: Apache-2.0
"""The results as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import infalign
import matplotlib
import numpy as np
from held_out import PROCEDURES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

STYLES = {"raw reward": ("tab:orange", "s"), "exponential:10": ("tab:blue", "o"), "exponential:-10": ("tab:green", "^")}


def write_json(path: Path, results: dict) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n")


def _errors(runs: list[dict], key: str) -> np.ndarray:
    measured = [run["measured"][key] for run in runs]
    return np.abs(np.transpose([np.subtract(m["interval"], m["value"]) for m in measured]))


def draw(path: Path, runs: list[dict]) -> None:
    """Held-out KL against win rate, a panel for each procedure: measured with 95 % intervals, and what was foretold as dotted lines."""
    plt.rcParams["svg.hashsalt"] = "infalign"
    figure, panels = plt.subplots(1, len(PROCEDURES), figsize=(10, 4.2), layout="constrained")
    widest = max(run["measured"]["kl"]["value"] for run in runs)
    for ax, procedure in zip(panels, PROCEDURES):
        kls = np.linspace(0.02, 1, 25) * max(0.1, min(widest, 2.0))
        optimum = [(s.wanted, s.bound) for s in infalign.plan(procedure, kl=kls.tolist(), transforms=["identity"]).sections]
        ax.plot(*np.transpose([(0, 0.5), *optimum]), color="black", linewidth=0.8, label="no policy exceeds (plan)")
        for name in dict.fromkeys(run["label"] for run in runs):
            of_name = sorted((r for r in runs if r["label"] == name), key=lambda r: r["measured"]["kl"]["value"])
            colour, marker = STYLES.get(name, (None, "x"))
            x = [r["measured"]["kl"]["value"] for r in of_name]
            y = [r["measured"][procedure]["value"] for r in of_name]
            dx, dy = _errors(of_name, "kl"), _errors(of_name, procedure)
            drawn = ax.errorbar(x, y, xerr=dx, yerr=dy, marker=marker, markersize=4, linewidth=1, capsize=2, color=colour, label=name)
            told = [(r["foretold"]["kl"]["value"], r["foretold"][procedure]["value"]) for r in of_name if r["foretold"]]
            if told:
                points = np.transpose([(0, 0.5), *sorted(told)])
                ax.plot(*points, linestyle=":", linewidth=1, color=drawn[0].get_color())
        ax.set_xlabel("KL to the base policy (nats)")
        ax.set_ylabel(f"win rate, {procedure.replace('_', '-').replace(':', '-')}")
        ax.axhline(0.5, color="grey", linewidth=0.5)
    panels[0].legend(fontsize="x-small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
