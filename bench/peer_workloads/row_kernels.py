# SPDX-License-Identifier: Apache-2.0
"""The clipped policy loss and its gradient as Liger-Kernel computes them (arXiv 2410.10989; ops/grpo_loss.py of version 0.8), written
anew in Triton: a program for every token goes over its logits block by block for the loss, another over them once more for the
gradient, with the block sizes and warps that Liger launches."""

import torch
import triton
import triton.language as tl


@triton.jit
def log_sum_exp(row, vocabulary: tl.constexpr, BLOCK: tl.constexpr):
    largest = float("-inf")
    total = 0.0
    for begin in range(0, vocabulary, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        x = tl.load(row + at, mask=at < vocabulary, other=float("-inf")).to(tl.float32)
        larger = tl.maximum(largest, tl.max(x))
        total = total * tl.exp(largest - larger) + tl.sum(tl.exp(x - larger))
        largest = larger
    return largest + tl.log(total)


@triton.jit
def log_prob_kernel(logits, ids, out, vocabulary: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    row = logits + token * vocabulary
    tl.store(out + token, tl.load(row + tl.load(ids + token)).to(tl.float32) - log_sum_exp(row, vocabulary, BLOCK))


@triton.jit
def loss_kernel(logits, ids, advantages, old, loss, normalizer, clip: tl.constexpr, vocabulary: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    row = logits + token * vocabulary
    total = log_sum_exp(row, vocabulary, BLOCK)
    ratio = tl.exp(tl.load(row + tl.load(ids + token)).to(tl.float32) - total - tl.load(old + token))
    advantage = tl.load(advantages + token)
    clipped = tl.minimum(tl.maximum(ratio, 1 - clip), 1 + clip)
    tl.store(loss + token, -tl.minimum(ratio * advantage, clipped * advantage))
    tl.store(normalizer + token, total)


@triton.jit
def gradient_kernel(logits, ids, advantages, old, normalizer, gradient, scale, clip: tl.constexpr, vocabulary: tl.constexpr,
                    BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    row = logits + token * vocabulary
    sampled = tl.load(ids + token)
    total = tl.load(normalizer + token)
    ratio = tl.exp(tl.load(row + sampled).to(tl.float32) - total - tl.load(old + token))
    advantage = tl.load(advantages + token)
    clipped = tl.minimum(tl.maximum(ratio, 1 - clip), 1 + clip)
    score = tl.where(ratio * advantage <= clipped * advantage, -ratio * advantage, 0.0) * scale
    for begin in range(0, vocabulary, BLOCK):
        at = begin + tl.arange(0, BLOCK)
        inside = at < vocabulary
        p = tl.exp(tl.load(row + at, mask=inside, other=float("-inf")).to(tl.float32) - total)
        tl.store(gradient + token * vocabulary + at, tl.where(at == sampled, 1 - p, -p) * score, mask=inside)


def log_prob(logits, ids):
    out = torch.empty(len(logits), device=logits.device)
    log_prob_kernel[(len(logits),)](logits, ids, out, logits.shape[1], BLOCK=2048, num_stages=4, num_warps=1)
    return out


def policy_gradient(logits, ids, advantages, old, clip, gradient):
    """The gradient of the mean loss, in `gradient`."""
    tokens, vocabulary = logits.shape
    loss, normalizer = torch.empty(2, tokens, device=logits.device)
    loss_kernel[(tokens,)](logits, ids, advantages, old, loss, normalizer, clip, vocabulary, BLOCK=2048, num_stages=2, num_warps=1)
    gradient_kernel[(tokens,)](logits, ids, advantages, old, normalizer, gradient, 1 / tokens, clip, vocabulary, BLOCK=4096,
                               num_stages=1, num_warps=16)
    return gradient
