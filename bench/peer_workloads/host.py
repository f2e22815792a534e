# SPDX-License-Identifier: Apache-2.0
"""The workloads on the CPU, beside NumPy, PyTorch (eager and compiled) and JAX."""

import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch

from . import files
from .timing import Workload


class Device:
    def __init__(self, library, threads):
        self.threads = threads
        self.library = library
        library.set_threads(threads)
        torch.set_num_threads(threads)
        self.source, self.target = np.ones(16_777_216, np.float32), np.ones(16_777_216, np.float32)
        machine = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                       platform.machine())
        self.description = (f"{machine}, {threads} core(s); infalign for {library.architecture}, NumPy {np.__version__}, "
                            f"PyTorch {torch.__version__}, JAX {jax.__version__}")

    def workloads(self):
        yield from calibration(self.library)
        yield from transform(self.library)
        yield from win_rate(self.library)
        yield from objective(self.library)
        yield from files.calibrate(self.library, self.threads)

    @staticmethod
    def kept(result):
        return np.array(result, copy=True)

    @staticmethod
    def spoil(result):
        """A file is written anew, and JAX's arrays cannot be written."""
        if isinstance(result, np.ndarray) and result.flags.writeable:
            result.fill(np.nan)

    @staticmethod
    def relative_error(result, expected):
        return np.abs(np.asarray(result) - expected).max() / np.abs(expected).max()

    @staticmethod
    def milliseconds(run, once):
        """Over enough calls for a fiftieth of a second, or of one call."""
        wait_for_idle_threads()
        if not once:
            run()  # its data into the caches that it can fill
        calls, start = 0, time.perf_counter()
        while calls == 0 or (not once and time.perf_counter() - start < 0.02):
            run()
            calls += 1
        return 1e3 * (time.perf_counter() - start) / calls

    def copy_bandwidth(self, rounds, arrays):
        """Of a copy from the first to the second of `arrays`, or of 64 MB if there are none."""
        source, target = arrays or (self.source, self.target)
        copies = []
        for _ in range(3 * rounds):
            start = time.perf_counter()
            self.library.copy(source, target, source.nbytes // 4)
            copies.append(time.perf_counter() - start)
        return 2 * source.nbytes / min(copies)

    @staticmethod
    def extra_bytes(run, allocated):
        """Not measured on the CPU."""


def wait_for_idle_threads():
    """The libraries' threads wait for more work in a loop for a while, on the core that the next one is timed on."""
    for _ in range(200):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return


def calibration(library):
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


def transform(library):
    n, t = 4_000_000, 10.0
    u = np.random.default_rng(1).random(n, dtype=np.float32)
    out, buffer, tensor_out = np.empty_like(u), np.empty_like(u), torch.empty(n)
    tensor, array = torch.from_numpy(u), jnp.asarray(u)

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
    jitted = jax.jit(lambda x: jnp.exp(t * x))
    yield Workload(f"exponential transform {n}", {
        "infalign": ours(True), "infalign unchecked": ours(False), "NumPy": numpy_run, "PyTorch": eager,
        "PyTorch compiled": lambda: compiled(tensor).numpy(), "JAX": lambda: np.asarray(jitted(array).block_until_ready())},
        8 * n, 2e-6, copied=(u, out))


def win_rate(library):
    prompts, m, n = 20_000, 32, 4
    rng = np.random.default_rng(2)
    y = np.round(rng.standard_normal((prompts, m), dtype=np.float32), 2)
    z = np.round(rng.standard_normal((prompts, m), dtype=np.float32), 2)
    out = np.empty(prompts)
    i = np.arange(m + 1.0)
    below = np.prod([np.maximum(i - j, 0) / (m - j) for j in range(n)], 0)  # C(i, n) / C(m, n)

    def ours(checks):
        def run():
            library.best_of_win_rate(checks, y, z, n, out, prompts, m, m)
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


def objective(library):
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
            4 * (3 if with_base else 2) * tokens * vocabulary, 1e-5, copied=(logits, gradient))
