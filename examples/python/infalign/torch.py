# SPDX-License-Identifier: Apache-2.0
"""Policy losses of PyTorch's tensors on the CPU, with their gradient: one pass over the logits, and no array of probabilities.

The gradient is computed with the loss and kept until ``backward``, in memory that is used again by later calls: a new array for every
step costs more in page faults than the computation. ``release_memory`` gives that memory back.
"""

from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _core
from ._policy_loss import TokenStatistics, settings_of
from ._torch_gradient import PolicyLoss, evaluated, memory, policy_loss_op
from ._torch_shards import TokenTerms, token_statistics

__all__ = ["TokenStatistics", "TokenTerms", "policy_loss", "preset_names", "release_memory", "token_statistics"]


def preset_names() -> list[tuple[str, str]]:
    """What ``policy_loss`` takes as ``preset``, each with the version of the trainer that it mirrors.

    Compared with the trainers' own functions where they are declared, in the C++ headers ``infalign/objective/presets/``, which also name
    the differences. ``trl.gspo``, ``trl.luspo``, ``trl.rloo`` and ``liger.luspo`` have no KL of their own here.
    """
    return _core.preset_names()


def release_memory() -> None:
    """Gives back the memory that gradients are kept in between calls. Gradients that are in use stay valid."""
    memory.release()


def policy_loss(
    logits: Tensor,
    tokens: Tensor,
    advantages: Tensor,
    *,
    mask: Optional[Tensor] = None,
    old_log_prob: Optional[Tensor] = None,
    base_logits: Optional[Tensor] = None,
    base_log_prob: Optional[Tensor] = None,
    loss: Optional[str] = None,
    preset: Optional[str] = None,
    epsilon_low: Optional[float] = None,
    epsilon_high: Optional[float] = None,
    kl: float = 0.0,
    kl_estimator: Optional[str] = None,
    entropy: float = 0.0,
    temperature: float = 1.0,
    soft_cap: Optional[float] = None,
    aggregation: Union[str, float, None] = None,
    in_place: bool = False,
    out: Optional[Tensor] = None,
    return_statistics: bool = False,
    threads: Optional[int] = None,
) -> Union[Tensor, tuple[Tensor, TokenStatistics]]:
    """The loss of a batch of tokens: ``Σ c·(loss + kl·KL - entropy·H)``, a single number that ``backward`` goes through.

    Parameters
    ----------
    logits : (B, L, V) or (T, V), of float32, float64, bfloat16 or float16
        Slices such as ``logits[:, :-1]`` are read where they lie; only the logits of a token must be contiguous.
    tokens : (B, L) or (T,), of int64 or int32
        The ids that were sampled. Where the mask is 0 they may be anything, -100 for example.
    advantages : (B,) or (B, L), or (T,)
    mask : of the shape of ``tokens``, or None
        1 for the tokens of responses, 0 for padding and prompts, of which nothing is read; or weights.
    old_log_prob : of the shape of ``tokens``, or None
        log π of the tokens at rollout. None: the policy has not moved since, so ratios are 1.
    base_logits, base_log_prob : as ``logits``, or as ``tokens``
        Of the base policy, for a KL: exact over the vocabulary from ``base_logits``, or estimated from ``base_log_prob``.
    loss : name, by default ``"grpo"``
        ========= ======================================================= ===================================
        ``grpo``  clipped ratio, 0.2, 0.2                                  mean of the means of responses
        ``dapo``  clipped ratio, 0.2, 0.28                                 mean over tokens
        ``ppo``   clipped ratio, 0.2, 0.2                                  mean over tokens
        ``reinforce``  no ratio                                            mean over tokens
        ``cispo`` clipped ratio, not differentiated, in [1 - 1, 1 + 4]     mean over tokens
        ``sapo``  smooth gate, temperatures 1 (A > 0: epsilon_high), 1.05  mean of the means of responses
        ``gspo``  ratio of the response, 3e-4, 4e-4                        mean of the means of responses
        ``gmpo``  geometric mean of clipped ratios, 0.4, 0.4               mean of the means of responses
        ``vespo`` smooth weight of the response's ratio                    mean over tokens
        ========= ======================================================= ===================================
    preset : name, instead of ``loss``
        What a trainer computes, with its defaults: ``"trl.grpo"``, ``"verl.vanilla"`` … (``preset_names()``). It sets the bounds, the
        clamps, the mean, and how the KL is estimated; β is ``kl`` still, 0 by default. Each can be given otherwise.
    epsilon_low, epsilon_high : float
        Other bounds than those of the table or the preset, each by itself: TRL's ``epsilon`` without an ``epsilon_high`` is both.
    kl, kl_estimator : float, name
        β, and ``"exact"``, ``"k1"``, ``"k2"``, ``"k3"`` or ``"absolute"``. Default: that of the preset; exact with ``base_logits``;
        else k3.
    entropy : float
        The weight of an entropy bonus.
    temperature, soft_cap : float
        The policy is the softmax of ``logits / temperature``, of ``soft_cap·tanh(logits / soft_cap)`` before that.
    aggregation : name or float
        ``"token_mean"``, ``"sequence_mean_of_token_means"``, ``"sequence_mean_of_token_sums"``, or what the sum over tokens is divided
        by: ``B·L`` for Dr. GRPO, the tokens of all micro-batches for an accumulated gradient.
    in_place : bool
        The gradient replaces the logits, which must not be read again (autograd says so if they are). Not for leaves that require
        a gradient, or views of them.
    out : of the shape and type of ``logits``
        Where the gradient goes instead, for memory of your own. It must stay as it is until ``backward``.
    threads : int
        By default ``torch.get_num_threads()``.

    Returns the loss, of float64 for float64 logits and of float32 for others; with ``return_statistics`` also ``TokenStatistics``.
    A second derivative is not defined. Under ``torch.compile`` the gradient goes into new memory, whatever ``in_place`` says.
    Errors: ``ValueError`` with the library's message, ``TypeError``; nothing is written then.
    """
    settings = settings_of(
        loss,
        preset,
        epsilon_low,
        epsilon_high,
        kl,
        kl_estimator,
        base_logits is not None,
        entropy,
        temperature,
        soft_cap,
        aggregation,
    )
    inputs = (tokens, advantages, mask, old_log_prob, base_logits, base_log_prob)
    if torch.compiler.is_compiling():
        total, statistics, _ = policy_loss_op(logits, *inputs, *settings)
    else:
        if not isinstance(logits, Tensor):
            raise TypeError(f"policy_loss: logits is a {type(logits).__name__}, must be a tensor")
        if in_place:
            if out is not None:
                raise ValueError("policy_loss: give either in_place or out")
            _expect_no_leaf(logits)
        place = logits if in_place else out
        if (logits.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0:
            found = PolicyLoss.apply(logits, (place, inputs, settings, return_statistics, threads))
            total, statistics = found if return_statistics else (found, None)
        else:
            total, statistics, _ = evaluated(logits, place, inputs, settings, return_statistics, threads)
    if not return_statistics:
        return total
    return total, TokenStatistics(*statistics.unbind(0))


def _expect_no_leaf(logits: Tensor) -> None:
    """A leaf that requires a gradient must not be overwritten, by way of a view neither."""
    whole = logits._base if logits._is_view() else logits
    if whole.is_leaf and whole.requires_grad:
        what = "a leaf that requires a gradient" if whole is logits else "a view of a leaf that requires a gradient"
        raise ValueError(f"policy_loss: in_place would overwrite logits, {what}: use out")
