# SPDX-License-Identifier: Apache-2.0
"""The base policy, a small GPT-2 that is trained here; its samples; and the KL of another policy to it."""

from __future__ import annotations

import math
from typing import Iterator

import numpy as np
import torch
from infalign.torch import policy_loss
from text_data import Records
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

ROWS = 512  # of a batch without gradients


def new_model(tokenizer: PreTrainedTokenizerFast, width: int, layers: int, positions: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=positions,
        n_embd=width,
        n_layer=layers,
        n_head=max(1, width // 32),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return GPT2LMHeadModel(config)


def step_size(step: int, steps: int, highest: float) -> float:
    """Up over the first twentieth, then down by a cosine."""
    return highest * min(1.0, 20 * (step + 1) / steps) * 0.5 * (1 + math.cos(math.pi * step / steps))


def pre_train(model: GPT2LMHeadModel, records: Records, steps: int, batch: int, rate: float, seed: int) -> float:
    """Minimises the cross-entropy of the tokens of the records; returns its mean over the last tenth of the steps, in nats a token."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    model.train()
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = step_size(step, steps, rate)
        ids = torch.from_numpy(records.ids[rng.integers(len(records), size=batch)]).to(model.device)
        logits = model(ids[:, :-1]).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=model.config.pad_token_id)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return float(np.mean(losses[-max(1, steps // 10) :]))


def chunks(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, rows, ROWS))


@torch.no_grad()
def sample(model: GPT2LMHeadModel, prompts: np.ndarray, count: int, length: int, seed: int) -> np.ndarray:
    """``count`` completions of every prompt: (P·count, length) tokens, padded behind the end."""
    torch.manual_seed(seed)
    rows = np.repeat(prompts, count, axis=0)
    found = np.full((len(rows), length), model.config.pad_token_id, dtype=np.int64)
    for part in chunks(len(rows)):
        ids = torch.from_numpy(rows[part]).to(model.device)
        new = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            max_new_tokens=length,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            pad_token_id=model.config.pad_token_id,
        )[:, ids.shape[1] :]
        found[part, : new.shape[1]] = new.cpu().numpy()
    return found


@torch.no_grad()
def kl_to_base(model: GPT2LMHeadModel, base: GPT2LMHeadModel, prompts: np.ndarray, completions: np.ndarray) -> np.ndarray:
    """KL(π ‖ π₀) of every row, in nats: the exact KL over the vocabulary, summed over the tokens of a completion of ``model``.

    Its mean over completions is an unbiased estimate of the KL of responses, of less variance than a mean of log-ratios.
    """
    repeats = len(completions) // len(prompts)
    ids = np.concatenate([np.repeat(prompts, repeats, axis=0), completions], axis=1)
    start, kl = prompts.shape[1], np.empty(len(ids))
    for part in chunks(len(ids)):
        rows = torch.from_numpy(ids[part]).to(model.device)
        logits, base_logits = (m(rows, logits_to_keep=rows.shape[1] - start + 1).logits[:, :-1].cpu() for m in (model, base))
        tokens = rows[:, start:].cpu()
        mask = (tokens != model.config.pad_token_id).float()
        advantages = torch.zeros(len(rows))
        _, known = policy_loss(logits, tokens, advantages, mask=mask, base_logits=base_logits, kl=1.0, return_statistics=True)
        kl[part] = known.kl.double().sum(dim=1).numpy()
    return kl
