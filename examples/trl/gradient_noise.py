# SPDX-License-Identifier: Apache-2.0
"""How much of a step of policy gradient is signal, for every reward: before anything is trained, at the base policy."""

from __future__ import annotations

from typing import Callable, Sequence

import numpy as np
import torch
from language_model import sample
from torch.nn import functional
from transformers import GPT2LMHeadModel

Reward = Callable[..., list[float]]


def batch_gradients(
    base: GPT2LMHeadModel, prompts: np.ndarray, references: np.ndarray, rewards: Sequence[Reward], generations: int, length: int, seed: int
) -> np.ndarray:
    """(R, parameters): the gradient of the mean of ``reward·log π(completion)`` for each of the rewards, less a prompt's mean reward.

    All rewards are of the same ``generations`` completions a prompt. Advantages are as GRPO's without scaling.
    """
    completions = sample(base, prompts, generations, length, seed)
    every = np.repeat(prompts, generations, axis=0)
    ids = torch.from_numpy(np.concatenate([every, completions], axis=1)).to(base.device)
    logits = base(ids, logits_to_keep=length + 1).logits[:, :-1]
    tokens, pad = ids[:, prompts.shape[1] :], base.config.pad_token_id
    log_prob = -functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=pad, reduction="none").reshape(tokens.shape).sum(1)
    columns = dict(
        completion_ids=[row[row != pad].tolist() for row in completions],
        prompt_tokens=every.tolist(),
        base_rewards=np.repeat(references, generations, axis=0).tolist(),
    )
    found = []
    for reward in rewards:
        value = np.reshape(reward(**columns), (len(prompts), generations))
        advantage = torch.from_numpy(value - value.mean(axis=1, keepdims=True)).reshape(-1).to(log_prob)
        gradient = torch.autograd.grad((advantage * log_prob).mean(), list(base.parameters()), retain_graph=True)
        found.append(torch.cat([g.flatten() for g in gradient]).cpu().numpy())
    return np.stack(found)


def signal_to_noise(gradients: np.ndarray) -> dict[str, np.ndarray]:
    """Of B independent batches, (B, R, parameters), for each of the R rewards:

    - ``ratio``: |E g|² / E|g - E g|², of one batch. n batches have n times as much.
    - ``relative``: the same over that of the first reward. ``cosine``: between E g and that of the first reward.

    |E g|² is the mean over pairs of different batches, which has no bias. Each value is ``[value, standard error]``, by the jackknife over
    batches; NaN for ``relative`` and ``cosine`` where too few batches leave |E g|² below 0.
    """
    count, rewards, _ = gradients.shape
    flat = gradients.reshape(count * rewards, -1)
    products = (flat @ flat.T).astype(np.float64).reshape(count, rewards, count, rewards).transpose(1, 3, 0, 2)

    def of(kept: np.ndarray) -> np.ndarray:
        part, n = products[:, :, kept][:, :, :, kept], len(kept)
        same = np.trace(part, axis1=2, axis2=3)
        signal = (part.sum(axis=(2, 3)) - same) / (n * (n - 1))
        own = np.diag(signal)
        positive = np.where((own > 0) & (own[0] > 0), own, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = own / (np.diag(same) / n - own)
            return np.stack([ratio, np.where(positive > 0, ratio / ratio[0], np.nan), signal[0] / np.sqrt(positive[0] * positive)])

    every = np.arange(count)
    without = np.stack([of(np.delete(every, i)) for i in every])
    error = np.sqrt((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    return dict(zip(("ratio", "relative", "cosine"), np.stack([of(every), error], axis=-1)))
