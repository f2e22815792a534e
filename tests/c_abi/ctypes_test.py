#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library for C from Python's ctypes: ctypes_test.py LIBRARY. Nothing but the standard library is needed."""
import sys

try:
    import ctypes as c
except ImportError:
    print("skipped: this Python has no ctypes (Debian: python3-minimal lacks it, python3 has it)")
    sys.exit(77)


class Groups(c.Structure):
    _fields_ = [("data", c.c_void_p), ("type", c.c_int), ("size", c.c_int64), ("columns", c.c_int64), ("stride", c.c_int64),
                ("offsets", c.c_void_p)]


def rows(values, columns):
    array = (c.c_double * len(values))(*values)
    return array, Groups(c.addressof(array), 1, len(values) // columns, columns, columns, None)


lib = c.CDLL(sys.argv[1])
lib.infalign_last_error.restype = lib.infalign_version.restype = c.c_char_p
references, z = rows([1, 2, 3, 4], 4)
rewards, y = rows([2.5, 4], 2)
calibrated, out = rows([0, 0], 2)
assert lib.infalign_calibrate(c.byref(z), c.byref(y), None, None, c.byref(out)) == 0
assert list(calibrated) == [0.5, 0.875]
assert lib.infalign_calibrate(c.byref(z), c.byref(y), b"logarithm", None, c.byref(out)) == 0
assert abs(calibrated[0] + 0.6931471805599453) < 1e-15
rewards[1] = float("inf")
assert lib.infalign_calibrate(c.byref(z), c.byref(y), None, None, c.byref(out)) == 2
assert lib.infalign_last_error() == b"calibrate: rewards[0][1] is inf, must be finite", lib.infalign_last_error()
print("ctypes: infalign", lib.infalign_version().decode())
