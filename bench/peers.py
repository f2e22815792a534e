#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library beside NumPy, PyTorch (eager and compiled) and JAX, and its command beside pandas: the same work on the same data with
the same number of cores, in one run. Every implementation is first checked against the others, then they are timed in turn, round after round, so that
what disturbs the machine disturbs them alike. Prints times, ratios and the share of the bandwidth of a plain copy.

    bench/peers.py                      # one core, all workloads
    bench/peers.py --threads 2 --only calibration --json peers.json
    bench/peers.py --only "calibrate a file"    # the command; needs CLI11, simdjson and fmt

It makes its own virtual environment (build/peers) and compiles peers_kernels.cpp with the compiler that CXX names."""

import argparse
import ctypes
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "build" / "peers"
REQUIREMENTS = ["numpy==2.4.6", "torch==2.13.0", "jax==0.10.2", "pandas==3.1.1", "pyarrow==26.0.1", "setuptools"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="cores for everyone (default 1)")
    parser.add_argument("--arch", default="native", help="-march of the library: native, x86-64-v3 (AVX2), x86-64 (SSE2) …")
    parser.add_argument("--only", default="", help="comma-separated beginnings of workload names")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args()


def enter_environment():
    """Runs this script again by the environment's Python, made on first use."""
    python = ENVIRONMENT / "bin" / "python"
    if Path(sys.prefix) == ENVIRONMENT:
        return
    if not (ENVIRONMENT / "complete").exists():
        print(f"installing {', '.join(REQUIREMENTS)} into {ENVIRONMENT}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True)
        (ENVIRONMENT / "complete").touch()
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


class Library:
    """peers_kernels.cpp, compiled for one architecture."""

    def __init__(self, arch, threads):
        binary = ENVIRONMENT / f"peers_kernels_{arch}.so"
        subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O3", f"-march={arch}", "-fopenmp", "-shared", "-fPIC",
                        f"-I{ROOT / 'include'}", f"-I{os.environ.get('EIGEN', '/usr/include/eigen3')}",
                        ROOT / "bench" / "peers_kernels.cpp", "-o", binary], check=True)
        self.c = ctypes.CDLL(str(binary))
        self.c.peers_set_threads(threads)
        self.arch = arch
        self.c.peers_architecture.restype = ctypes.c_char_p
        self.architecture = self.c.peers_architecture().decode()

    def __getattr__(self, name):
        """A function of the library: arrays become pointers, integers 64-bit, and a message that comes back an exception."""
        function = getattr(self.c, "peers_" + name)
        function.restype = ctypes.c_char_p

        def call(*values):
            message = function(*(self.convert(v) for v in values))
            if message:
                raise RuntimeError(message.decode())

        return call

    @staticmethod
    def convert(value):
        if value is None:
            return ctypes.c_void_p()
        if isinstance(value, bool):
            return ctypes.c_int(value)
        if isinstance(value, int):
            return ctypes.c_int64(value)
        if isinstance(value, float):
            return ctypes.c_double(value)
        return ctypes.c_void_p(value.ctypes.data)


class Workload:
    """`runs`: implementation → function without arguments that returns its result. `bytes`: what must be moved at least.
    `records`, for work of many seconds on files: how many are read; such work is timed call by call, in at most three rounds."""

    def __init__(self, name, runs, bytes_moved, tolerance, records=None):
        self.name, self.runs, self.bytes, self.tolerance, self.records = name, runs, bytes_moved, tolerance, records


def calibration_workloads(library, np, torch, jax):
    jnp = jax.numpy
    prompts, k = 20_000, 128
    rng = np.random.default_rng(0)
    z = rng.standard_normal((prompts, k), dtype=np.float32)
    tz, jz = torch.from_numpy(z), jnp.asarray(z)
    for m in (4, 16, 64):
        y = rng.standard_normal((prompts, m), dtype=np.float32)
        out = np.empty_like(y)
        ty, jy = torch.from_numpy(y), jnp.asarray(y)

        def ours(checks):
            def run():
                library.calibrate(checks, z, y, out, prompts, k, m)
                return out
            return run

        def numpy_comparison():
            u = np.empty_like(y)
            for i in range(0, prompts, 500):  # in pieces that fit the cache: several times faster than all at once
                r, x = z[i:i + 500, None, :], y[i:i + 500, :, None]
                u[i:i + 500] = ((r < x).sum(-1) + (r <= x).sum(-1)) * (0.5 / k)
            return u

        def numpy_sort():
            ordered, u = np.sort(z, 1), np.empty_like(y)
            for i in range(prompts):
                u[i] = (ordered[i].searchsorted(y[i], "left") + ordered[i].searchsorted(y[i], "right")) * (0.5 / k)
            return u

        def torch_comparison():
            pieces = []
            for i in range(0, prompts, 500):
                r, x = tz[i:i + 500, None, :], ty[i:i + 500, :, None]
                pieces.append(((r < x).sum(-1) + (r <= x).sum(-1)) * (0.5 / k))
            return torch.cat(pieces).numpy()

        def torch_sort():
            ordered = tz.sort(1).values
            return ((torch.searchsorted(ordered, ty) + torch.searchsorted(ordered, ty, right=True)) * (0.5 / k)).numpy()

        compiled = torch.compile(
            lambda r, x: ((r[:, None] < x[..., None]).sum(-1) + (r[:, None] <= x[..., None]).sum(-1)) * (0.5 / k), dynamic=False)
        jitted = jax.jit(lambda r, x: ((r[:, None] < x[..., None]).sum(-1) + (r[:, None] <= x[..., None]).sum(-1)) * (0.5 / k))
        yield Workload(f"calibration {prompts} x {k} x {m}", {
            "infalign": ours(True), "infalign unchecked": ours(False), "NumPy comparison": numpy_comparison,
            "NumPy sort": numpy_sort, "PyTorch comparison": torch_comparison, "PyTorch sort": torch_sort,
            "PyTorch compiled": lambda f=compiled, r=tz, x=ty: f(r, x).numpy(),
            "JAX": lambda f=jitted, r=jz, x=jy: np.asarray(f(r, x).block_until_ready())}, 4 * prompts * (k + 2 * m), 1e-6)


def transform_workloads(library, np, torch, jax):
    n, t = 4_000_000, 10.0
    u = np.random.default_rng(1).random(n, dtype=np.float32)
    out, buffer, tensor_out = np.empty_like(u), np.empty_like(u), torch.empty(n)
    tensor, array = torch.from_numpy(u), jax.numpy.asarray(u)

    def ours(checks):
        def run():
            library.apply_exponential(checks, u, t, out, n)
            return out
        return run

    def numpy_run():
        np.multiply(u, np.float32(t), out=buffer)
        return np.exp(buffer, out=buffer)

    def eager():
        torch.mul(tensor, t, out=tensor_out)
        return tensor_out.exp_().numpy()

    compiled = torch.compile(lambda x: torch.exp(t * x))
    jitted = jax.jit(lambda x: jax.numpy.exp(t * x))
    yield Workload(f"exponential transform {n}", {
        "infalign": ours(True), "infalign unchecked": ours(False), "NumPy": numpy_run, "PyTorch": eager,
        "PyTorch compiled": lambda: compiled(tensor).numpy(), "JAX": lambda: np.asarray(jitted(array).block_until_ready())},
        8 * n, 2e-6)


def winrate_workloads(library, np, torch, jax):
    jnp = jax.numpy
    prompts, m, n = 20_000, 32, 4
    rng = np.random.default_rng(2)
    y = np.round(rng.standard_normal((prompts, m), dtype=np.float32), 2)
    z = np.round(rng.standard_normal((prompts, m), dtype=np.float32), 2)
    out = np.empty(prompts)
    i = np.arange(m + 1.0)
    below = np.prod([np.maximum(i - j, 0) / (m - j) for j in range(n)], 0)  # C(i, n) / C(m, n)

    def ours(checks):
        def run():
            library.best_of_winrate(checks, y, z, n, out, prompts, m, m)
            return out
        return run

    weight = below[1:] - below[:-1]
    tensors = [torch.from_numpy(a) for a in (y, z, weight, below)]
    arrays = [jnp.asarray(a) for a in (y, z, weight.astype(np.float32), below.astype(np.float32))]

    def numpy_sort():
        a, b, wins = np.sort(y, 1), np.sort(z, 1), np.empty(prompts)
        for p in range(prompts):
            wins[p] = weight @ (below[b[p].searchsorted(a[p], "left")] + below[b[p].searchsorted(a[p], "right")])
        return 0.5 * wins

    def torch_sort(policy, reference, w, share):
        a, b = policy.sort(1).values, reference.sort(1).values
        lower, upper = torch.searchsorted(b, a), torch.searchsorted(b, a, right=True)
        return 0.5 * ((share[lower] + share[upper]) * w).sum(1)

    def compare(xp, policy, reference, w, share):
        a = xp.sort(policy, 1)
        lower = (reference[:, None, :] < a[:, :, None]).sum(-1)
        upper = (reference[:, None, :] <= a[:, :, None]).sum(-1)
        return 0.5 * ((share[lower] + share[upper]) * w).sum(1)

    jitted = jax.jit(lambda *args: compare(jnp, *args))
    yield Workload(f"best-of-{n} win rate {prompts} x {m} x {m}", {
        "infalign": ours(True), "infalign unchecked": ours(False), "NumPy sort": numpy_sort,
        "PyTorch sort": lambda: torch_sort(*tensors).numpy(),
        "JAX": lambda: np.asarray(jitted(*arrays).block_until_ready())}, 8 * prompts * m + 8 * prompts, 1e-5)


def objective_workloads(library, np, torch, jax):
    jnp = jax.numpy
    rng = np.random.default_rng(3)
    for tokens, vocabulary, with_base in ((512, 32_768, False), (128, 131_072, False), (512, 32_768, True)):
        beta = 0.1 if with_base else 0.0
        logits = rng.standard_normal((tokens, vocabulary), dtype=np.float32)
        base = rng.standard_normal((tokens, vocabulary), dtype=np.float32) if with_base else None
        ids = rng.integers(0, vocabulary, tokens).astype(np.int32)
        advantages = rng.standard_normal(tokens, dtype=np.float32)
        log_prob = torch.log_softmax(torch.from_numpy(logits), -1).gather(1, torch.from_numpy(ids).long()[:, None])[:, 0].numpy()
        old = log_prob + 0.1 * rng.standard_normal(tokens, dtype=np.float32)
        gradient, loss, kl = np.empty_like(logits), np.empty(tokens, np.float32), np.empty(tokens, np.float32)

        def ours(checks):
            def run():
                library.policy_gradient(checks, logits, base, ids, advantages, old, beta, loss, kl, gradient, tokens, vocabulary)
                return gradient
            return run

        t_logits = torch.from_numpy(logits.copy()).requires_grad_(True)
        t_base = torch.from_numpy(base) if with_base else None
        t_ids, t_adv, t_old = torch.from_numpy(ids).long(), torch.from_numpy(advantages), torch.from_numpy(old)

        def torch_loss(x, b):
            all_log_prob = torch.log_softmax(x, -1)
            ratio = (all_log_prob.gather(1, t_ids[:, None])[:, 0] - t_old).exp()
            surrogate = -torch.minimum(ratio * t_adv, ratio.clamp(0.8, 1.2) * t_adv)
            if b is None:
                return surrogate.mean()
            return (surrogate + beta * (all_log_prob.exp() * (all_log_prob - torch.log_softmax(b, -1))).sum(-1)).mean()

        def backward(function):
            def run():
                t_logits.grad = None
                function(t_logits, t_base).backward()
                return t_logits.grad.numpy()
            return run

        j_logits, j_base = jnp.asarray(logits), jnp.asarray(base) if with_base else None
        j_ids, j_adv, j_old = jnp.asarray(ids), jnp.asarray(advantages), jnp.asarray(old)

        def jax_loss(x, b):
            all_log_prob = jax.nn.log_softmax(x, -1)
            ratio = jnp.exp(jnp.take_along_axis(all_log_prob, j_ids[:, None], 1)[:, 0] - j_old)
            surrogate = -jnp.minimum(ratio * j_adv, jnp.clip(ratio, 0.8, 1.2) * j_adv)
            if b is None:
                return surrogate.mean()
            return (surrogate + beta * (jnp.exp(all_log_prob) * (all_log_prob - jax.nn.log_softmax(b, -1))).sum(-1)).mean()

        jitted = jax.jit(jax.value_and_grad(jax_loss))
        name = f"clipped policy loss{' + exact KL' if with_base else ''} and gradient {tokens} x {vocabulary}"
        yield Workload(name, {
            "infalign": ours(True), "infalign unchecked": ours(False), "PyTorch": backward(torch_loss),
            "PyTorch compiled": backward(torch.compile(torch_loss)),
            "JAX": lambda f=jitted, x=j_logits, b=j_base: np.asarray(jax.block_until_ready(f(x, b))[1])},
            4 * (3 if with_base else 2) * tokens * vocabulary, 1e-5)


class CalibratedFile:
    """A file of records: the numbers that calibration added, read only when they are looked at."""

    def __init__(self, path):
        self.path = path

    def __array__(self, dtype=None, copy=None):
        import numpy as np
        names = ("calibrated_reward", "transformed_reward", "standard_error")
        with open(self.path) as file:
            columns = np.array([[record[name] for name in names] for record in map(json.loads, file)], dtype)
        return columns / np.abs(columns).max(0)


class RewardFiles:
    """Records of `n` base samples and of `n` rollouts, 100 a prompt, as a sampler writes them; made when they are first used."""

    def __init__(self, n):
        self.n, self.directory = n, None

    def paths(self):
        if self.directory is None:
            import numpy as np
            self.directory = tempfile.TemporaryDirectory()
            for seed, name in enumerate(("reference", "rollouts")):
                rewards = np.random.default_rng(seed).standard_normal(self.n).tolist()
                with open(f"{self.directory.name}/{name}.jsonl", "w") as file:
                    for i, reward in enumerate(rewards):
                        file.write(f'{{"prompt_id": "prompt-{i // 100}", "reward": {reward!r}, '
                                   f'"response": "sample {i % 100} of the policy"}}\n')
        return [f"{self.directory.name}/{name}.jsonl" for name in ("reference", "rollouts")]

    def output(self, name):
        return f"{self.directory.name}/{name}.jsonl"


def command_binary(arch):
    """The program infalign, compiled as the library is."""
    binary = ENVIRONMENT / f"infalign_{arch}"
    if not binary.exists():
        print("compiling the command", file=sys.stderr)
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O3", f"-march={arch}", f"-I{ROOT / 'include'}",
                    f"-I{os.environ.get('EIGEN', '/usr/include/eigen3')}", *sorted((ROOT / "examples" / "infalign").glob("*.cpp")),
                    "-lsimdjson", "-lfmt", "-o", binary], check=True)
    return binary


def pandas_calibration(files, engine):
    """What one would write instead: calibrated reward, exp(10·u) and standard error of every row."""
    import numpy as np
    import pandas as pd

    def run():
        reference, rollouts = (pd.read_json(path, lines=True, engine=engine) for path in files.paths())
        ordered = {prompt: np.sort(rewards.to_numpy()) for prompt, rewards in reference.groupby("prompt_id", sort=False)["reward"]}
        reward = rollouts["reward"].to_numpy()
        u, count = np.empty(len(reward)), np.empty(len(reward))
        for prompt, rows in rollouts.groupby("prompt_id", sort=False).indices.items():
            z, y = ordered[prompt], reward[rows]
            u[rows] = (z.searchsorted(y, "left") + z.searchsorted(y, "right")) * (0.5 / len(z))
            count[rows] = len(z)
        rollouts["calibrated_reward"] = u
        rollouts["transformed_reward"] = np.exp(10 * u)
        rollouts["standard_error"] = np.sqrt(u * (1 - u) / count)
        rollouts.to_json(files.output(engine), orient="records", lines=True, double_precision=15)
        return CalibratedFile(files.output(engine))

    return run


def command_workloads(library, np, torch, jax):
    binary = []

    def infalign(files):
        def run():
            if not binary:
                binary.append(command_binary(library.arch))
            reference, rollouts = files.paths()
            subprocess.run([binary[0], "calibrate", "--reference", reference, "--rollouts", rollouts, "--transform", "exponential:10",
                            "--output", files.output("infalign")], check=True)
            return CalibratedFile(files.output("infalign"))
        return run

    for millions in (1, 4):
        files = RewardFiles(1_000_000 * millions)
        yield Workload(f"calibrate a file of {millions} M records by as many references", {
            "infalign": infalign(files), "pandas": pandas_calibration(files, "ujson"),
            "pandas, pyarrow": pandas_calibration(files, "pyarrow")}, 370 * files.n, 1e-12, records=2 * files.n)


def wait_for_idle_threads():
    """The libraries' threads wait for more work in a loop for a while, on the core that the next one is timed on."""
    for _ in range(200):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return


def measure(workload, np, rounds):
    """Milliseconds of every implementation in its fastest round, since what disturbs a machine only adds; after all agreed on
    the result (relative to its largest value)."""
    expected = np.array(workload.runs["infalign"](), copy=True)
    scale = np.abs(expected).max()
    for name, run in workload.runs.items():
        error = np.abs(np.asarray(run()) - expected).max() / scale
        if not error <= workload.tolerance:
            sys.exit(f"{workload.name}: {name} differs from infalign by {error:.2g} of the largest value")
    times = {name: [] for name in workload.runs}
    long = workload.records is not None
    for _ in range(min(rounds, 3) if long else rounds):
        for name, run in workload.runs.items():
            wait_for_idle_threads()
            if not long:
                run()  # its data into the caches that it can fill
            calls, start = 0, time.perf_counter()
            while calls == 0 or (not long and time.perf_counter() - start < 0.02):
                run()
                calls += 1
            times[name].append(1e3 * (time.perf_counter() - start) / calls)
    return {name: min(values) for name, values in times.items()}


def main():
    options = arguments()
    enter_environment()
    cores = sorted(os.sched_getaffinity(0))[:options.threads]
    if len(cores) < options.threads:
        sys.exit(f"--threads {options.threads}: this machine has {len(cores)} cores")
    os.sched_setaffinity(0, cores)  # holds for every library's own pool of threads
    os.environ.update(OMP_NUM_THREADS=str(options.threads), OMP_WAIT_POLICY="passive", JAX_PLATFORMS="cpu")
    import jax
    import numpy as np
    import torch
    torch.set_num_threads(options.threads)

    library = Library(options.arch, options.threads)
    source, target = np.ones(16_777_216, np.float32), np.ones(16_777_216, np.float32)
    machine = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(f"{machine}, {options.threads} core(s); infalign for {library.architecture}, NumPy {np.__version__}, "
          f"PyTorch {torch.__version__}, JAX {jax.__version__}; the fastest of {options.rounds} rounds")
    figures = {"machine": machine, "threads": options.threads, "architecture": library.architecture, "workloads": []}
    wanted = [name for name in options.only.split(",") if name]
    for workloads in (calibration_workloads, transform_workloads, winrate_workloads, objective_workloads, command_workloads):
        for workload in workloads(library, np, torch, jax):
            if wanted and not any(workload.name.startswith(name) for name in wanted):
                continue
            workload.runs["infalign"]()
            milliseconds = measure(workload, np, options.rounds)
            copies = []
            for _ in range(options.rounds):
                start = time.perf_counter()
                library.copy(source, target, source.size)
                copies.append(time.perf_counter() - start)
            bandwidth = 2 * source.nbytes / min(copies)
            print(f"\n{workload.name}")
            for name, value in milliseconds.items():
                rate = workload.bytes / value * 1e3
                print(f"  {name:<20}{value:10.2f} ms{value / milliseconds['infalign']:8.1f} x"
                      f"{rate / 1e9:8.2f} GB/s{100 * rate / bandwidth:6.0f} % of a copy"
                      + (f"{workload.records / value / 1e3:8.2f} M records/s" if workload.records else ""))
            best = min(value for name, value in milliseconds.items() if not name.startswith("infalign"))
            print(f"  best alternative / infalign: {best / milliseconds['infalign']:.1f}")
            figures["workloads"].append({"name": workload.name, "bytes": workload.bytes, "milliseconds": milliseconds,
                                         "copy_bytes_per_second": bandwidth})
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
