# SPDX-License-Identifier: Apache-2.0
"""From rewards to a plan and back, in a few seconds: `python walkthrough.py [FOLDER]` prints what it finds and, with a folder and
matplotlib, draws it. Cells are for editors that run a script piece by piece."""

# %% A base policy whose rewards differ from prompt to prompt, and what would be won before any training
import sys

import numpy as np

import infalign as ia

rng = np.random.default_rng(1)
prompts, samples = 400, 256
difficulty = rng.normal(size=(prompts, 1))
base = difficulty + rng.normal(size=(prompts, samples))

plan = ia.plan("best_of:4", kl=[0.25, 0.5, 1.0, 1.5, 2.0])
print(plan)

# %% The optimal policy at a KL of 1, foretold from the base samples
best = ia.optimal_transform("best_of:4", kl=1.0)
foretold = ia.evaluate(base, best.table(), best.beta, "best_of:4")
print("foretold:", foretold.inference_win_rate, "theory:", round(best.win_rate, 4), foretold.doubt or "reliable")

# %% That policy exists here: it resamples the base policy's responses with weights e^{Φ/β}
u = ia.calibrate(base, base)  # each among all, itself counted ½: the middle of its share
weights = np.exp(best.table()(u) / best.beta)
weights /= weights.sum(1, keepdims=True)
chosen = (weights.cumsum(1)[:, :, None] < rng.uniform(size=(prompts, 1, 16))).sum(1).clip(max=samples - 1)
policy = np.take_along_axis(base, chosen, axis=1)
fresh = difficulty + rng.normal(size=(prompts, samples))  # base samples that it has not seen

wins = ia.win_rate(policy, fresh, "best_of:4")
seen = ia.summarize(wins, range="win_rate")
print("seen:", seen, "standard:", ia.summarize(ia.win_rate(policy, fresh), range="win_rate"))

# %% Against ordinary RLHF's optimum for the calibrated reward, at the same KL
identity = plan.sections[2]["identity"].reached
plain = np.exp(u / identity.beta)
plain /= plain.sum(1, keepdims=True)
chosen = (plain.cumsum(1)[:, :, None] < rng.uniform(size=(prompts, 1, 16))).sum(1).clip(max=samples - 1)
other = np.take_along_axis(base, chosen, axis=1)
difference = ia.compare(wins, ia.win_rate(other, fresh, "best_of:4"))
low, high = difference.difference.interval()
print(f"optimal - identity: {difference.difference.value:+.4f} ({low:+.4f} … {high:+.4f}), p = {difference.p_value:.2g}")
foretold_difference = best.win_rate - identity.inference_win_rate
if not low < foretold_difference < high:
    sys.exit(f"foretold was a difference of {foretold_difference:+.4f}")

# %% Pictures
if len(sys.argv) > 1:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from infalign import plot

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    plot.frontier(plan, left)
    plot.calibration(base[0], middle)
    plot.win_rates(policy, fresh, (1, 2, 4, 8), right, label="optimal for best-of-4")
    plot.win_rates(other, fresh, (1, 2, 4, 8), right, label="identity")
    figure.savefig(f"{sys.argv[1]}/walkthrough.svg")
