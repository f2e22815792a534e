# SPDX-License-Identifier: Apache-2.0
"""Votes on answers, success beyond what was sampled, KL of samples, win rates at equal lengths, and what a proxy is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Hashable, Optional, Sequence, Union

import numpy as np

from . import _core
from ._core import BetaRates, Estimate, ExtrapolatedRate, MeanCovariance
from ._evaluation import _doubles, _whole, _whole_or_none
from ._names import TransformLike, as_transform

__all__ = ["BetaRates", "ExtrapolatedRate"]


def majority_at_k(answers: Sequence[Sequence[Hashable]], correct: Sequence[Hashable], k: int) -> np.ndarray:
    """maj@k of every prompt: the probability that the most frequent of k of its answers is the right one. Unbiased, in [0, 1].

    ``answers`` has the answers of every prompt, at least k, ``correct`` the right one of each, whether it was given or not. Answers that
    are equally frequent are chosen from at random. Equal answers must compare equal, so write them alike first. Cost: about k³ times the
    number of answers, a prompt.
    Source: self-consistency, Wang et al., ICLR 2023; the mean over all k-subsets.

    >>> majority_at_k([["42", "42", "41"]], ["42"], 2).round(4)
    array([0.6667])
    """
    if len(answers) != len(correct):
        raise ValueError(f"majority_at_k: correct has {len(correct)} values, but answers has {len(answers)} prompts")
    values = np.empty(len(answers))
    for p, (given, right) in enumerate(zip(answers, correct)):
        counts: dict[Hashable, int] = {}
        for answer in given:
            counts[answer] = counts.get(answer, 0) + 1
        if len(given) < k:
            raise ValueError(f"majority_at_k: answers[{p}] has {len(given)} values, fewer than k = {k}")
        place = list(counts).index(right) if right in counts else -1
        values[p] = _core.majority_at_k(np.fromiter(counts.values(), np.int64, len(counts)), place, k)
    return values


def consensus_at_k(samples: Any, successes: Any, k: int, needed: Optional[int] = None) -> Any:
    """cons@k from counts: the probability that at least ``needed`` of k samples pass; None: more than half of them. Unbiased.

    Whole numbers or integer arrays, which are broadcast, as in ``pass_at_k``, which is ``needed=1``.

    >>> consensus_at_k(4, 2, 3)
    0.5
    """
    n, c = np.broadcast_arrays(_whole(samples, "samples"), _whole(successes, "successes"))
    least = k // 2 + 1 if needed is None else needed
    values = np.array([_core.consensus_at_k(int(a), int(b), k, least) for a, b in zip(n.flat, c.flat)]).reshape(n.shape)
    return values if values.ndim else float(values)


def fit_beta_rates(samples: Any, successes: Any) -> BetaRates:
    """Success rates of prompts as a Beta distribution, fitted to counts: ``fit.pass_at(10_000).interval()`` goes beyond what was sampled.

    Whole numbers, one a prompt. It rests on how rates are distributed near 0; where it differs from ``extrapolate_power_law``, trust
    neither. Errors: ``ValueError`` if all samples passed or none did.
    """
    return _core.fit_beta_rates(_whole(samples, "samples"), _whole(successes, "successes"))


def extrapolate_power_law(curve: Any, target: float, attempts: Any = None) -> ExtrapolatedRate:
    """The success rate at ``target`` attempts, by a power law ``-log rate(N) = a·N^-b`` through the mean of a (P, M) curve over prompts.

    ``attempts`` are the N of its columns, at least 4; None: 1 … M, as ``expected_reward_curve`` gives them. The interval holds the error
    over prompts, and how far the second half of the curve disagrees with the whole.
    """
    rows = _doubles(curve, "curve")
    if rows.ndim != 2:
        raise ValueError(f"extrapolate_power_law: curve has {rows.ndim} dimensions, must have 2")
    n = np.arange(1.0, rows.shape[1] + 1) if attempts is None else np.asarray(attempts, np.float64)
    return _core.extrapolate_power_law(MeanCovariance.of(np.ascontiguousarray(rows.T)), n, target)


def best_of_kl(n: int, probabilities: Any = None, rewards: Any = None) -> float:
    """The KL of best-of-n to its base policy, in nats.

    With the probabilities and rewards of finitely many responses it is exact, ties included; without, the bound ``log n - (n-1)/n``, which
    holds for every policy and is reached with continuous rewards. Source: Beirami et al., arXiv 2401.01879.

    >>> best_of_kl(2, np.array([0.5, 0.5]), np.array([0.0, 1.0])), best_of_kl(2)
    (0.13081203594113697, 0.1931471805599453)
    """
    if (probabilities is None) != (rewards is None):
        raise TypeError("best_of_kl: probabilities and rewards come together")
    if probabilities is None:
        return _core.best_of_kl_bound(n)
    return _core.best_of_kl(n, _doubles(probabilities, "probabilities"), _doubles(rewards, "rewards"))


def best_of_kl_estimate(n: int, probability: float) -> float:
    """The tighter estimate for one prompt, from the probability of what best-of-n served under the base policy; the mean over prompts
    estimates the KL. Source: as ``best_of_kl``, section 4.
    """
    return _core.best_of_kl_estimate(n, probability)


@dataclass(frozen=True)
class SequenceKL:
    """Estimates of KL(π‖π₀) of responses that π sampled, in nats. With ``d = log π₀(y) - log π(y)`` of a whole response:"""

    #: of -d: unbiased, may be negative
    k1: Estimate
    #: of d²/2: biased where the policies are far apart
    k2: Estimate
    #: of e^d - d - 1: unbiased, never negative
    k3: Estimate
    #: of the sum of the tokens' exact KLs: unbiased, and of the smallest error; None if they were not given
    rao_blackwell: Optional[Estimate]


def sequence_kl(log_probs: Any, base_log_probs: Any, token_kls: Any = None, *, clusters: Any = None) -> SequenceKL:
    """The KL of whole responses, from the log-probabilities of their tokens under the policy that sampled them and under the base.

    (S, T) arrays or Ragged of float64, one group a response; ``token_kls`` alike, the KL of the next token's distribution at every
    position. ``clusters``: the prompt of every response, whole numbers, where prompts are what is sampled.
    Source: Schulman (2020); Amini, Vieira and Cotterell, arXiv 2504.10637.
    """
    k1, k2, k3, exact = _core.sequence_kl(log_probs, base_log_probs, token_kls, _whole_or_none(clusters))
    return SequenceKL(k1, k2, k3, None if token_kls is None else exact)


@dataclass(frozen=True)
class LengthControlled:
    """``P(policy preferred) = 1/(1 + e^-x)`` with ``x = of_policy + of_length·tanh(Δ/sd) + of_difficulty·γ``."""

    #: at equal lengths, with the error of the mean and of the coefficients
    win_rate: Estimate
    #: with the error that AlpacaEval reports
    as_alpaca_eval: Estimate
    of_policy: float
    of_length: float
    of_difficulty: float


def length_controlled(
    preferences: Any, length_differences: Any, *, difficulties: Any = None, clusters: Any = None, ridge: float = 0.0
) -> LengthControlled:
    """The win rate that judgments would show at equal lengths, by AlpacaEval 2's logistic regression.

    float64, one a prompt: the probability that the policy is preferred, and the length of the base's response less the policy's.
    ``difficulties``: AlpacaEval's γ of every instruction; ``clusters``: whole numbers; ``ridge``: an L2 penalty, for judgments that no
    finite coefficients fit. Source: Dubois et al., arXiv 2404.04475.
    """
    hard = None if difficulties is None else _doubles(difficulties, "difficulties")
    p, d = _doubles(preferences, "preferences"), _doubles(length_differences, "length_differences")
    return LengthControlled(*_core.length_controlled(p, d, hard, _whole_or_none(clusters), ridge))


def proxy_reward_curve(proxy_rewards: Any, true_rewards: Any, n: int, *, threads: int = 1) -> Any:
    """The true reward of every prompt when the sample with the largest proxy of N is served, for N = 1 … n. Unbiased.

    (P, M) arrays or Ragged of one type, sample by sample. Returns (P, n) float64; ``choose_on_curve`` says which N is best.

    >>> proxy_reward_curve(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]), 2)
    array([[4., 3.]])
    """
    return _core.proxy_curve(proxy_rewards, true_rewards, n, False, threads)


def proxy_win_rate_curve(proxy_rewards: Any, true_rewards: Any, n: int, *, threads: int = 1) -> Any:
    """The win rate by the true reward of best-of-N by proxy against one plain sample of the same policy, for N = 1 … n: ½ at N = 1.

    As ``proxy_reward_curve``, with at least n + 1 samples a prompt: the opponent is not among the N. A tie counts ½.
    """
    return _core.proxy_curve(proxy_rewards, true_rewards, n, True, threads)


def best_of_poisson_curve(curve: Any, means: Any, *, threads: int = 1) -> Any:
    """What best-of-(1 + Poisson(μ)) is worth for every μ of ``means``, from a (P, M) curve of best-of-N. More than M samples count as M."""
    return _core.best_of_poisson_curve(curve, np.asarray(means, np.float64), threads)


def soft_best_of_curve(proxy_rewards: Any, true_rewards: Any, samples: int, temperatures: Any, *, threads: int = 1) -> Any:
    """The true reward of every prompt under soft best-of-N, which serves one of N with a probability proportional to ``e^(proxy/λ)``.

    One column for each λ of ``temperatures``, in the unit of the proxy. Source: Verdun et al., arXiv 2505.03156.
    """
    return _core.soft_best_of_curve(proxy_rewards, true_rewards, samples, np.asarray(temperatures, np.float64), threads)


def corrected_transform(
    references: Any,
    rewards: Any,
    transform: Union[TransformLike, Sequence[float]],
    *,
    method: Optional[str] = None,
    return_errors: bool = False,
    threads: int = 1,
) -> Any:
    """Transforms of calibrated rewards without the bias of few references: where Φ is curved, the mean of Φ(Ĉ) is not Φ(C).

    Parameters
    ----------
    references, rewards : (P, K) and (P, M) arrays or Ragged, of one type
    transform : a transform, or the coefficients of a polynomial from the constant up, at most 17
    method : ``"unbiased"`` for polynomials, ``identity`` and ``exponential:T``; ``"jackknife"`` or ``"series"`` for others, of bias 1/K²
        None: unbiased where it is known, else the jackknife.
    return_errors : also the standard error of each by its references

    A single value varies more than ``calibrate``'s and may leave the range of Φ. Ties count ½.

    >>> corrected_transform(np.array([[1.0, 2.0, 3.0]]), np.array([[2.5]]), [0.0, 0.0, 1.0]).round(6)   # u²: of 3 pairs 1 is below
    array([[0.333333]])
    """
    coefficients, phi = None, None
    if isinstance(transform, (list, tuple, np.ndarray)):
        coefficients = np.asarray(transform, np.float64)
        if method not in (None, "unbiased"):
            raise ValueError(f"corrected_transform: method is {method!r}, a polynomial is estimated without bias")
    else:
        phi = as_transform(transform)
        name = phi if isinstance(phi, str) else phi.name
        known = name == "identity" or name.startswith("exponential:")
        method = method or ("unbiased" if known else "jackknife")
    return _core.corrected_transform(references, rewards, phi, coefficients, method or "unbiased", return_errors, threads)


ExtrapolatedRate.__doc__ = """A success rate that was not sampled. ``interval(level=0.95)`` is ``value`` ± (t·``log_odds_error`` + ``model_error``) in log-odds,
Student's t with ``count - 1`` degrees of freedom: the error over prompts, and how far the model itself may be off."""
BetaRates.__doc__ = """Prompts whose success rates are Beta(``alpha``, ``beta``) distributed, as ``fit_beta_rates`` found them from ``count`` prompts.

``pass_at(n)`` is the mean over prompts of ``1 - (1-p)^n``, with its error, as an ``ExtrapolatedRate``."""
ExtrapolatedRate.__repr__ = lambda self: "ExtrapolatedRate({:.6g}, 95 % {:.6g} … {:.6g})".format(self.value, *self.interval())
BetaRates.__repr__ = lambda self: f"BetaRates(alpha = {self.alpha:.6g}, beta = {self.beta:.6g}, {self.count} prompts)"
