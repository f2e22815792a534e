# SPDX-License-Identifier: Apache-2.0
"""Inference-aware alignment of language models: calibrate rewards, transform them for the procedure that will be run, plan and evaluate.

Rewards are arrays of float32 or float64: ``(P, K)`` for P prompts with K rewards each, or :class:`Ragged` for groups of any lengths.
What comes out is of the kind of what went in: NumPy arrays, tensors of PyTorch on the CPU, or other arrays that follow DLPack. Types are
never converted silently. Rows that are not contiguous are copied; all else is read where it lies. Errors are ``ValueError`` (``Error``
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
    pass_at_k,
    preferences,
    select,
    summarize,
    win_rate,
)
from ._advantage import advantage
from ._theory import (
    OptimalTransform,
    PlanRow,
    PlanSection,
    PlanTable,
    Tradeoff,
    optimal_transform,
    plan,
)
from ._frames import Groups, group

__all__ = [
    "Calibrator",
    "Comparison",
    "Error",
    "Estimate",
    "Groups",
    "OffPolicyEvaluation",
    "OffPolicyValue",
    "OptimalTransform",
    "PlanRow",
    "PlanSection",
    "PlanTable",
    "Procedure",
    "Ragged",
    "Summary",
    "Tradeoff",
    "Transform",
    "__version__",
    "advantage",
    "calibrate",
    "calibration_standard_error",
    "compare",
    "dkw_band",
    "evaluate",
    "expected_reward",
    "group",
    "instruction_set",
    "optimal_transform",
    "parse_procedure",
    "parse_transform",
    "pass_at_k",
    "plan",
    "preferences",
    "procedure_names",
    "select",
    "summarize",
    "tabulated",
    "transform_names",
    "win_rate",
]
