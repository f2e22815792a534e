# SPDX-License-Identifier: Apache-2.0
"""A reward function for verl: its own score of a response, calibrated to the base policy's scores for the prompt and transformed.

verl imports this file; `README.md` says how it is named in the configuration, and where the base policy's scores come from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

import infalign
import numpy as np
from verl.utils.reward_score import default_compute_score


@lru_cache
def _transform(name: str) -> tuple[infalign.Transform, float, float]:
    """The transform, its value at 0, and its range."""
    transform = infalign.parse_transform(name)
    return transform, transform.value(0.0), transform.value(1.0) - transform.value(0.0)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Optional[dict] = None,
    transform: str = "identity",
    ties: str = "mid_rank",
    **others: Any,
) -> dict[str, float]:
    """``score``, which verl trains with, is the transform of the calibrated reward, from 0 to 1; ``acc`` and ``quantile`` are logged.

    ``extra_info["base_rewards"]`` are scores of the base policy's responses to the prompt. Errors: ``ValueError`` without them, or if one of
    them or the score itself is not finite.
    """
    references = None if extra_info is None else extra_info.get("base_rewards")
    if references is None or len(references) == 0:
        raise ValueError("compute_score: extra_info has no base_rewards for this prompt: see examples/verl/README.md")
    scored = default_compute_score(data_source, solution_str, ground_truth, extra_info, **others)
    reward = float(scored["score"] if isinstance(scored, dict) else scored)
    u = infalign.calibrate(np.asarray([references], np.float64), np.array([[reward]]), ties=ties)[0, 0]
    phi, lowest, width = _transform(transform)
    return {"score": (phi.value(u) - lowest) / width, "acc": reward, "quantile": float(u)}
