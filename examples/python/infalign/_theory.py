# SPDX-License-Identifier: Apache-2.0
"""Which transform to train with, at which β, and what to expect of it, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

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


def _parsed(transform: TransformLike) -> Any:
    given = as_transform(transform)
    return parse_transform(given) if isinstance(given, str) else given


def _name(procedure: ProcedureLike) -> str:
    return procedure if isinstance(procedure, str) else procedure.name


OptimalTransform.__repr__ = lambda self: (
    f"<OptimalTransform beta = {self.beta:.6g}, KL = {self.kl:.6g}, win rate = {self.win_rate:.6g}, {self.proof}>"
)
