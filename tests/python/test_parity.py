# SPDX-License-Identifier: Apache-2.0
"""The package and the C++ library behind its C interface (`examples/c_abi`) give the same bits: neither changes what is computed.

The C library is for any x86-64 processor; the package runs the same code with ``INFALIGN_INSTRUCTION_SET=baseline``. For wider registers
calibrated rewards are the same to the bit, and what is rounded otherwise to 1e-13, or 3e-7 of float32.
"""

import ctypes as c
import os
import subprocess
import sys

import numpy as np
import pytest

import infalign as ia
from infalign import _core

LIBRARY = os.environ.get("INFALIGN_TEST_C_LIBRARY", "")
if not os.path.exists(LIBRARY):
    pytest.skip("INFALIGN_TEST_C_LIBRARY names no library for C (ctest sets it)", allow_module_level=True)
LIB = c.CDLL(LIBRARY)
LIB.infalign_last_error.restype = c.c_char_p


class Groups(c.Structure):
    _fields_ = [("data", c.c_void_p), ("type", c.c_int), ("size", c.c_int64), ("columns", c.c_int64), ("stride", c.c_int64),
                ("offsets", c.c_void_p)]


class Estimate(c.Structure):
    _fields_ = [("value", c.c_double), ("standard_error", c.c_double), ("count", c.c_int64), ("low", c.c_double), ("high", c.c_double)]


class PlanRow(c.Structure):
    _fields_ = [("transform", c.c_char_p), ("reached", c.c_int)] + [
        (name, c.c_double) for name in ("beta", "scaled_beta", "kl", "win_rate", "standard_win_rate", "price")
    ]


def groups(array):
    rows = array if isinstance(array, np.ndarray) else array.values
    kind = 0 if rows.dtype == np.float32 else 1
    if isinstance(array, np.ndarray):
        return Groups(rows.ctypes.data, kind, *rows.shape, rows.shape[1], None)
    return Groups(rows.ctypes.data, kind, len(array), 0, 0, array.offsets.ctypes.data)


def call(name, *arguments):
    given = [c.byref(a) if isinstance(a, c.Structure) else a.ctypes.data_as(c.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments]
    assert getattr(LIB, f"infalign_{name}")(*given) == 0, LIB.infalign_last_error()


def pairs():
    """What is compared: a name, what the package gives, and what the library gives."""
    rng = np.random.default_rng(8)
    for dtype in (np.float32, np.float64):
        z, y = rng.integers(0, 40, (9, 37)).astype(dtype), rng.integers(0, 40, (9, 11)).astype(dtype)
        ragged = ia.Ragged.from_groups([row[: 3 + i] for i, row in enumerate(y)], dtype)
        for transform, ties in [("identity", "mid_rank"), ("exponential:3", "below"), ("identity", "randomized:5"), ("power:2", "at_or_below")]:
            out, ragged_out = np.empty_like(y), ia.Ragged(np.empty_like(ragged.values), ragged.offsets)
            call("calibrate", groups(z), groups(y), transform.encode(), ties.encode(), groups(out))
            yield f"calibrate {transform}", ia.calibrate(z, y, transform=transform, ties=ties), out
            call("calibrate", groups(z), groups(ragged), transform.encode(), ties.encode(), groups(ragged_out))
            yield f"calibrate {transform}", ia.calibrate(z, ragged, transform=transform, ties=ties).values, ragged_out.values
        out = np.empty(9)
        for procedure, base in [("standard", "standard"), ("best_of:4", "best_of:4"), ("worst_of:3", "standard"), ("top_of:2:5", "best_of_poisson:2")]:
            call("win_rate", groups(y), groups(z), procedure.encode(), base.encode(), out)
            yield "win_rate", ia.win_rate(y, z, procedure, base), out
            call("expected_reward", groups(y), procedure.encode(), out)
            yield "expected_reward", ia.expected_reward(y, procedure), out
    e, wins = Estimate(), rng.uniform(size=23)
    call("summarize", wins, c.c_int64(23), c.c_double(0), c.c_double(1), c.c_double(0.9), e)
    found = ia.summarize(wins, range="win_rate")
    yield "summarize", np.array([found.value, found.standard_error, *found.interval(0.9)]), np.array([e.value, e.standard_error, e.low, e.high])
    plan, row, table = c.c_void_p(), PlanRow(), ia.plan("best_of:4", "standard", kl=0.7)
    LIB.infalign_plan_size.restype = c.c_int64
    call("plan_create", b"best_of:4", b"standard", c.c_double(0.7), c.byref(plan))
    rows = table.sections[0].rows
    assert LIB.infalign_plan_size(plan) == len(rows)
    for i, mine in enumerate(rows):
        call("plan_get", plan, c.c_int64(i), row)
        assert row.transform.decode() == mine.transform and bool(row.reached) == (mine.reached is not None)
        p = mine.reached
        yield "plan", np.array([p.beta, mine.scaled_beta, p.kl, p.inference_win_rate, p.standard_win_rate, mine.price]), np.array(
            [row.beta, row.scaled_beta, row.kl, row.win_rate, row.standard_win_rate, row.price]
        )
    LIB.infalign_plan_destroy.restype = None
    LIB.infalign_plan_destroy(plan)


@pytest.mark.parametrize("name", _core.instruction_sets())
def test_the_package_gives_what_the_library_gives(name):
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, env={**os.environ, "INFALIGN_INSTRUCTION_SET": name}, check=False
    )
    assert done.returncode == 0 and done.stdout.split()[0] == name, done.stdout + done.stderr
    assert int(done.stdout.split()[1]) >= 40


if __name__ == "__main__":
    seen, same_bits = 0, ia.instruction_set() == "baseline"
    for what, mine, theirs in pairs():
        if same_bits or what == "calibrate identity":
            np.testing.assert_array_equal(mine, theirs, what)
        else:
            np.testing.assert_allclose(mine, theirs, rtol=1e-13 if mine.dtype == np.float64 else 3e-7, err_msg=what)
        seen += 1
    print(ia.instruction_set(), seen)
