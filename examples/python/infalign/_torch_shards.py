# SPDX-License-Identifier: Apache-2.0
"""What is known of tokens, with its gradient, where ranks hold shards of the vocabulary or a loss is written in PyTorch itself."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from . import _core
from ._torch_gradient import memory

_STATE, _STATISTICS, _LEFT_OUT = _core.shard_sizes()
Exchange = Callable[[Tensor], Sequence[Tensor]]


class TokenTerms(NamedTuple):
    """Of every token, of float64 and of the shape of ``tokens``; 0 where the mask is. Gradients pass through all three."""

    #: log π of the token
    log_prob: Tensor
    #: KL to the base policy over the vocabulary; 0 without ``base_logits``
    kl: Tensor
    #: in nats; 0 unless it is asked for
    entropy: Tensor


class _Terms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, base, ids, entropy, temperature, soft_cap, exchange, threads):
        count = ids.numel()
        states = torch.empty((count, _STATE), dtype=torch.float64)
        settings = (temperature, 0.0 if soft_cap is None else soft_cap)
        _core.read_shard(logits, base, ids, entropy, *settings, states.numpy(), threads)
        if exchange is not None:
            states = _merged(exchange(states), states.shape)
        statistics = torch.empty((count, _STATISTICS), dtype=torch.float64)
        columns = torch.empty((count, 3), dtype=torch.float64)
        _core.finish_states(states.numpy(), base is not None, entropy, statistics.numpy(), columns.numpy())
        columns[ids.reshape(-1) == _LEFT_OUT] = 0
        ctx.save_for_backward(logits, base, ids, statistics)
        ctx.settings, ctx.threads, ctx.entropy = settings, threads, entropy
        ctx.set_materialize_grads(True)
        return tuple(column.reshape(ids.shape) for column in columns.T.contiguous())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, by_log_prob, by_kl, by_entropy):
        logits, base, ids, statistics = ctx.saved_tensors
        wanted = (-by_log_prob, by_kl if base is not None else torch.zeros_like(by_kl), -by_entropy if ctx.entropy else torch.zeros_like(by_kl))
        coefficients = torch.stack([w.reshape(-1) for w in wanted], 1).contiguous()
        gradient = memory.like(logits)
        _core.shard_gradient(
            logits, base, ids, *ctx.settings, statistics.numpy(), coefficients.numpy(), gradient, ctx.threads
        )
        return (gradient, *[None] * 7)


def _merged(parts: Sequence[Tensor], shape: torch.Size) -> Tensor:
    """In the order of the parts, which must be the same on all ranks: then they all have the same bits."""
    if len(parts) == 0:
        raise ValueError("token_statistics: exchange gave no states")
    for i, part in enumerate(parts):
        if part.shape != shape or part.dtype != torch.float64:
            raise ValueError(f"token_statistics: exchange gave states[{i}] of another shape or type than those it was handed")
    whole = parts[0].clone()
    for part in parts[1:]:
        _core.merge_states(whole.numpy(), part.contiguous().numpy())
    return whole


def token_statistics(
    logits: Tensor,
    tokens: Tensor,
    *,
    base_logits: Optional[Tensor] = None,
    mask: Optional[Tensor] = None,
    entropy: bool = False,
    temperature: float = 1.0,
    soft_cap: Optional[float] = None,
    first: int = 0,
    exchange: Optional[Exchange] = None,
    threads: Optional[int] = None,
) -> TokenTerms:
    """log π of every token, its exact KL and its entropy, with their gradient: for a loss that you write yourself, and for logits of which
    each rank holds a part of the vocabulary.

    Parameters
    ----------
    logits : (B, L, V) or (T, V), of float32 or float64
        This rank's columns of the logits, those of the ids ``first … first + V - 1``.
    tokens : (B, L) or (T,), of int64 or int32
        The ids that were sampled, of the whole vocabulary, on every rank.
    base_logits : as ``logits``, or None
        The same columns of the base policy's, for the KL.
    mask : of the shape of ``tokens``, or None
        Where it is 0 nothing is read, and the id may be anything.
    exchange : a function, or None
        None: these are all columns. Otherwise it is called once, with the (T, 13) float64 states of this rank's columns, and returns those
        of all ranks, its own among them and in the same order everywhere: ``torch.distributed.all_gather``. That is all that ranks exchange:
        104 bytes a token.
    temperature, soft_cap : as in ``policy_loss``

    Of n ranks each computes the same loss from these numbers and calls ``backward``: the gradient by its own columns is then that of one
    process, and nothing is exchanged for it (what lies below the last layer adds up over ranks, as the gradient of any sharded matrix).
    Differences to one process are rounding: 1e-12 of float64 logits.

    Cost: one pass over the logits, and one in ``backward``. A second derivative is not defined. Errors: ``ValueError`` with the library's
    message, ``TypeError``.

    >>> terms = token_statistics(torch.zeros(1, 4), torch.tensor([2]), entropy=True)
    >>> terms.log_prob.exp().item(), terms.entropy.exp().item()
    (0.25, 4.0)
    """
    if not isinstance(logits, Tensor) or not isinstance(tokens, Tensor):
        raise TypeError("token_statistics: logits and tokens must be tensors")
    if tokens.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"token_statistics: tokens is {tokens.dtype}, must be int64 or int32")
    if soft_cap is not None and not soft_cap > 0:
        raise ValueError(f"token_statistics: soft_cap is {soft_cap}, must be positive")
    if mask is not None and mask.shape != tokens.shape:
        raise ValueError(f"token_statistics: mask is {tuple(mask.shape)}, but tokens is {tuple(tokens.shape)}")
    kept = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask != 0
    ids = tokens.to(torch.int64) - first
    columns = logits.shape[-1]
    here = (ids >= 0) & (ids < columns)
    outside = kept & ~here if exchange is None else kept & (tokens < 0)
    if outside.any():
        at = outside.nonzero()[0].tolist()
        where = "".join(f"[{i}]" for i in at)
        raise ValueError(f"token_statistics: tokens{where} is {tokens[tuple(at)].item()}, which is no id of these {columns} columns")
    ids = torch.where(kept, torch.where(here, ids, -1), _LEFT_OUT)
    found = _Terms.apply(
        logits, base_logits, ids, entropy, temperature, soft_cap, exchange, torch.get_num_threads() if threads is None else threads
    )
    return TokenTerms(*found)
