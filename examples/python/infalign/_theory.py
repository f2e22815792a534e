# SPDX-License-Identifier: Apache-2.0
"""Which transform to train with, at which β, what to expect of it, and how far a proxy may be optimised, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Union

from . import _core
from ._core import OptimalTransform
from ._names import ProcedureLike, TransformLike, as_transform, parse_transform


@dataclass(frozen=True)
class Tradeoff:
    """A point of a frontier."""

    beta: float
    #: in nats
    kl: float
    inference_win_rate: float
    standard_win_rate: float


@dataclass(frozen=True)
class PlanRow:
    """What a transform reaches at the KL, or the β, of its section."""

    #: a name, or ``optimal``
    transform: str
    #: None where no β has the wanted KL
    reached: Optional[Tradeoff]
    #: what β → 0 leads to
    largest_kl: float
    #: win rate that is given away against the optimum at the same KL
    price: float
    #: whether ``price`` is an upper bound only
    price_is_bound: bool
    #: β for the transform scaled to a range of 1, for a trainer of rewards between 0 and 1; NaN if it is unbounded
    scaled_beta: float


@dataclass(frozen=True)
class PlanSection:
    """All transforms at one KL, or one β."""

    #: the KL, or the β
    wanted: float
    #: the lowest price first
    rows: tuple[PlanRow, ...]
    #: no policy exceeds it
    bound: float
    bound_proved: bool
    #: of the best row over the base policy
    gain: float
    proof: str

    def __getitem__(self, transform: str) -> PlanRow:
        """The row of a transform, by its name."""
        for row in self.rows:
            if row.transform == transform:
                return row
        raise KeyError(transform)


@dataclass(frozen=True)
class PlanTable:
    """What ``plan`` gives; ``print`` shows it as a table."""

    sections: tuple[PlanSection, ...]
    #: the name of a row, or empty
    recommended: str
    price: float
    price_is_bound: bool
    proof: str
    procedure: str
    base_procedure: str

    def __str__(self) -> str:
        lines = [f"{self.procedure} against {self.base_procedure}"]
        for section in self.sections:
            lines.append(f"{'transform':18} {'beta':>12} {'scaled beta':>12} {'KL':>8} {'inference':>10} {'standard':>9} {'price':>8}")
            for row in section.rows:
                if row.reached is None:
                    lines.append(f"{row.transform:18} reaches a KL of at most {row.largest_kl:.4g}")
                    continue
                p = row.reached
                lines.append(
                    f"{row.transform:18} {p.beta:12.6g} {row.scaled_beta:12.6g} {p.kl:8.4f} {p.inference_win_rate:10.4f}"
                    f" {p.standard_win_rate:9.4f} {row.price:8.4f}"
                )
        return "\n".join([*lines, f"recommended: {self.recommended or 'none'}"])


def plan(
    procedure: ProcedureLike,
    base_procedure: Optional[ProcedureLike] = None,
    *,
    kl: Union[float, Sequence[float], None] = None,
    beta: Optional[float] = None,
    transforms: Optional[Sequence[TransformLike]] = None,
    forgo: float = 1e-3,
) -> PlanTable:
    """Ranks transforms, and the optimum, at KL budgets in nats, or at one β: what each wins, and which is recommended.

    ``procedure`` may be one that selects by the calibrated reward, too: ``soft_best_of:N:LAMBDA``, ``rewind_and_repeat:TAU:M``.
    ``transforms``: by default identity, logarithm, and exponential with t = ±5 and ±10. ``forgo``: the share of what can be gained that
    you would give up to train with a transform in closed form. Cost: about 1 ms a transform and budget, without the GIL.

    >>> plan("best_of:4", kl=1).recommended
    'optimal'
    """
    if (kl is None) == (beta is None):
        raise TypeError("plan: give either kl, one budget or several, or beta")
    budgets = [] if kl is None else [float(kl)] if isinstance(kl, (int, float)) else [float(k) for k in kl]
    tried = None if transforms is None else [_parsed(t) for t in transforms]
    sections, recommended, price, bound, proof = _core.plan(procedure, base_procedure, budgets, beta, tried, forgo)
    return PlanTable(
        tuple(
            PlanSection(
                wanted,
                tuple(PlanRow(name, None if p is None else Tradeoff(*p), *rest) for name, p, *rest in rows),
                *of_section,
            )
            for wanted, rows, *of_section in sections
        ),
        recommended,
        price,
        bound,
        proof,
        _name(procedure),
        _name(procedure if base_procedure is None else base_procedure),
    )


def optimal_transform(
    procedure: ProcedureLike,
    base_procedure: Optional[ProcedureLike] = None,
    *,
    kl: Optional[float] = None,
    beta: Optional[float] = None,
) -> OptimalTransform:
    """The transform whose policy wins most, for a KL budget in nats or a β. ``.table()`` is it in the form that training takes.

    Procedures are those of ``plan``. Where they select by reward, the transform need not rise with it.

    >>> best = optimal_transform("best_of:4", kl=1)
    >>> round(best.win_rate, 4), round(best.beta, 4)
    (0.9411, 0.083)
    """
    if (kl is None) == (beta is None):
        raise TypeError("optimal_transform: give either kl or beta")
    return _core.optimal_transform(procedure, base_procedure, kl, beta)


@dataclass(frozen=True)
class Hedged:
    """How far a proxy is best optimised."""

    #: n, or μ
    parameter: float
    #: the true reward of what is served there
    value: float
    #: of what is served to the policy it is sampled from, in nats
    kl: float


def hedge_best_of(true_reward: Callable[[float], float], most: float = 1e4) -> Hedged:
    """The n at which best-of-n by a proxy is worth most, ``∫ g(u)·n·u^(n-1) du``: n is any real number from 1 to ``most``.

    ``true_reward``: g, the expected true reward of responses at the quantile u of the proxy. It is called for about 3,000 u of [0, 1], the
    ends included, once each.
    One of the whole numbers beside n can be run: compare ``served_value(g, f"best_of:{N}")``. From samples with both rewards:
    ``proxy_reward_curve``. Source: HedgeTune, Khalaf et al., arXiv 2506.19248.

    >>> best = hedge_best_of(lambda u: u**12 * (1 - u))   # better up to u = 12/13, then worse
    >>> round(best.parameter, 3), round(best.kl, 3)
    (12.49, 1.605)
    """
    return Hedged(*_core.hedge_best_of(true_reward, most))


def hedge_best_of_poisson(true_reward: Callable[[float], float], most: float = 1e4) -> Hedged:
    """The mean μ ≤ ``most`` at which the best of 1 + Poisson(μ) samples by a proxy is worth most. As ``hedge_best_of``."""
    return Hedged(*_core.hedge_best_of_poisson(true_reward, most))


def served_value(true_reward: Callable[[float], float], procedure: ProcedureLike) -> float:
    """What a procedure that selects by a proxy serves on average: ``∫ g(u)·G'(u) du``, g as in ``hedge_best_of``.

    To about 1e-12 of the largest ``|g|`` where g is smooth, for up to 1e9 samples.

    >>> round(served_value(lambda u: u, "best_of:9"), 6)
    0.9
    """
    return _core.served_value(true_reward, procedure)


def procedure_kl(procedure: ProcedureLike) -> float:
    """The KL in nats of what a procedure serves to the policy it is run on, where rewards have no ties: ``∫ G'·log G'``.

    For best-of-N it is ``best_of_kl(N)``.

    >>> round(procedure_kl("best_of_poisson:4"), 3)
    0.674
    """
    return _core.procedure_kl(procedure)


def _parsed(transform: TransformLike) -> Any:
    given = as_transform(transform)
    return parse_transform(given) if isinstance(given, str) else given


def _name(procedure: ProcedureLike) -> str:
    return procedure if isinstance(procedure, str) else procedure.name


OptimalTransform.__doc__ = """The transform whose policy wins most, and that policy: its ``kl`` in nats at ``beta``, its
``win_rate`` under the procedure, and its ``standard_win_rate``.

It is called with one u of [0, 1]. ``density(u)`` and ``cdf(u)`` are those of the quantile of what the policy samples, which is uniform under
the base policy. ``table(tolerance=1e-6)`` is it as a ``Transform``, to that share of its range. ``proof`` says how it is known that there is no
better one."""
OptimalTransform.__repr__ = lambda self: (
    f"<OptimalTransform beta = {self.beta:.6g}, KL = {self.kl:.6g}, win rate = {self.win_rate:.6g}, {self.proof}>"
)
