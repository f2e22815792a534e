# SPDX-License-Identifier: Apache-2.0
"""The workloads on a GPU, beside PyTorch, `torch.compile` and Liger's row kernels: ours of the same algorithm in Triton
(row_kernels.py), and the package liger-kernel where it is installed."""

import ctypes

import torch
import triton

from . import row_kernels
from .timing import Workload

try:
    from importlib.metadata import version
    from liger_kernel.transformers.grpo_loss import triton_grpo_loss
    LIGER = version("liger-kernel")
except ImportError:
    LIGER = None

CLIP = 0.2


class Device:
    def __init__(self, library, threads):
        del threads  # the host only launches
        self.library = library
        library.c.peers_memory_peak.restype = ctypes.c_uint64
        torch.manual_seed(0)
        self.source = torch.ones(1 << 28, device="cuda")
        self.target = torch.empty_like(self.source)
        name, capability = torch.cuda.get_device_name(), ".".join(map(str, torch.cuda.get_device_capability()))
        self.description = (f"{name} (compute capability {capability}), CUDA {torch.version.cuda}; infalign for {library.architecture}, "
                            f"PyTorch {torch.__version__}, Triton {triton.__version__}, liger-kernel {LIGER or 'not installed'}")

    def workloads(self):
        yield from calibration(self.library)
        yield from transform(self.library)
        yield from win_rate(self.library)
        yield from policy_gradient(self.library)

    @staticmethod
    def kept(result):
        return result.clone()

    @staticmethod
    def spoil(result):
        result.fill_(float("nan"))

    @staticmethod
    def relative_error(result, expected):
        pairs = zip(result.flatten().split(1 << 26), expected.flatten().split(1 << 26))
        difference = torch.stack([(a.float() - b.float()).abs().max() for a, b in pairs]).max()  # NaN if there is one
        return (difference / expected.abs().max().float()).item()

    @staticmethod
    def milliseconds(run, once):
        """Between events on the stream, over enough calls for a fiftieth of a second."""
        del once
        run()
        torch.cuda.synchronize()
        calls, passed = 1, 0.0
        while passed < 20:
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(calls):
                run()
            stop.record()
            stop.synchronize()
            passed = start.elapsed_time(stop)
            milliseconds, calls = passed / calls, 2 * calls
        return milliseconds

    def copy_bandwidth(self, rounds, _arrays):
        return 2e3 * 4 * self.source.numel() / min(self.milliseconds(lambda: self.target.copy_(self.source), True) for _ in range(rounds))

    def extra_bytes(self, run, allocated):
        """Device memory beyond what existed before, without the `allocated` bytes of a result."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.library.c.peers_begin_memory_peak()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before + self.library.c.peers_memory_peak() - allocated


def normal(*shape):
    return torch.randn(shape, device="cuda")


def calibration(library):
    prompts = 1_000_000
    for k, m in ((128, 4), (128, 16)):
        z, y = normal(prompts, k), normal(prompts, m)
        u = torch.empty_like(y)

        def ours(checks, z=z, y=y, u=u, k=k, m=m):
            library.calibrate(checks, z, y, u, prompts, k, m)
            return u

        def comparison(z, y, k=k):
            return ((z[:, None] < y[..., None]).sum(-1) + (z[:, None] <= y[..., None]).sum(-1)) * (0.5 / k)

        def sort(z=z, y=y, k=k):
            ordered = z.sort(1).values
            return (torch.searchsorted(ordered, y) + torch.searchsorted(ordered, y, right=True)) * (0.5 / k)

        compiled = torch.compile(comparison, dynamic=False)
        yield Workload(f"calibration {prompts} x {k} x {m}", {
            "infalign": lambda f=ours: f(True), "infalign unchecked": lambda f=ours: f(False), "PyTorch sort": sort,
            "PyTorch compiled": lambda f=compiled, z=z, y=y: f(z, y)}, 4 * prompts * (k + 2 * m), 1e-6)


def transform(library):
    n, t = 1 << 28, 10.0
    u = torch.rand(n, device="cuda")
    out = torch.empty_like(u)

    def ours(checks):
        library.apply_exponential(checks, u, t, out, n)
        return out

    compiled = torch.compile(lambda x: torch.exp(t * x))
    yield Workload(f"exponential transform {n}", {
        "infalign": lambda: ours(True), "infalign unchecked": lambda: ours(False),
        "PyTorch": lambda: torch.mul(u, t, out=out).exp_(), "PyTorch compiled": lambda: compiled(u)}, 8 * n, 2e-6,
        allocated={"PyTorch compiled": 4 * n})


def win_rate(library):
    prompts, m, n = 1_000_000, 32, 4
    y, z = (normal(prompts, m) * 100).round() / 100, (normal(prompts, m) * 100).round() / 100
    wins = torch.empty(prompts, dtype=torch.float64, device="cuda")
    i = torch.arange(m + 1.0, dtype=torch.float64, device="cuda")
    below = torch.stack([(i - j).clamp(min=0) / (m - j) for j in range(n)]).prod(0)  # C(i, n) / C(m, n)
    weight = below.diff()

    def ours(checks):
        library.best_of_win_rate(checks, y, z, n, wins, prompts, m, m)
        return wins

    def sort(policy, reference):
        a, b = policy.sort(1).values, reference.sort(1).values
        lower, upper = torch.searchsorted(b, a), torch.searchsorted(b, a, right=True)
        return 0.5 * ((below[lower] + below[upper]) * weight).sum(1)

    compiled = torch.compile(sort)
    yield Workload(f"best-of-{n} win rate {prompts} x {m} x {m}", {
        "infalign": lambda: ours(True), "infalign unchecked": lambda: ours(False), "PyTorch sort": lambda: sort(y, z),
        "PyTorch compiled": lambda: compiled(y, z)}, 8 * prompts * m + 8 * prompts, 1e-5)


def policy_gradient(library):
    """Rollouts of 128 tokens, each with one advantage, as Liger's loss takes them; the others repeat it for every token."""
    length = 128
    for dtype in (torch.float32, torch.bfloat16):
        for tokens, vocabulary in ((8192, 32_768), (4096, 131_072)):
            yield policy_gradient_of(library, dtype, tokens, length, vocabulary)


def policy_gradient_of(library, dtype, tokens, length, vocabulary):
    logits = torch.randn(tokens, vocabulary, device="cuda").to(dtype)
    gradient = torch.empty_like(logits)
    ids = torch.randint(vocabulary, (tokens,), dtype=torch.int32, device="cuda")
    advantage = normal(tokens // length)
    advantages = advantage.repeat_interleave(length)
    with torch.no_grad():
        old = row_kernels.log_prob(logits, ids) + 0.1 * normal(tokens)
    loss = torch.empty(tokens, device="cuda")
    function = library.policy_gradient if dtype == torch.float32 else library.policy_gradient_bfloat16

    def ours(checks):
        function(checks, logits, None, ids, advantages, old, 0.0, loss, None, gradient, tokens, vocabulary)
        return gradient

    leaf = logits.detach().requires_grad_(True)
    long_ids = ids.long()[:, None]

    def mean_loss(x):
        log_prob = torch.log_softmax(x.float(), -1).gather(1, long_ids)[:, 0]
        ratio = (log_prob - old).exp()
        return -torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages).mean()

    def backward(of):
        def run():
            leaf.grad = None
            of(leaf).backward()
            return leaf.grad
        return run

    runs = {"infalign": lambda: ours(True), "infalign unchecked": lambda: ours(False), "PyTorch": backward(mean_loss),
            "PyTorch compiled": backward(torch.compile(mean_loss)),
            "Triton row kernels": lambda: row_kernels.policy_gradient(logits, ids, advantages, old, CLIP, gradient)}
    result = logits.numel() * logits.element_size()
    allocated = {"PyTorch": result, "PyTorch compiled": result}
    if LIGER:
        runs["Liger"] = liger(logits, ids, advantage, old, length)
        allocated["Liger"] = result + result // length
    return Workload(f"clipped policy loss and gradient {tokens} x {vocabulary} {str(dtype).removeprefix('torch.')}", runs, 2 * result,
                    1e-5 if dtype == torch.float32 else 2.0**-7, allocated=allocated)


def liger(logits, ids, advantage, old, length):
    """Liger's loss takes one position more a rollout than it has tokens."""
    rollouts, vocabulary = len(advantage), logits.shape[1]
    leaf = torch.cat([logits.view(rollouts, length, vocabulary), logits.new_zeros(rollouts, 1, vocabulary)], 1).requires_grad_(True)
    old, ids = old.view(rollouts, length), ids.long().view(rollouts, length)

    def run():
        leaf.grad = None
        loss, _, _ = triton_grpo_loss(leaf, old, None, ids, advantage, temperature=1.0, beta=0.0, eps_low=CLIP, eps_high=CLIP,
                                      inplace=False)
        loss.mean().backward()
        return leaf.grad[:, :-1]

    return run
