#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library beside what one would take instead, in one run: on the CPU NumPy, PyTorch (eager and compiled) and JAX, and the
command beside pandas; on a GPU PyTorch, `torch.compile` and Liger's row kernels in Triton. The same work on the same data: every
implementation is first checked against the others, then they are timed in turn, round after round, so that what disturbs the
machine disturbs them alike. Prints times, ratios and the share of the bandwidth of a plain copy.

    bench/peers.py                              # one core, all workloads
    bench/peers.py --threads 2 --only calibration --json peers.json
    bench/peers.py --only "calibrate a file"    # the command; needs CLI11, simdjson and fmt
    bench/peers.py --device cuda                # one GPU; needs nvcc

The library is compiled by the compiler that CXX names, or by nvcc. On the CPU the peers live in a virtual environment of their
own (build/peers); for a GPU they are those of the Python that runs this: PyTorch for CUDA, and liger-kernel if it is installed."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from peer_workloads.library import BUILD, Library
from peer_workloads.timing import compare

REQUIREMENTS = ["numpy==2.4.6", "torch==2.13.0", "jax==0.10.2", "pandas==3.1.1", "pyarrow==26.0.1", "setuptools"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the work is done (default cpu)")
    parser.add_argument("--threads", type=int, default=1, help="cores for everyone, on the CPU (default 1)")
    parser.add_argument("--arch", default="native", help="-march of the library: native, x86-64-v3 (AVX2), x86-64 (SSE2) …; "
                        "for a GPU what nvcc takes as -arch: native, sm_90 …")
    parser.add_argument("--only", default="", help="comma-separated beginnings of workload names")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
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
    os.environ.update(OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="passive", JAX_PLATFORMS="cpu")


def main():
    options = arguments()
    if options.device == "cpu":
        enter_environment()
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
