# SPDX-License-Identifier: Apache-2.0
"""Policy losses of PyTorch's tensors on the CPU, with their gradient: one pass over the logits, and no array of probabilities.

The gradient is computed with the loss and kept until ``backward``, in memory that is used again by later calls: a new array for every
step costs more in page faults than the computation. ``release_memory`` gives that memory back.
"""

from __future__ import annotations

import sys
import threading
from typing import NamedTuple, Optional, Union

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _core

__all__ = ["TokenStatistics", "policy_loss", "release_memory"]

_core.set_torch_dtypes(
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool]
)
_NAN = float("nan")
# What a loss is made like: sooner than from a shape and a type, and on the CPU whatever the default device is.
_FLOAT, _DOUBLE = torch.zeros((), dtype=torch.float32, device="cpu"), torch.zeros((), dtype=torch.float64, device="cpu")


class TokenStatistics(NamedTuple):
    """What is known of every token, of the shape of ``tokens``; 0 where the mask is. No gradient passes through them."""

    #: without the exact KL and the entropy bonus
    loss: Tensor
    #: log π of the token
    log_prob: Tensor
    #: KL to the base policy over the vocabulary; 0 without ``base_logits``
    kl: Tensor
    #: in nats
    entropy: Tensor


class _Memory:
    """Blocks that gradients lie in. A block is free when no tensor refers to it any more."""

    most_blocks = 2
    smallest = 1 << 20  # bytes; smaller arrays come from PyTorch, whose allocator keeps them

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks: list[np.ndarray] = []

    def like(self, logits: Tensor) -> Tensor:
        """An uninitialised contiguous tensor of the shape and type of `logits`."""
        bytes_ = logits.numel() * logits.element_size()
        if bytes_ < self.smallest:
            return torch.empty_like(logits, requires_grad=False, memory_format=torch.contiguous_format)
        with self.lock:
            block = self._take(bytes_)
            return torch.frombuffer(block, dtype=logits.dtype, count=logits.numel()).view(logits.shape)

    def _take(self, bytes_: int) -> np.ndarray:
        for i in range(len(self.blocks)):
            # References: the list, and the argument of getrefcount. A tensor would be one more.
            if self.blocks[i].nbytes == bytes_ and sys.getrefcount(self.blocks[i]) == 2:
                self.blocks.append(self.blocks.pop(i))
                return self.blocks[-1]
        if len(self.blocks) >= self.most_blocks:
            self.blocks.pop(0)  # the oldest; tensors in it keep it alive
        self.blocks.append(np.empty(bytes_, np.uint8))
        return self.blocks[-1]

    def release(self) -> None:
        with self.lock:
            self.blocks.clear()


_memory = _Memory()


def release_memory() -> None:
    """Gives back the memory that gradients are kept in between calls. Gradients that are in use stay valid."""
    _memory.release()


def policy_loss(
    logits: Tensor,
    tokens: Tensor,
    advantages: Tensor,
    *,
    mask: Optional[Tensor] = None,
    old_log_prob: Optional[Tensor] = None,
    base_logits: Optional[Tensor] = None,
    base_log_prob: Optional[Tensor] = None,
    loss: str = "grpo",
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
    loss : name
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
    epsilon_low, epsilon_high : float
        Other bounds than those of the table.
    kl, kl_estimator : float, name
        β, and ``"exact"``, ``"k1"``, ``"k2"``, ``"k3"`` or ``"absolute"``. Default: exact with ``base_logits``, else k3.
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
    settings = (
        loss,
        _NAN if epsilon_low is None else epsilon_low,
        _NAN if epsilon_high is None else epsilon_high,
        kl,
        kl_estimator or ("k3" if base_logits is None else "exact"),
        entropy,
        temperature,
        0.0 if soft_cap is None else soft_cap,
        "" if aggregation is None else aggregation if isinstance(aggregation, str) else "sum_over",
        1.0 if aggregation is None or isinstance(aggregation, str) else float(aggregation),
    )
    if soft_cap is not None and not soft_cap > 0:
        raise ValueError(f"policy_loss: soft_cap is {soft_cap}, must be positive")
    if aggregation == "sum_over":
        raise ValueError("policy_loss: give the number that the sum is divided by as aggregation")
    inputs = (tokens, advantages, mask, old_log_prob, base_logits, base_log_prob)
    if torch.compiler.is_compiling():
        total, statistics, _ = _policy_loss_op(logits, *inputs, *settings)
    else:
        if not isinstance(logits, Tensor):
            raise TypeError(f"policy_loss: logits is a {type(logits).__name__}, must be a tensor")
        if in_place:
            if out is not None:
                raise ValueError("policy_loss: give either in_place or out")
            _expect_no_leaf(logits)
        place = logits if in_place else out
        if (logits.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0:
            total, statistics = _PolicyLoss.apply(logits, place, inputs, settings, return_statistics, threads)
        else:
            total, statistics, _ = _evaluated(logits, place, inputs, settings, return_statistics, threads)
    if not return_statistics:
        return total
    return total, TokenStatistics(*statistics.unbind(0))


def _expect_no_leaf(logits: Tensor) -> None:
    """A leaf that requires a gradient must not be overwritten, by way of a view neither."""
    whole = logits._base if logits._is_view() else logits
    if whole.is_leaf and whole.requires_grad:
        what = "a leaf that requires a gradient" if whole is logits else "a view of a leaf that requires a gradient"
        raise ValueError(f"policy_loss: in_place would overwrite logits, {what}: use out")


def _evaluated(logits, place, inputs, settings, wanted, threads) -> tuple[Tensor, Optional[Tensor], Tensor]:
    """The loss, the statistics, and the gradient in its place."""
    gradient = _memory.like(logits) if place is None else place.detach()
    total, statistics = _run(logits, gradient, inputs, settings, wanted, threads)
    if place is not None and not place.is_inference():
        torch.autograd.graph.increment_version(place)
    return total, statistics, gradient


def _version(tensor: Tensor) -> int:
    """How often it was written to. Tensors of inference mode do not count that."""
    return 0 if tensor.is_inference() else tensor._version


def _run(
    logits: Tensor, gradient: Tensor, inputs: tuple, settings: tuple, wanted: bool, threads: Optional[int]
) -> tuple[Tensor, Optional[Tensor]]:
    """The loss and, if they are wanted, the statistics; the gradient is written."""
    tokens, advantages, mask, old_log_prob, base_logits, base_log_prob = inputs
    total = torch.empty_like(_DOUBLE if logits.dtype is torch.float64 else _FLOAT)
    statistics = torch.empty((4, *tokens.shape), dtype=total.dtype, device="cpu") if wanted else None
    _core.policy_loss(
        logits,
        tokens,
        advantages,
        mask,
        old_log_prob,
        base_logits,
        base_log_prob,
        gradient,
        statistics,
        total,
        *settings,
        wanted,
        torch.get_num_threads() if threads is None else threads,
    )
    return total, statistics


def _scaled(gradient: Tensor, by: Tensor) -> Tensor:
    """`gradient·by`, in its own memory where autograd is done with it; as it is if `by` is 1."""
    if type(by) is Tensor and type(gradient) is Tensor and not torch._C._functorch.is_functorch_wrapped_tensor(by):
        if torch.is_grad_enabled() and by.requires_grad:
            raise RuntimeError("policy_loss has no second derivative")
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            factor = by.item()
            return gradient if factor == 1 else gradient.mul_(factor)
    return gradient * by


class _PolicyLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, place, inputs, settings, wanted, threads):
        total, statistics, gradient = _evaluated(logits, place, inputs, settings, wanted, threads)
        ctx.gradient = gradient
        ctx.version = _version(gradient)
        if statistics is not None:
            ctx.mark_non_differentiable(statistics)
        ctx.set_materialize_grads(False)
        return total, statistics

    @staticmethod
    def backward(ctx, by, _):
        gradient = ctx.gradient
        if by is None:
            return None, None, None, None, None, None
        if gradient is None:
            raise RuntimeError(
                "policy_loss: the gradient was handed out by the first backward: call that with retain_graph=True"
            )
        if _version(gradient) != ctx.version:
            raise RuntimeError("policy_loss: the memory of the gradient was written to before backward")
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.gradient = None
        return _scaled(gradient, by), None, None, None, None, None


@torch.library.custom_op("infalign::policy_loss", mutates_args=())
def _policy_loss_op(
    logits: Tensor,
    tokens: Tensor,
    advantages: Tensor,
    mask: Optional[Tensor],
    old_log_prob: Optional[Tensor],
    base_logits: Optional[Tensor],
    base_log_prob: Optional[Tensor],
    loss: str,
    epsilon_low: float,
    epsilon_high: float,
    kl: float,
    kl_estimator: str,
    entropy: float,
    temperature: float,
    soft_cap: float,
    aggregation: str,
    divisor: float,
) -> tuple[Tensor, Tensor, Tensor]:
    gradient = _memory.like(logits)
    inputs = (tokens, advantages, mask, old_log_prob, base_logits, base_log_prob)
    settings = (
        loss,
        epsilon_low,
        epsilon_high,
        kl,
        kl_estimator,
        entropy,
        temperature,
        soft_cap,
        aggregation,
        divisor,
    )
    total, statistics = _run(logits, gradient, inputs, settings, True, None)
    return total, statistics, gradient


@_policy_loss_op.register_fake
def _(logits, tokens, *_):
    wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return (
        logits.new_empty((), dtype=wide),
        logits.new_empty((4, *tokens.shape), dtype=wide),
        torch.empty(logits.shape, dtype=logits.dtype, device=logits.device),
    )


def _keep(ctx, inputs, output):
    _, statistics, gradient = output
    ctx.save_for_backward(gradient)
    ctx.mark_non_differentiable(statistics, gradient)
    ctx.inputs = len(inputs)


def _backward(ctx, by, *_):
    (gradient,) = ctx.saved_tensors
    return (gradient * by, *(None,) * (ctx.inputs - 1))


_policy_loss_op.register_autograd(_backward, setup_context=_keep)
