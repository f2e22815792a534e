#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library beside what one would take instead, in one run: on the CPU NumPy, PyTorch (eager and compiled) and JAX, and the
command beside pandas, polars and DuckDB; on a GPU PyTorch, `torch.compile` and Liger's row kernels in Triton. The same work on the same data: every
implementation is first checked against the others, then they are timed in turn, round after round, so that what disturbs the
machine disturbs them alike. Prints times, ratios and the share of the bandwidth of a plain copy.

    bench/peers.py                              # one core, all workloads
    bench/peers.py --threads 2 --only calibration --json peers.json
    bench/peers.py --only "calibrate a file"    # the command; needs CLI11, simdjson and fmt
    bench/peers.py --device cuda                # one GPU; needs nvcc

The library is compiled by the compiler that CXX names, or by nvcc. On the CPU the peers live in a virtual environment of their
own (build/peers); for a GPU they are those of the Python that runs this: PyTorch for CUDA, and liger-kernel if it is installed.

On the CPU a peer that makes new arrays in every call spends most of its time on page faults, unless its allocator keeps their memory.
So everything is timed under both settings of the allocator, each in several processes: the default, and one that returns nothing to
the system. Which of the two suits a peer better decides its best time."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from peer_workloads.library import BUILD, Library
from peer_workloads.timing import compare

REQUIREMENTS = ["numpy==2.4.6", "torch==2.13.0", "jax==0.10.2", "pandas==3.1.1", "pyarrow==26.0.1", "polars==2.1.0", "duckdb==2.0.1", "setuptools"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the work is done (default cpu)")
    parser.add_argument("--threads", type=int, default=1, help="cores for everyone, on the CPU (default 1)")
    parser.add_argument("--arch", default="native", help="-march of the library: native, x86-64-v3 (AVX2), x86-64 (SSE2) …; "
                        "for a GPU what nvcc takes as -arch: native, sm_90 …")
    parser.add_argument("--only", default="", help="comma-separated beginnings of workload names")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    parser.add_argument("--processes", type=int, default=5, help="processes for each setting of the allocator, on the CPU (default 5)")
    parser.add_argument("--worker", action="store_true", help="time in this process alone, with the allocator as it is")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args()


def enter_environment():
    """Runs this script again by the environment's Python, made on first use."""
    python = BUILD / "bin" / "python"
    if Path(sys.prefix) == BUILD:
        return
    if not (BUILD / "complete").exists():
        print(f"installing {', '.join(REQUIREMENTS)} into {BUILD}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", BUILD], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True)
        (BUILD / "complete").touch()
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def use_cores(threads):
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads:
        sys.exit(f"--threads {threads}: this machine has {len(cores)} cores")
    os.sched_setaffinity(0, cores)  # holds for every library's own pool of threads
    os.environ.update(OMP_NUM_THREADS=str(threads), POLARS_MAX_THREADS=str(threads), OMP_WAIT_POLICY="passive", JAX_PLATFORMS="cpu")


# The settings of glibc's allocator.
ALLOCATORS = {
    "default allocator": {},
    "memory is kept": {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"},
}


def spread(values, digits):
    return f"{min(values):.{digits}f}" if len(values) == 1 else f"{min(values):.{digits}f} … {max(values):.{digits}f}"


def run_workers(options):
    """Every setting in processes of its own, in turn; prints what they found together, and returns it."""
    found = {name: [] for name in ALLOCATORS}
    for process in range(options.processes):
        for name, setting in ALLOCATORS.items():
            print(f"process {process + 1} of {options.processes}, {name}", file=sys.stderr)
            with tempfile.NamedTemporaryFile(suffix=".json") as figures:
                command = [sys.executable, __file__, *sys.argv[1:], "--worker", "--json", figures.name]
                subprocess.run(command, check=True, env=os.environ | setting, stdout=subprocess.DEVNULL)
                found[name].append(json.load(open(figures.name)))
    runs = [run for of_setting in found.values() for run in of_setting]
    print(f"{runs[0]['machine']}; {options.processes} processes for each setting of the allocator, fastest and slowest of them")
    for w, workload in enumerate(runs[0]["workloads"]):
        print(f"\n{workload['name']}: infalign reaches "
              f"{spread([100 * run['workloads'][w]['share_of_copy'] for run in runs], 0)} % of the speed of a copy between its arrays")
        for peer in workload["milliseconds"]:
            cells = []
            for name, of_setting in found.items():
                times = [run["workloads"][w]["milliseconds"] for run in of_setting]
                cells.append(f"{name}: {spread([t[peer] for t in times], 2)} ms, "
                             f"{spread([t[peer] / t['infalign'] for t in times], 1)} x")
            print(f"  {peer:<20}" + "   ".join(cells), flush=True)
    return found


def main():
    options = arguments()
    if options.device == "cpu":
        enter_environment()
        if not options.worker:
            found = run_workers(options)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")
            return
        use_cores(options.threads)
        from peer_workloads.host import Device
    else:
        from peer_workloads.gpu import Device
    device = Device(Library(options.device, options.arch), options.threads)
    print(f"{device.description}; the fastest of {options.rounds} rounds")
    figures = {"machine": device.description, "workloads": []}
    wanted = [name for name in options.only.split(",") if name]
    for workload in device.workloads():
        if not wanted or any(workload.name.startswith(name) for name in wanted):
            figures["workloads"].append(compare(device, workload, options.rounds))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
