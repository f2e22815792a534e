# SPDX-License-Identifier: Apache-2.0
"""The results as JSON and as a picture; ``python results.py results.json frontier.svg`` draws it again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import infalign
import matplotlib
import numpy as np
from held_out import PROCEDURES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = ("tab:orange", "tab:blue", "tab:green", "tab:red", "tab:purple")


def write_json(path: Path, results: dict) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n")


def draw(path: Path, runs: list[dict]) -> None:
    """Held-out KL against win rate, a panel for each procedure: measured with 95 % intervals, and what was foretold as dotted lines."""
    plt.rcParams.update({"svg.hashsalt": "infalign", "svg.fonttype": "none"})
    figure, panels = plt.subplots(1, len(PROCEDURES), figsize=(10, 4.6), layout="constrained")
    widest = 1.1 * max(run["measured"]["kl"]["value"] for run in runs if run["foretold"])
    labels = dict.fromkeys(run["label"] for run in runs)
    for ax, procedure in zip(panels, PROCEDURES):
        kls = np.linspace(0.02, 1, 25) * widest
        optimum = [(s.wanted, s.bound) for s in infalign.plan(procedure, kl=kls.tolist(), transforms=["identity"]).sections]
        ax.plot(*np.transpose([(0, 0.5), *optimum]), color="black", linewidth=0.8, label="no policy exceeds (plan)")
        for label, colour in zip(labels, COLOURS):
            _draw_method(ax, procedure, label, [run for run in runs if run["label"] == label], colour, widest)
        ax.axhline(0.5, color="grey", linewidth=0.5)
        ax.set_xlim(0, widest)
        ax.set_xlabel("KL to the base policy (nats)")
        ax.set_ylabel(f"win rate, {procedure.replace('_', '-').replace(':', '-')}")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize="small", loc="outside lower center", ncols=3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw_method(ax: Any, procedure: str, label: str, runs: list[dict], colour: str, widest: float) -> None:
    runs = sorted(runs, key=lambda run: run["measured"]["kl"]["value"])
    kl, wins = ([run["measured"][key] for run in runs] for key in ("kl", procedure))
    x, y = ([m["value"] for m in measured] for measured in (kl, wins))
    dx, dy = (np.abs(np.transpose([np.subtract(m["interval"], m["value"]) for m in measured])) for measured in (kl, wins))
    beyond = f": not shown, KL {x[0]:.1f}" if x[0] > widest else ""
    ax.errorbar(x, y, xerr=dx, yerr=dy, marker="o", markersize=3, linewidth=1, capsize=2, color=colour, label=label + beyond)
    told = sorted((r["foretold"]["kl"]["value"], r["foretold"][procedure]["value"]) for r in runs if r["foretold"])
    if told:
        ax.plot(*np.transpose([(0, 0.5), *told]), linestyle=":", linewidth=1, color=colour)


if __name__ == "__main__":
    draw(Path(sys.argv[2]), json.loads(Path(sys.argv[1]).read_text())["runs"])
