# SPDX-License-Identifier: Apache-2.0
"""What is foretold before training, and what is measured on prompts that no training saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Sequence

import infalign
import numpy as np
from language_model import kl_to_base, sample
from reward_model import Score
from transformers import GPT2LMHeadModel

PROCEDURES = ("best_of:4", "worst_of:4")


@dataclass(frozen=True)
class Method:
    name: str
    #: None for the reward as it is
    transform: Optional[str]
    #: β of the trainer, and of infalign.evaluate, where transforms are not scaled to a range of 1
    beta: float
    plain_beta: float
    #: the KL that this β was chosen for
    wanted: float


def beta_for_raw(base_rewards: np.ndarray, kl: float) -> float:
    """β with which the optimal policy for the rewards as they are has this KL, foretold from samples of the base policy."""
    low, high = math.log(1e-3), math.log(1e3)
    for _ in range(40):
        middle = (low + high) / 2
        at = infalign.evaluate(base_rewards, None, math.exp(middle)).kl.value
        low, high = (middle, high) if at > kl else (low, middle)
    return math.exp((low + high) / 2)


def planned(base_rewards: np.ndarray, grid: dict[Optional[str], Sequence[float]], transforms: dict[str, str]) -> list[Method]:
    """β for every method and every KL that ``grid`` has for it. ``base_rewards`` are in the trainer's units."""
    methods = []
    for kl in grid[None]:
        beta = beta_for_raw(base_rewards, kl)
        methods.append(Method("raw reward", None, beta, beta, kl))
    for procedure, transform in transforms.items():
        for section in infalign.plan(procedure, kl=list(grid[transform]), transforms=[transform]).sections:
            row = section[transform]
            if row.reached is not None:
                methods.append(Method(transform, transform, row.scaled_beta, row.reached.beta, section.wanted))
    return methods


def foretold(base_rewards: np.ndarray, method: Method) -> dict:
    """What the optimal policy for this method would reach, from rewards of the base policy alone."""
    told = {}
    for procedure in PROCEDURES:
        e = infalign.evaluate(base_rewards, method.transform, method.plain_beta, procedure)
        told["kl"] = {"value": e.kl.value, "interval": e.kl.interval()}
        told[procedure] = {"value": e.inference_win_rate.value, "interval": e.inference_win_rate.interval(), "doubt": e.doubt}
    return told


@dataclass(frozen=True)
class Evaluation:
    """Of one policy: a value a prompt of each, and their means with errors."""

    kl: np.ndarray
    wins: dict[str, np.ndarray]

    def summary(self) -> dict:
        means = {"kl": infalign.summarize(self.kl, range="not_negative")}
        means |= {name: infalign.summarize(wins, range="win_rate") for name, wins in self.wins.items()}
        return {k: {"value": m.value, "standard_error": m.standard_error, "interval": m.interval()} for k, m in means.items()}


class HeldOut:
    """Held-out prompts with the base policy's rewards for them."""

    def __init__(self, base: GPT2LMHeadModel, score: Score, prompts: np.ndarray, count: int, length: int, seed: int):
        self.base, self.score, self.prompts, self.count, self.length, self.seed = base, score, prompts, count, length, seed
        self.base_rewards = score(prompts, sample(base, prompts, count, length, seed))

    def evaluate(self, policy: GPT2LMHeadModel) -> Evaluation:
        completions = sample(policy, self.prompts, self.count, self.length, self.seed + 1)
        found = self.score(self.prompts, completions)
        kl = kl_to_base(policy, self.base, self.prompts, completions).reshape(len(self.prompts), -1).mean(axis=1)
        return Evaluation(kl, {p: infalign.win_rate(found, self.base_rewards, p) for p in ("standard", *PROCEDURES)})


def _win_rate_at(kls: np.ndarray, wins: np.ndarray, kl: float) -> float:
    """The win rate at a KL, linear in its root between the base policy, at (0, ½), and the measured policies."""
    order = np.argsort(kls)
    return float(np.interp(math.sqrt(kl), np.sqrt(np.maximum([0.0, *kls[order]], 0.0)), [0.5, *wins[order]]))


def matched_difference(ours: Sequence[Evaluation], raw: Sequence[Evaluation], procedure: str, kl: float) -> infalign.BootstrapEstimate:
    """The win rate of ``ours`` less that of ``raw`` at one KL, with an interval over prompts that covers the errors of the KLs as well."""
    values = np.array([e.kl for e in (*ours, *raw)] + [e.wins[procedure] for e in (*ours, *raw)])
    n, m = len(ours), len(ours) + len(raw)

    def difference(means: np.ndarray) -> float:
        kls, wins = np.asarray(means[:m]), np.asarray(means[m:])
        return _win_rate_at(kls[:n], wins[:n], kl) - _win_rate_at(kls[n:], wins[n:], kl)

    return infalign.bootstrap(values, difference, resamples=4000, interval="percentile")


def reached_by_all(*methods: Sequence[Evaluation]) -> float:
    """The largest KL up to which every method has been measured."""
    return min(max(float(e.kl.mean()) for e in method) for method in methods)
