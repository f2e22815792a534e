# SPDX-License-Identifier: Apache-2.0
"""A learned reward, a stated one, and the reward functions that GRPOTrainer calls: the reward as it is, and calibrated and transformed."""

from __future__ import annotations

import copy
from typing import Callable, Sequence

import infalign
import numpy as np
import torch
from language_model import chunks, step_size
from text_data import Records
from torch.nn import functional
from transformers import GPT2LMHeadModel


class RewardModel(torch.nn.Module):
    """The transformer of the base policy with a linear head on the last token: how much a completion looks like a real one."""

    def __init__(self, base: GPT2LMHeadModel):
        super().__init__()
        self.body = copy.deepcopy(base.transformer)
        self.head = torch.nn.Linear(base.config.n_embd, 1)
        self.pad = base.config.pad_token_id

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        last = (ids != self.pad).sum(dim=1) - 1
        hidden = self.body(ids).last_hidden_state  # what is padded stands behind, where no token looks
        return self.head(hidden[torch.arange(len(ids)), last])[:, 0]

    @torch.no_grad()
    def score(self, prompts: np.ndarray, completions: np.ndarray) -> np.ndarray:
        """(P, M) rewards of P·M completions."""
        ids = np.concatenate([np.repeat(prompts, len(completions) // len(prompts), axis=0), completions], axis=1)
        device = self.head.weight.device
        scores = [self(torch.from_numpy(ids[part]).to(device)).double().cpu().numpy() for part in chunks(len(ids))]
        return np.concatenate(scores).reshape(len(prompts), -1)


def train_reward_model(
    base: GPT2LMHeadModel, real: Records, samples: np.ndarray, steps: int, batch: int, seed: int
) -> tuple[RewardModel, float]:
    """By Bradley and Terry's loss: a real completion is preferred to the base policy's sample for the same prompt.

    ``samples`` is one completion a record. Returns the model and its accuracy on the last eighth of the pairs, which it is not trained on.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = RewardModel(base).to(base.device)
    kept = len(real) - len(real) // 8
    other = np.concatenate([real.prompts, samples], axis=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = step_size(step, steps, 5e-4)
        rows = rng.integers(kept, size=batch)
        both = model(torch.from_numpy(np.concatenate([real.ids[rows], other[rows]])).to(base.device))
        loss = -functional.logsigmoid(both[:batch] - both[batch:]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval().requires_grad_(False)
    held = slice(kept, None)
    wins = model.score(real.prompts[held], real.completions[held]) - model.score(real.prompts[held], samples[held])
    return model, float(np.mean(wins > 0) + 0.5 * np.mean(wins == 0))


class Brevity:
    """A reward that is stated: minus the number of tokens of a completion, its end included."""

    def __init__(self, pad: int):
        self.pad = pad

    def score(self, prompts: np.ndarray, completions: np.ndarray) -> np.ndarray:
        """(P, M) rewards of P·M completions."""
        return -(completions != self.pad).sum(axis=1).reshape(len(prompts), -1).astype(np.float64)


Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _scored(score: Score, pad: int, prompt_tokens: Sequence, completion_ids: Sequence) -> np.ndarray:
    """(B, 1) rewards of a batch of TRL's, whose completions are lists of tokens, the end included."""
    completions = np.full((len(completion_ids), max(map(len, completion_ids))), pad, dtype=np.int64)
    for row, ids in zip(completions, completion_ids):
        row[: len(ids)] = ids
    return score(np.asarray(prompt_tokens, dtype=np.int64), completions)


def raw_reward(score: Score, pad: int, scale: float) -> Callable[..., list[float]]:
    """The reward in units of ``scale``."""

    def reward(completion_ids, prompt_tokens, **columns):
        return (_scored(score, pad, prompt_tokens, completion_ids)[:, 0] / scale).tolist()

    return reward


def transform_range(transform: str) -> float:
    phi = infalign.parse_transform(transform)
    return phi.value(1.0) - phi.value(0.0)


def calibrated_reward(score: Score, pad: int, transform: str) -> Callable[..., list[float]]:
    """Φ(C) / (Φ(1) - Φ(0)): the quantile C of the reward among those of the base policy for the same prompt, transformed.

    The data set carries the base policy's rewards, drawn once before training, as the column ``base_rewards``. Divided by its range, the
    transform goes with ``scaled_beta`` of ``infalign.plan``.
    """
    scale = transform_range(transform)

    def reward(completion_ids, prompt_tokens, base_rewards, **columns):
        rewards = _scored(score, pad, prompt_tokens, completion_ids)
        phi = infalign.calibrate(infalign.Ragged.from_groups(base_rewards), rewards, transform=transform)
        return (phi[:, 0] / scale).tolist()

    return reward
