# SPDX-License-Identifier: Apache-2.0
"""What can be asked for, and whether what it needs is there. Imports nothing that may be missing."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

PROMPT, COMPLETION = 8, 24  # tokens
GENERATIONS = 8  # completions of a prompt in a step of GRPO
# For worst-of-4 the plan prefers exponential:-10, by less than 0.004 of win rate. Its β is an eighth of this one's at a KL of 0.6, too
# little against the noise of 64 completions a step: in a trial the KL was 2.9 where 0.6 was asked for.
TRANSFORMS = {"best_of:4": "exponential:10", "worst_of:4": "exponential:-5"}
# The win rate of best-of-4 on both sides is 1 - ∫ F(u)^4 d(u^4), F being the policy's CDF of quantiles. At the base policy its derivative by
# the policy's density is u^7, but for a factor and a constant: no reward raises this win rate faster, per nat of KL.
FIRST_ORDER = "power:7"
# KLs of the optimal policies, in nats, that β is chosen for, by the name of the reward; None is the reward as it is. A policy that learns
# what prompts have in common ends at other KLs than the optimum would, each method in its own way: these are chosen so that the measured
# KLs overlap.
GRIDS = {
    "learned": {None: (0.6, 1.2, 2.0), "exponential:10": (1.0, 2.0, 3.0), "exponential:-5": (0.3, 0.45, 0.6)},
    "brevity": {None: (0.25, 0.5, 0.8), "exponential:10": (0.25, 0.5, 0.8), "exponential:-5": (0.25, 0.5, 0.8)},
}

FULL = dict(width=128, layers=4, vocabulary=2048, pre_train=1200, reward_steps=400, reward_pairs=8192, train_prompts=512, references=64)
FULL |= dict(noise=60, steps=150, batch=64, rate=5e-4, held_out=256, samples=32, points=3)
QUICK = dict(width=64, layers=2, vocabulary=512, pre_train=150, reward_steps=60, reward_pairs=1024, train_prompts=64, references=32)
QUICK |= dict(noise=40, steps=20, batch=32, rate=1e-3, held_out=64, samples=16, points=1)

SIZES = {
    "width": "of the transformer",
    "layers": "of the transformer",
    "vocabulary": "tokens",
    "pre_train": "steps of the base policy",
    "reward_steps": "of the reward model",
    "reward_pairs": "that the reward model is trained and tested on",
    "train_prompts": "prompts of GRPO",
    "references": "samples of the base policy for each of them",
    "noise": "batches to measure the noise of a gradient by, at least 3",
    "steps": "of GRPO, for every policy",
    "batch": "completions a step of GRPO",
    "held_out": "prompts that policies are compared on",
    "samples": "of each policy for each of them",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="align.py", description="Aligns a small GPT-2 by TRL's GRPOTrainer, with and without infalign.")
    parser.add_argument("--quick", action="store_true", help="a tiny model and few steps: shows that it runs, not what it wins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reward", choices=list(GRIDS), default="learned", help="a learned one, or stated: the fewer tokens the better")
    parser.add_argument("--text", metavar="FILE", help="English text with a record a line, instead of a Debian package")
    parser.add_argument("--output", type=Path, default=Path("build/trl"))
    parser.add_argument("--threads", type=int, help="of PyTorch; by default its own choice")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; infalign's loss needs the CPU")
    parser.add_argument("--points", type=int, choices=(1, 3), help="values of β for every method")
    parser.add_argument("--rate", type=float, help="learning rate of GRPO")
    for name, what in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=what)
    given = parser.parse_args(arguments)
    for name, value in (QUICK if given.quick else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    if given.noise < 3:
        parser.error(f"argument --noise: {given.noise}, must be at least 3")
    if given.batch > GENERATIONS * given.train_prompts:
        parser.error(f"argument --batch: {given.batch} is more than {GENERATIONS} completions of each of {given.train_prompts} prompts")
    given.grid = {name: kls if given.points == 3 else kls[1:2] for name, kls in GRIDS[given.reward].items()}
    return given


def expect_packages() -> None:
    """Ends with one line if something is missing."""
    here = Path(__file__).resolve().parent
    for name in ("torch", "transformers", "trl", "datasets", "tokenizers", "matplotlib", "infalign"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            source = here.parent / "python" if name == "infalign" else f"-r {here / 'requirements.txt'}"
            raise SystemExit(f"examples/trl: {name} cannot be imported ({error}): pip install {source}")
