# SPDX-License-Identifier: Apache-2.0
"""What ``policy_loss`` is asked for, in the order in which the extension takes it, and what it says of tokens. Imports no framework."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Union

_NAN = float("nan")


class TokenStatistics(NamedTuple):
    """What is known of every token, of the shape of ``tokens``; 0 where the mask is. No gradient passes through them."""

    #: without the exact KL and the entropy bonus
    loss: Any
    #: log π of the token
    log_prob: Any
    #: KL to the base policy over the vocabulary; 0 without ``base_logits``
    kl: Any
    #: in nats
    entropy: Any


def settings_of(
    loss: Optional[str],
    preset: Optional[str],
    epsilon_low: Optional[float],
    epsilon_high: Optional[float],
    kl: float,
    kl_estimator: Optional[str],
    has_base_logits: bool,
    entropy: float,
    temperature: float,
    soft_cap: Optional[float],
    aggregation: Union[str, float, None],
) -> tuple:
    """Errors: ``TypeError`` and ``ValueError`` for what contradicts itself."""
    if loss is None:
        loss = "grpo" if preset is None else preset
    elif preset is not None or "." in loss:
        raise TypeError("policy_loss: give either loss, or the name of a preset as preset")
    if soft_cap is not None and not soft_cap > 0:
        raise ValueError(f"policy_loss: soft_cap is {soft_cap}, must be positive")
    if aggregation == "sum_over":
        raise ValueError("policy_loss: give the number that the sum is divided by as aggregation")
    return (
        loss,
        _NAN if epsilon_low is None else epsilon_low,
        _NAN if epsilon_high is None else epsilon_high,
        kl,
        kl_estimator or ("preset" if preset is not None else "exact" if has_base_logits else "k3"),
        entropy,
        temperature,
        0.0 if soft_cap is None else soft_cap,
        "" if aggregation is None else aggregation if isinstance(aggregation, str) else "sum_over",
        1.0 if aggregation is None or isinstance(aggregation, str) else float(aggregation),
    )
