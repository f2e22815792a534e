# SPDX-License-Identifier: Apache-2.0
"""What is timed, and how: all implementations of a workload in turn, round after round."""

import sys


class Workload:
    """`runs`: implementation → function without arguments that returns its result. `bytes`: what must be moved at least.
    `records`, for work of many seconds on files: how many are read; such work is timed call by call, in at most three rounds.
    `before` is called before every round of an implementation, untimed. `allocated`: implementation → bytes of its result, where it
    makes a new one in every call. `copied`: the two arrays of `infalign` between which a plain copy is timed, if there are two."""

    def __init__(self, name, runs, bytes_moved, tolerance, records=None, before=None, allocated=None, copied=None):
        self.name, self.runs, self.bytes, self.tolerance, self.records = name, runs, bytes_moved, tolerance, records
        self.before, self.allocated, self.copied = before or (lambda: None), allocated or {}, copied


def expect_agreement(device, workload):
    """All implementations give the result of `infalign`, relative to its largest value. Some write where another has written: each
    result is spoiled once it is looked at, so that who writes nothing is found out."""
    result = workload.runs["infalign"]()
    expected = device.kept(result)
    for name, run in workload.runs.items():
        device.spoil(result)
        result = run()
        error = device.relative_error(result, expected)
        if not error <= workload.tolerance:
            sys.exit(f"{workload.name}: {name} differs from infalign by {error:.2g} of the largest value")


def time_in_turn(device, workload, rounds):
    """Milliseconds of every implementation in its fastest round, since what disturbs a machine only adds."""
    times = {name: [] for name in workload.runs}
    for _ in range(min(rounds, 3) if workload.records else rounds):
        for name, run in workload.runs.items():
            workload.before()
            times[name].append(device.milliseconds(run, once=workload.records is not None))
    return {name: min(values) for name, values in times.items()}


def compare(device, workload, rounds):
    """Checks, times and prints; returns the figures."""
    expect_agreement(device, workload)
    milliseconds = time_in_turn(device, workload, rounds)
    bandwidth = device.copy_bandwidth(rounds, workload.copied)
    extra = {name: device.extra_bytes(run, workload.allocated.get(name, 0)) for name, run in workload.runs.items()}
    print(f"\n{workload.name}")
    for name, value in milliseconds.items():
        rate = workload.bytes / value * 1e3
        print(f"  {name:<20}{value:10.3f} ms{value / milliseconds['infalign']:8.1f} x"
              f"{rate / 1e9:9.2f} GB/s{100 * rate / bandwidth:6.0f} % of a copy"
              + (f"{workload.records / value / 1e3:8.2f} M records/s" if workload.records else "")
              + (f"{extra[name] / 1e6:10.2f} MB more memory" if extra[name] is not None else ""))
    best = min(value for name, value in milliseconds.items() if not name.startswith("infalign"))
    print(f"  best alternative / infalign: {best / milliseconds['infalign']:.1f}", flush=True)
    return {"name": workload.name, "bytes": workload.bytes, "milliseconds": milliseconds, "extra_bytes": extra,
            "copy_bytes_per_second": bandwidth,
            "share_of_copy": workload.bytes / milliseconds["infalign"] * 1e3 / bandwidth}
