# SPDX-License-Identifier: Apache-2.0
"""Advantages of rollouts, from their rewards."""

from __future__ import annotations

from typing import Any

from . import _core

_GROUP = {"single", "missing"}
#: What each kind takes, and what of it must be given.
_OPTIONS = {
    "leave_one_out": _GROUP,
    "mean_centred": _GROUP,
    "group_normalized": _GROUP | {"epsilon", "spread"},
    "mean_normalized": {"epsilon", "missing"},
    "nonzero_scaled": _GROUP,
    "best_sample": {"over", "normalized", "epsilon"},
    "length_weighted": {"lengths"},
    "greedy_baseline": {"greedy"},
    "max_at_k": {"k"},
    "pass_at_k": {"k"},
    "expected_reward": {"procedure", "baseline"},
    "win_rate": {"base_rewards", "procedure", "base_procedure", "baseline"},
}
_NEEDED = {
    "length_weighted": {"lengths"},
    "greedy_baseline": {"greedy"},
    "max_at_k": {"k"},
    "pass_at_k": {"k"},
    "expected_reward": {"procedure"},
    "win_rate": {"base_rewards", "procedure"},
}
_ALIASES = {"grpo": "group_normalized", "rloo": "leave_one_out", "remax": "greedy_baseline", "opo": "length_weighted"}


def advantage(kind: str, rewards: Any, *, out: Any = None, threads: int = 1, **options: Any) -> Any:
    """The advantage of each rollout. ``rewards``: a (P, N) array or Ragged; the result is of its shape, type and kind.

    ====================  =======================================================================================================
    kind                  formula, and what it takes
    ====================  =======================================================================================================
    ``group_normalized``  GRPO (``grpo``): ``(r - mean)/(sd + epsilon)``; ``epsilon=1e-4``, ``spread="bessel"`` or ``"population"``
    ``leave_one_out``     RLOO (``rloo``): ``r`` less the mean of the others
    ``mean_centred``      Dr. GRPO: ``r - mean``
    ``mean_normalized``   MaxRL: ``(r - mean)/(mean + epsilon)``; ``epsilon=1e-6``
    ``nonzero_scaled``    GPG: ``r - mean``, times the number of rewards over that of those that are not 0
    ``best_sample``       verl's ``grpo_passk``; ``over="second"`` or ``"mean"``, ``normalized=True``, ``epsilon=1e-6``
    ``length_weighted``   OPO (``opo``): less the mean weighted by ``lengths``
    ``greedy_baseline``   ReMax (``remax``): less ``greedy``, one reward a prompt
    ``max_at_k``          PKPO; ``k``
    ``pass_at_k``         Pass@k training, analytic, of rewards 0 and 1; ``k``
    ``expected_reward``   of what ``procedure`` serves; ``baseline="leave_one_out"`` or ``"none"``
    ``win_rate``          the gradient of the win rate itself: ``base_rewards``, ``procedure``, ``base_procedure``, ``baseline``
    ====================  =======================================================================================================

    Those over the mean of a group also take ``single="refused"``, ``"zero"`` or ``"uncentred"``, for groups of one, and
    ``missing="refused"``, ``"left_out"`` or a number, for rewards that are NaN. Errors: ``TypeError`` for an option that a kind does
    not take, or one that is missing; ``ValueError`` with the library's message.

    >>> advantage("leave_one_out", np.array([[1.0, 2.0, 3.0]]))
    array([[-1.5,  0. ,  1.5]])
    """
    kind = _ALIASES.get(kind, kind)
    if kind in _OPTIONS:
        given = set(options)
        if given - _OPTIONS[kind]:
            raise TypeError(
                f"advantage: {kind} takes no {sorted(given - _OPTIONS[kind])[0]}; it takes {', '.join(sorted(_OPTIONS[kind]))}"
            )
        missing = _NEEDED.get(kind, set()) - given
        if missing:
            raise TypeError(f"advantage: {kind} needs {', '.join(sorted(missing))}")
    return _core.advantage(kind, rewards, options, out, threads)
