# SPDX-License-Identifier: Apache-2.0
"""The library within jitted functions of JAX, on the CPU, by XLA's foreign function interface: calibration, win rates, and policy losses
with their gradients.

Outside of ``jit`` the functions of ``infalign`` take JAX arrays as well. These here also run inside of it, and ``policy_loss`` has a
derivative. The handlers are part of the extension where it was built with jaxlib at hand: ``INFALIGN_JAX=1 pip install …``.

Errors of the library come as JAX's ``JaxRuntimeError``, with its message, when the compiled function runs.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import Optional, Union

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax import Array

from . import _core
from ._policy_loss import TokenStatistics, settings_of

__all__ = ["TokenStatistics", "calibrate", "policy_loss", "win_rate"]

if not _core.jax_handlers():
    raise ImportError("infalign.jax: this build has no handlers for JAX: install it by INFALIGN_JAX=1 pip install, see its README")


def _api_of_jaxlib() -> tuple[int, int]:
    """What this jaxlib's header says of its foreign function interface; where it says nothing, beyond any other."""
    header = os.path.join(jax.ffi.include_dir(), "xla", "ffi", "api", "c_api.h")
    if not os.path.exists(header):
        return sys.maxsize, 0
    with open(header, encoding="utf-8") as text:
        found = dict(re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR)\s+(\d+)", text.read()))
    return int(found.get("MAJOR", sys.maxsize)), int(found.get("MINOR", 0))


# XLA would refuse all of its CPU backend for one handler that is newer than itself.
if _core.jax_api() > _api_of_jaxlib():
    raise ImportError(
        f"infalign.jax: its handlers are for version {_core.jax_api()} of XLA's foreign function interface, jaxlib {jaxlib.__version__} "
        f"has {_api_of_jaxlib()}: build infalign with an older jaxlib or use a newer one"
    )
for _name, _handler in _core.jax_handlers().items():
    jax.ffi.register_ffi_target(_name, _handler, platform="cpu")

_ATTRIBUTES = (
    "loss",
    "epsilon_low",
    "epsilon_high",
    "kl",
    "kl_estimator",
    "entropy",
    "temperature",
    "soft_cap",
    "aggregation",
    "divisor",
)


def _threads(threads: Optional[int]) -> np.int64:
    return np.int64(len(os.sched_getaffinity(0)) if threads is None else threads)


def _expect_rewards(function: str, **arrays: Array) -> None:
    """All of one type, float32 or float64, with the same dimensions but the last."""
    (first, a), (second, b) = arrays.items()
    if a.dtype != b.dtype or a.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"{function}: {first} is of {a.dtype} and {second} of {b.dtype}, must be both of float32 or of float64")
    if a.ndim < 2 or a.shape[:-1] != b.shape[:-1]:
        raise ValueError(f"{function}: {first} is of shape {a.shape} and {second} of {b.shape}, must be (P, K) and (P, M)")


def calibrate(
    references: Array,
    rewards: Array,
    *,
    transform: str = "identity",
    ties: str = "mid_rank",
    leave_one_out: bool = False,
    threads: Optional[int] = 1,
) -> Array:
    """Calibrated rewards, and their transform, as ``infalign.calibrate`` has them: ``(P, K)`` and ``(P, M)`` to ``(P, M)``.

    No derivative: they weigh samples. Under ``vmap`` all prompts of the batch go into one call. ``threads=None``: all of them.
    """
    references, rewards = jnp.asarray(references), jnp.asarray(rewards)
    _expect_rewards("calibrate", references=references, rewards=rewards)
    call = jax.ffi.ffi_call("infalign_calibrate", jax.ShapeDtypeStruct(rewards.shape, rewards.dtype), vmap_method="broadcast_all")
    references, rewards = jax.lax.stop_gradient((references, rewards))
    return call(references, rewards, transform=transform, ties=ties, leave_one_out=bool(leave_one_out), threads=_threads(threads))


def win_rate(
    policy: Array,
    base: Array,
    procedure: str = "standard",
    base_procedure: Optional[str] = None,
    *,
    threads: Optional[int] = 1,
) -> Array:
    """The win rate of every prompt, as ``infalign.win_rate`` has it, in the type of the rewards: ``(P, M)`` and ``(P, K)`` to ``(P,)``."""
    policy, base = jnp.asarray(policy), jnp.asarray(base)
    _expect_rewards("win_rate", policy=policy, base=base)
    call = jax.ffi.ffi_call("infalign_win_rate", jax.ShapeDtypeStruct(policy.shape[:-1], policy.dtype), vmap_method="broadcast_all")
    policy, base = jax.lax.stop_gradient((policy, base))
    return call(policy, base, procedure=procedure, base_procedure=base_procedure or procedure, threads=_threads(threads))


def policy_loss(
    logits: Array,
    tokens: Array,
    advantages: Array,
    *,
    mask: Optional[Array] = None,
    old_log_prob: Optional[Array] = None,
    base_logits: Optional[Array] = None,
    base_log_prob: Optional[Array] = None,
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
    return_statistics: bool = False,
    threads: Optional[int] = None,
) -> Union[Array, tuple[Array, TokenStatistics]]:
    """The loss of a batch of tokens, a single number, differentiable by ``logits``: ``infalign.torch.policy_loss`` has the arguments.

    One pass over the logits gives the loss and its gradient, which lies where the logits lay wherever XLA can see that nobody reads them
    again, as in a step that computes them. Numbers and names are constants of the compiled function. Under ``vmap`` the calls follow
    each other. No second derivative. ``threads=None``: all that the process may use.
    """
    logits, tokens = jnp.asarray(logits), jnp.asarray(tokens)
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
    rest = (tokens, advantages, mask, old_log_prob, base_logits, base_log_prob)
    rest = jax.lax.stop_gradient(tuple(jnp.zeros(0, jnp.float32) if x is None else jnp.asarray(x) for x in rest))
    total, statistics = _loss(logits, rest, (settings, int(_threads(threads))))
    return (total, TokenStatistics(*statistics)) if return_statistics else total


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _loss(logits: Array, rest: tuple, constants: tuple) -> tuple[Array, Array]:
    return _loss_and_gradient(logits, rest, constants)[0]


def _loss_and_gradient(logits: Array, rest: tuple, constants: tuple) -> tuple[tuple[Array, Array], Array]:
    settings, threads = constants
    wide = jnp.float64 if logits.dtype == jnp.float64 else jnp.float32
    shapes = (
        jax.ShapeDtypeStruct(logits.shape, logits.dtype),
        jax.ShapeDtypeStruct((4, *rest[0].shape), wide),
        jax.ShapeDtypeStruct((), wide),
    )
    call = jax.ffi.ffi_call("infalign_policy_loss", shapes, vmap_method="sequential", input_output_aliases={0: 0})
    attributes = {n: v if isinstance(v, str) else np.float64(v) for n, v in zip(_ATTRIBUTES, settings)}
    gradient, statistics, total = call(logits, *rest, **attributes, threads=np.int64(threads))
    return (total, statistics), gradient


def _backward(_: tuple, gradient: Array, by: tuple[Array, Array]) -> tuple[Array, None]:
    return (gradient * by[0]).astype(gradient.dtype), None


_loss.defvjp(_loss_and_gradient, _backward)
