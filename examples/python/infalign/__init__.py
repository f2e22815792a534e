# SPDX-License-Identifier: Apache-2.0
"""Inference-aware alignment of language models: calibrate rewards, transform them for the procedure that will be run, plan and evaluate.

Rewards are arrays of float32 or float64: ``(P, K)`` for P prompts with K rewards each, or :class:`Ragged` for groups of any lengths.

Taken are NumPy arrays (and ``np.memmap``), tensors of PyTorch, and other arrays that follow DLPack, such as those of JAX, all in the
memory of the CPU; refused are lists, masked arrays, columns of data frames (see :func:`group`), tensors that require a gradient, and
arrays on a GPU. What has a value for every reward or every prompt comes out as the kind of array that the first argument is, ``Ragged``
for ``Ragged``; a ``Ragged`` itself, ``pass_at_k`` and what one asks of estimates are NumPy arrays or numbers. Numbers are never converted
silently. Rows that are not contiguous are copied; all else is read where it lies. Errors are ``ValueError`` (``Error``
with the library's message, which names argument, index and value) and ``TypeError``. Functions run without the GIL, on ``threads``
threads; results do not depend on their number.
"""

from ._arrays import Ragged
from ._core import Error, __version__, instruction_set
from ._names import (
    Procedure,
    Transform,
    parse_procedure,
    parse_transform,
    procedure_names,
    tabulated,
    transform_names,
)
from ._calibration import Calibrator, calibrate, calibration_standard_error, dkw_band
from ._evaluation import (
    Comparison,
    Estimate,
    OffPolicyEvaluation,
    OffPolicyValue,
    Summary,
    compare,
    evaluate,
    expected_reward,
    expected_reward_curve,
    pass_at_k,
    preferences,
    select,
    summarize,
    tilted_win_rate,
    win_rate,
    win_rate_curve,
)
from ._bootstrap import BootstrapEstimate, bootstrap
from ._states import (
    Betting,
    CurveChoice,
    EmpiricalBernstein,
    MeanCovariance,
    SamplingPlan,
    VarianceSplit,
    choose_on_curve,
    holm,
    jackknife,
    plan_sampling,
    stratified_mean,
)
from ._estimators import (
    BetaRates,
    ExtrapolatedRate,
    LengthControlled,
    SequenceKL,
    best_of_kl,
    best_of_kl_estimate,
    best_of_poisson_curve,
    consensus_at_k,
    corrected_transform,
    extrapolate_power_law,
    fit_beta_rates,
    length_controlled,
    majority_at_k,
    proxy_reward_curve,
    proxy_win_rate_curve,
    sequence_kl,
    soft_best_of_curve,
)
from ._ranking import Ranking, rank
from ._advantage import advantage
from ._theory import (
    Hedged,
    OptimalTransform,
    PlanRow,
    PlanSection,
    PlanTable,
    Tradeoff,
    hedge_best_of,
    hedge_best_of_poisson,
    optimal_transform,
    plan,
    procedure_kl,
    served_value,
)
from ._frames import Groups, group

Error.__doc__ = """What the library refuses: its message names the function, the argument, the index and the value. A ``ValueError``."""

__all__ = [
    "BetaRates",
    "Betting",
    "BootstrapEstimate",
    "Calibrator",
    "Comparison",
    "CurveChoice",
    "EmpiricalBernstein",
    "Error",
    "Estimate",
    "ExtrapolatedRate",
    "Groups",
    "Hedged",
    "LengthControlled",
    "MeanCovariance",
    "OffPolicyEvaluation",
    "OffPolicyValue",
    "OptimalTransform",
    "PlanRow",
    "PlanSection",
    "PlanTable",
    "Procedure",
    "Ragged",
    "Ranking",
    "SamplingPlan",
    "SequenceKL",
    "Summary",
    "Tradeoff",
    "Transform",
    "VarianceSplit",
    "__version__",
    "advantage",
    "best_of_kl",
    "best_of_kl_estimate",
    "best_of_poisson_curve",
    "bootstrap",
    "calibrate",
    "calibration_standard_error",
    "choose_on_curve",
    "compare",
    "consensus_at_k",
    "corrected_transform",
    "dkw_band",
    "evaluate",
    "expected_reward",
    "expected_reward_curve",
    "extrapolate_power_law",
    "fit_beta_rates",
    "group",
    "hedge_best_of",
    "hedge_best_of_poisson",
    "holm",
    "instruction_set",
    "jackknife",
    "length_controlled",
    "majority_at_k",
    "optimal_transform",
    "parse_procedure",
    "parse_transform",
    "pass_at_k",
    "plan",
    "plan_sampling",
    "preferences",
    "procedure_kl",
    "procedure_names",
    "proxy_reward_curve",
    "proxy_win_rate_curve",
    "rank",
    "select",
    "sequence_kl",
    "served_value",
    "soft_best_of_curve",
    "stratified_mean",
    "summarize",
    "tabulated",
    "tilted_win_rate",
    "transform_names",
    "win_rate",
    "win_rate_curve",
]
