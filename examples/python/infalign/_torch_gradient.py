# SPDX-License-Identifier: Apache-2.0
"""The loss with its gradient, for autograd and as an operator of PyTorch."""

from __future__ import annotations

import sys
import threading
from typing import Optional

import numpy as np
import torch
from torch import Tensor

from . import _core

_core.set_torch_dtypes(
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool]
)
# What a loss is made like: sooner than from a shape and a type, and on the CPU whatever the default device is.
_FLOAT, _DOUBLE = torch.zeros((), dtype=torch.float32, device="cpu"), torch.zeros((), dtype=torch.float64, device="cpu")


class Memory:
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


memory = Memory()


def evaluated(
    logits: Tensor, place: Optional[Tensor], inputs: tuple, settings: tuple, wanted: bool, threads: Optional[int]
) -> tuple[Tensor, Optional[Tensor], Tensor]:
    """The loss, the statistics, and the gradient in its place."""
    gradient = memory.like(logits) if place is None else place.detach()
    total, statistics = run(logits, gradient, inputs, settings, wanted, threads)
    if place is not None and not place.is_inference():
        torch.autograd.graph.increment_version(place)
    return total, statistics, gradient


def _version(tensor: Tensor) -> int:
    """How often it was written to. Tensors of inference mode do not count that."""
    return 0 if tensor.is_inference() else tensor._version


def run(
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


class PolicyLoss(torch.autograd.Function):
    """``apply(logits, rest)``, with the other arguments of ``evaluated``: autograd looks at each argument by itself."""

    @staticmethod
    def forward(ctx, logits, rest):
        total, statistics, gradient = evaluated(logits, *rest)
        ctx.gradient, ctx.version = gradient, _version(gradient)
        ctx.set_materialize_grads(False)
        if statistics is None:
            return total
        ctx.mark_non_differentiable(statistics)
        return total, statistics

    @staticmethod
    def backward(ctx, by, *_):
        gradient = ctx.gradient
        if by is None:
            return None, None
        if gradient is None:
            raise RuntimeError(
                "policy_loss: the gradient was handed out by the first backward: call that with retain_graph=True"
            )
        if _version(gradient) != ctx.version:
            raise RuntimeError("policy_loss: the memory of the gradient was written to before backward")
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.gradient = None
        return _scaled(gradient, by), None


@torch.library.custom_op("infalign::policy_loss", mutates_args=())
def policy_loss_op(
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
    gradient = memory.like(logits)
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
    total, statistics = run(logits, gradient, inputs, settings, True, None)
    return total, statistics, gradient


@policy_loss_op.register_fake
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


policy_loss_op.register_autograd(_backward, setup_context=_keep)
