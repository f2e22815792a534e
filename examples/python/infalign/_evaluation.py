# SPDX-License-Identifier: Apache-2.0
"""What is estimated from samples: win rates, expected rewards, their errors, and what the optimal policy will be worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from . import _core
from ._arrays import to_numpy
from ._core import Estimate, OffPolicyEvaluation, OffPolicyValue, Summary
from ._names import ProcedureLike, TransformLike, as_transform

Range = Union[str, tuple[float, float], None]

_RANGES = {"win_rate": (0.0, 1.0), "difference": (-1.0, 1.0), "not_negative": (0.0, float("inf")), None: (float("-inf"), float("inf"))}


def win_rate(
    policy: Any,
    base: Any,
    procedure: ProcedureLike = "standard",
    base_procedure: Optional[ProcedureLike] = None,
    *,
    out: Any = None,
    threads: int = 1,
) -> Any:
    """The win rate of every prompt: how often what ``procedure`` serves of the policy beats what is served of the base policy.

    ``policy`` and ``base`` are (P, M) and (P, K) arrays or Ragged of rewards of one type, with at least the samples that the procedures
    draw. A tie counts ½. For all procedures but ``best_of_poisson`` the estimate is unbiased: the mean over all pairs of subsets.
    Returns P float64 values in [0, 1]. ``summarize(…, range="win_rate")`` gives their mean with its error.

    >>> win_rate(np.array([[1.0, 3.0]]), np.array([[2.0, 2.0]]), "best_of:2")
    array([1.])
    """
    return _core.win_rate(policy, base, procedure, base_procedure, out, threads)


def expected_reward(rewards: Any, procedure: ProcedureLike = "standard", *, out: Any = None, threads: int = 1) -> Any:
    """The expected reward of every prompt under a procedure: the mean over all N-subsets of what it serves. P float64 values.

    Of rewards 0 and 1, ``best_of:k`` gives pass@k, and ``worst_of:k`` the probability that all of k samples pass.
    """
    return _core.expected_reward(rewards, procedure, out, threads)


def win_rate_curve(
    policy: Any,
    base: Any,
    n: int,
    *,
    served: str = "best",
    base_serves: str = "same",
    out: Any = None,
    threads: int = 1,
) -> Any:
    """The win rate of every prompt for every N = 1 … n at once: column N - 1 is ``win_rate(policy, base, f"best_of:{N}")``.

    ``served``: ``"best"`` or ``"worst"`` of N. ``base_serves``: ``"same"``, or ``"one_sample"`` whatever N is. Every prompt needs n
    samples of the policy, and of the base policy as many, or one. Returns (P, n) float64 values; ``out`` is written instead. Cost: about
    that of three single N.

    >>> win_rate_curve(np.array([[1.0, 3.0]]), np.array([[2.0, 2.0]]), 2)
    array([[0.5, 1. ]])
    """
    return _core.win_rate_curve(policy, base, n, served, base_serves, out, threads)


def expected_reward_curve(rewards: Any, n: int, *, served: str = "best", out: Any = None, threads: int = 1) -> Any:
    """The expected reward of every prompt for every N = 1 … n at once: column N - 1 is ``expected_reward(rewards, f"best_of:{N}")``.

    Of rewards 0 and 1 it is pass@N. Otherwise as ``win_rate_curve``.

    >>> expected_reward_curve(np.array([[0.0, 0.0, 1.0]]), 3)[0].round(3).tolist()
    [0.333, 0.667, 1.0]
    """
    return _core.expected_reward_curve(rewards, n, served, out, threads)


def pass_at_k(samples: Any, successes: Any, k: int) -> Any:
    """pass@k from counts: the probability that one of k samples passes, where ``successes`` of ``samples`` did. Unbiased.

    Whole numbers or integer arrays, which are broadcast. For rewards of 0 and 1 use ``expected_reward(rewards, f"best_of:{k}")``.
    Source: Chen et al., Evaluating Large Language Models Trained on Code (2021), eq. 1.

    >>> pass_at_k(10, 3, 5)
    0.9166666666666666
    """
    n, c = np.broadcast_arrays(_whole(samples, "samples"), _whole(successes, "successes"))
    values = _core.pass_at_k(n.reshape(-1), c.reshape(-1), k).reshape(n.shape)
    return values if values.ndim else float(values)


def preferences(judgments: Any, *, out: Any = None, threads: int = 1) -> Any:
    """The win rate of every prompt from judgments in [0, 1]: 1 where the policy is preferred, 0 where the base is, ½ for a tie.

    A (P, M) array or Ragged, at least one judgment a prompt; AlpacaEval's ``preference`` less 1. P float64 values.
    """
    return _core.preferences(judgments, out, threads)


def select(rewards: Any, procedure: ProcedureLike = "standard", seed: int = 0) -> Any:
    """Runs a procedure on samples in hand: the position of the sample that is served to each prompt, as P values of int64.

    Procedures: those of ``procedure_names()`` but for ``best_of_poisson`` and ``best_of_random``, whose number of samples is a matter of
    chance; and ``soft_best_of:N:LAMBDA`` and ``rewind_and_repeat:TAU:M``, in units of the reward. A prompt has as many rewards as the
    procedure draws, in the order in which they were drawn; ``standard`` takes any of however many there are. Equal rewards are equally
    likely; ``rewind_and_repeat`` takes the first of them. The same seed gives the same choice.

    >>> select(np.array([[0.1, 0.9, 0.3]]), "best_of:3")
    array([1])
    >>> select(np.array([[0.1, 0.9, 0.3]]), "rewind_and_repeat:0.2:3")
    array([1])
    """
    return _core.select(rewards, procedure, seed)


def summarize(values: Any, *, clusters: Any = None, range: Range = None) -> Estimate:
    """The mean of one value a prompt with its standard error.

    ``clusters``: an integer for each prompt; prompts of one cluster may be alike, and ``count`` is the number of clusters. ``range``:
    ``"win_rate"`` (0 … 1), ``"difference"`` (-1 … 1), ``"not_negative"`` or a pair; intervals are cut to it.
    """
    return _core.summarize(_doubles(values, "values"), _whole_or_none(clusters), *_range(range))


@dataclass(frozen=True)
class Comparison:
    """The difference of two policies, paired by prompt."""

    difference: Estimate
    #: of the hypothesis that a difference is as likely as its negative, by flipping signs
    p_value: float


def compare(first: Any, second: Any, *, clusters: Any = None, range: Range = "difference", seed: int = 0) -> Comparison:
    """``first - second``, each one value a prompt on the same prompts, with its error and a p-value that holds for few prompts.

    >>> compare(np.array([0.75, 0.5]), np.array([0.25, 0.25])).difference.value
    0.375
    """
    a, b = _doubles(first, "first"), _doubles(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"compare: second has {len(b)} values, but first has {len(a)}")
    for name, values in (("first", a), ("second", b)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ValueError(f"compare: {name}[{bad[0]}] is {values[bad[0]]}, must be finite")
    ids = _whole_or_none(clusters)
    return Comparison(_core.summarize(a - b, ids, *_range(range)), _core.sign_flip_p_value(a - b, ids, seed))


def evaluate(
    base_rewards: Any,
    transform: Optional[TransformLike],
    beta: float,
    procedure: ProcedureLike = "standard",
    base_procedure: Optional[ProcedureLike] = None,
    *,
    return_prompts: bool = False,
    threads: int = 1,
) -> Any:
    """What the optimal policy for ``E[Φ(C)] - β·KL`` will reach, from rewards of base samples alone: KL and win rates, with intervals.

    ``base_rewards``: a (P, K) array or Ragged, K ≥ 2. ``transform`` None: the rewards as they are, as in ordinary RLHF. Look at
    ``reliable`` and ``doubt`` first: they say whether there are enough samples where the policy would put its mass.

    Returns an ``OffPolicyEvaluation``; with ``return_prompts`` also a dict of the corrected values of every prompt, ``kl``,
    ``standard_win_rate``, ``inference_win_rate`` and ``effective_samples``, of which each may lie outside its range.
    """
    phi = None if transform is None else as_transform(transform)
    result, columns = _core.evaluate(base_rewards, phi, beta, procedure, base_procedure, return_prompts, threads)
    names = ("kl", "standard_win_rate", "inference_win_rate", "effective_samples")
    return (result, dict(zip(names, columns))) if return_prompts else result


def tilted_win_rate(
    rewards: Any,
    beta: float,
    procedure: ProcedureLike = "standard",
    base_procedure: Optional[ProcedureLike] = None,
    *,
    threads: int = 1,
) -> tuple[Any, Any]:
    """Win rate and KL of the policy that maximises ``E[R] - β·KL``, where the base policy is uniform on the K samples of each prompt:
    ``p_i = e^(R_i/β)/Σ_j e^(R_j/β)``. Exact for that finite base; ``evaluate`` estimates it for the true one.

    ``rewards``: a (P, K) array or Ragged of what is maximised, rewards or an increasing transform of them. As an estimate for the true base
    policy it is optimistic: the policy is tuned to the very samples it is measured on, and its KL cannot pass ``log K``. A tie counts ½.
    Returns P float64 values each, win rates under the procedures and KLs in nats.

    >>> wins, kl = tilted_win_rate(np.array([[0.0, 1.0]]), 1e-9)
    >>> float(wins[0]), round(float(kl[0]), 4)
    (0.75, 0.6931)
    """
    return _core.tilted_win_rate(rewards, beta, procedure, base_procedure, threads)


def _doubles(values: Any, name: str) -> np.ndarray:
    array = to_numpy(values, name)
    if array.dtype != np.float64:
        raise TypeError(f"{name} is {array.dtype}, must be float64")
    return array


def _whole(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} is {array.dtype}, must be whole numbers")
    return array.astype(np.int64)


def _whole_or_none(values: Any) -> Optional[np.ndarray]:
    return None if values is None else _whole(values, "clusters")


def _range(range: Range) -> tuple[float, float]:
    if range is None or isinstance(range, str):
        if range not in _RANGES:
            raise ValueError(f"range is {range!r}, must be one of {[r for r in _RANGES if r]} or a pair")
        return _RANGES[range]
    try:
        lowest, highest = (float(x) for x in range)
    except (TypeError, ValueError) as error:
        raise ValueError(f"range is {range!r}, must be one of {[r for r in _RANGES if r]} or a pair of numbers") from error
    if not lowest <= highest:
        raise ValueError(f"range is {range!r}, its lowest value must not be above its highest")
    return lowest, highest


Estimate.__doc__ = """A mean: ``value`` of ``count`` independent values, its ``standard_error``, and the range of what it estimates.

``interval(level=0.95)`` is two-sided, by Student's t, and cut to ``lowest`` … ``highest``. Where both are finite it also allows for what was
not seen: of 20 prompts that were all won, it is 0.80 … 1. Of fewer than two values it is the whole range."""
Summary.__doc__ = """``count``, ``mean`` and ``m2 = Σ(x - mean)²`` of values that come one by one or in parts: a state that merges.

``Summary.of(values)`` takes a (P,) array of float64, ``add(x)`` one value, ``merge(other)`` those of another summary.
``estimate(lowest, highest)`` is the mean with its error. ``to_bytes()`` and ``from_bytes(state)``: 40 bytes, the same on every machine and in
C++. Values must be finite."""
OffPolicyValue.__doc__ = """A predicted number: ``corrected`` has the bias of order 1/K taken out, ``plug_in`` takes the samples for the base policy.

``value`` is the corrected one, ``bias`` how much may be left, ``interval(level=0.95)`` allows for both and for a reward that was not
sampled."""
OffPolicyEvaluation.__doc__ = """What ``evaluate`` foretells: ``kl``, ``standard_win_rate`` and ``inference_win_rate``, each an ``OffPolicyValue``.

``reliable`` says whether their intervals hold what they promise, ``doubt`` why they may not, or nothing. ``effective_samples``: how many of
a prompt's samples carry the policy, ``(Σe)²/Σe²`` of their tilts; ``thin_prompts``: how many prompts have fewer than 4."""


def _show_estimate(self: Estimate) -> str:
    return f"Estimate({self.value:.6g} ± {self.standard_error:.2g}, n = {self.count})"


Estimate.__repr__ = _show_estimate
Estimate.__reduce__ = lambda self: (Estimate, (self.value, self.standard_error, self.count, self.lowest, self.highest))
Summary.__repr__ = lambda self: f"Summary(count = {self.count}, mean = {self.mean}, m2 = {self.m2})"
Summary.__reduce__ = lambda self: (Summary, (self.count, self.mean, self.m2))
Summary.of = staticmethod(lambda values: _core.summary_of(_doubles(values, "values")))
OffPolicyValue.__repr__ = lambda self: "OffPolicyValue({:.6g}, 95 % {:.6g} … {:.6g})".format(self.value, *self.interval())
OffPolicyEvaluation.__repr__ = lambda self: (
    f"OffPolicyEvaluation(kl = {self.kl}, standard_win_rate = {self.standard_win_rate},"
    f" inference_win_rate = {self.inference_win_rate}, {'reliable' if self.reliable else self.doubt})"
)
