# SPDX-License-Identifier: Apache-2.0
"""The results as JSON, and as a picture and a table of one seed or of several:

    python examples/trl/results.py frontier.svg build/seed1/results.json build/seed2/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional

import infalign
import matplotlib
import numpy as np
from held_out import PROCEDURES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = ("tab:orange", "tab:blue", "tab:green", "tab:red", "tab:purple")


def write_json(path: Path, results: dict) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n")


def draw(path: Path, *seeds: list[dict]) -> None:
    """Held-out KL against win rate, a panel for each procedure: measured with 95 % intervals, and what was foretold as dotted lines.

    Every seed has lines of its own, the later ones paler.
    """
    plt.rcParams.update({"svg.hashsalt": "infalign", "svg.fonttype": "none"})
    figure, panels = plt.subplots(1, len(PROCEDURES), figsize=(10, 4.6), layout="constrained")
    widest = 1.1 * max(run["measured"]["kl"]["value"] for runs in seeds for run in runs if run["foretold"])
    labels = dict.fromkeys(run["label"] for runs in seeds for run in runs)
    for ax, procedure in zip(panels, PROCEDURES):
        kls = np.linspace(0.02, 1, 25) * widest
        optimum = [(s.wanted, s.bound) for s in infalign.plan(procedure, kl=kls.tolist(), transforms=["identity"]).sections]
        ax.plot(*np.transpose([(0, 0.5), *optimum]), color="black", linewidth=0.8, label="no policy exceeds (plan)")
        for number, runs in enumerate(seeds):
            for label, colour in zip(labels, COLOURS):
                of_label = [run for run in runs if run["label"] == label]
                style = dict(color=colour, alpha=1 - 0.7 * number / len(seeds))
                _draw_method(ax, procedure, label if number == 0 else None, of_label, widest, style)
        ax.axhline(0.5, color="grey", linewidth=0.5)
        ax.set_xlim(0, widest)
        ax.set_xlabel("KL to the base policy (nats)")
        ax.set_ylabel(f"win rate, {procedure.replace('_', '-').replace(':', '-')}")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize="small", loc="outside lower center", ncols=3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw_method(ax: Any, procedure: str, label: Optional[str], runs: list[dict], widest: float, style: dict) -> None:
    if not runs:
        return
    runs = sorted(runs, key=lambda run: run["measured"]["kl"]["value"])
    kl, wins = ([run["measured"][key] for run in runs] for key in ("kl", procedure))
    x, y = ([m["value"] for m in measured] for measured in (kl, wins))
    dx, dy = (np.abs(np.transpose([np.subtract(m["interval"], m["value"]) for m in measured])) for measured in (kl, wins))
    if label is not None and x[0] > widest:
        label += f": not shown, KL {x[0]:.1f}"
    ax.errorbar(x, y, xerr=dx, yerr=dy, marker="o", markersize=3, linewidth=1, capsize=2, label=label, **style)
    told = sorted((r["foretold"]["kl"]["value"], r["foretold"][procedure]["value"]) for r in runs if r["foretold"])
    if told:
        ax.plot(*np.transpose([(0, 0.5), *told]), linestyle=":", linewidth=1, **style)


def table(seeds: list[dict]) -> str:
    """The differences at one KL, in Markdown: a column a seed, with 95 % intervals over prompts."""
    names = [f"seed {results['settings']['seed']}" for results in seeds]
    lines = ["| win rate less that of the raw reward | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row in zip(*(results["differences"] for results in seeds)):
        cells = [f"KL {d['kl']:.2f}: {d['value']:+.3f} ({d['interval'][0]:+.3f} … {d['interval'][1]:+.3f})" for d in row]
        lines.append(f"| {row[0]['procedure']}, `{row[0]['transform']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    every_seed = [json.loads(Path(name).read_text()) for name in sys.argv[2:]]
    draw(Path(sys.argv[1]), *(results["runs"] for results in every_seed))
    print(table(every_seed))
