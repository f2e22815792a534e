# SPDX-License-Identifier: Apache-2.0
"""What the Python package takes, and what one would write otherwise in NumPy or PyTorch, on the same data and with the same results:

    python bench/python_package.py [--threads 1] [--clock cpu] [--only loss] [--quick]
    MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 python bench/python_package.py    # the allocator at its best

The best of several runs. What needs a library that is missing is left out.
"""

import argparse
import importlib.util
import time

import numpy as np

import infalign as ia

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: processor time, for a machine that is busy")
parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of it runs")
parser.add_argument("--only", choices=["calibration", "frames", "overhead", "loss"])
options = parser.parse_args()
clock = time.perf_counter if options.clock == "wall" else time.process_time
has = lambda name: importlib.util.find_spec(name) is not None  # noqa: E731


def best(f, runs=7):
    f()
    times = []
    for _ in range(runs):
        begun = clock()
        f()
        times.append(clock() - begun)
    return 1e3 * min(times)


def row(name, milliseconds, ours=None):
    size = f"{milliseconds:10.2f} ms" if milliseconds > 0.2 else f"{1e3 * milliseconds:10.2f} µs"
    print(f"{name:58} {size}" + (f"   {milliseconds / ours:6.1f} x" if ours else ""), flush=True)


def calibration():
    prompts = 500 if options.quick else 20_000
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(prompts, 128)).astype(np.float32), rng.normal(size=(prompts, 16)).astype(np.float32)
    out = np.empty_like(y)
    ours = best(lambda: ia.calibrate(z, y, out=out, threads=options.threads))
    row(f"calibrate {prompts} x 128 x 16, float32", ours)

    def counted():
        less = (z[:, None, :] < y[:, :, None]).sum(2)
        return (less + 0.5 * (z[:, None, :] == y[:, :, None]).sum(2)) / z.shape[1]

    def searched():
        s = np.sort(z, axis=1)
        offset = 1e3 * np.arange(prompts, dtype=np.float64)[:, None]  # one search over all prompts
        flat, asked = (s + offset).ravel(), (y + offset).ravel()
        low, high = np.searchsorted(flat, asked), np.searchsorted(flat, asked, "right")
        return ((low + high) / 2 - np.repeat(np.arange(prompts) * 128, 16)).reshape(y.shape) / 128

    np.testing.assert_allclose(counted(), out, atol=1e-6)
    np.testing.assert_allclose(searched(), out, atol=2e-2)  # offsets cost digits
    row("  NumPy, counting", best(counted, 3), ours)
    row("  NumPy, sort and search", best(searched, 3), ours)
    if has("torch"):
        import torch

        torch.set_num_threads(options.threads)
        zt, yt = torch.from_numpy(z), torch.from_numpy(y)

        def search():
            s = zt.sort(1).values
            return (torch.searchsorted(s, yt) + torch.searchsorted(s, yt, right=True)) / 256

        np.testing.assert_allclose(search().numpy(), out, atol=1e-6)
        row("  PyTorch, sort and search", best(search, 3), ours)


def frames():
    rows = 20_000 if options.quick else 1_000_000
    rng = np.random.default_rng(1)
    ids = np.array([f"prompt-{i}" for i in range(rows // 50)])
    make = lambda n: {"prompt_id": rng.permutation(np.resize(ids, n)), "reward": rng.normal(size=n)}  # noqa: E731
    base, new = make(rows), make(rows)
    kinds = []
    if has("pandas"):
        import pandas

        kinds.append(("pandas", pandas.DataFrame, lambda f, c: f.assign(u=c)))
    if has("polars") and has("pyarrow"):
        import polars

        kinds.append(("polars", polars.DataFrame, lambda f, c: f.with_columns(u=c)))
    if has("pyarrow"):
        import pyarrow

        kinds.append(("Arrow", pyarrow.table, lambda f, c: f.append_column("u", [c])))
    for name, make_frame, add in kinds:
        frame, references = make_frame(new), make_frame(base)
        known = ia.group(references)

        def column():
            g = ia.group(frame, like=known)
            return add(frame, g.restore(ia.calibrate(known.values, g.values, threads=options.threads)))

        row(f"{name}: {rows} shuffled rows to a calibrated column", best(column, 3))


def overhead():
    z, y = np.ones((1, 4)), np.ones((1, 2))
    out = np.empty_like(y)

    def many(f, n=20_000):
        begun = clock()
        for _ in range(n):
            f()
        return 1e3 * (clock() - begun) / n

    row("a call of calibrate, 1 x 4 x 2", min(many(lambda: ia.calibrate(z, y)) for _ in range(3)))
    row("  with out", min(many(lambda: ia.calibrate(z, y, out=out)) for _ in range(3)))
    row("a call of win_rate", min(many(lambda: ia.win_rate(z, y, "best_of:2")) for _ in range(3)))
    if has("torch"):
        import torch

        from infalign.torch import policy_loss

        x, leaf = torch.zeros(1, 4), torch.zeros(1, 4, requires_grad=True)
        tokens, a = torch.zeros(1, dtype=torch.int64), torch.ones(1)

        class Empty(torch.autograd.Function):
            """What autograd itself takes: a gradient is made and kept, and handed out by backward."""

            @staticmethod
            def forward(ctx, x):
                ctx.gradient = torch.empty_like(x)
                return x.new_empty(())

            @staticmethod
            def backward(ctx, by):
                gradient, ctx.gradient = ctx.gradient, None
                return gradient

        def with_backward(f):
            leaf.grad = None
            f(leaf).backward()

        ours = lambda x: policy_loss(x, tokens, a, threads=1)  # noqa: E731
        for name, f in [
            ("a call of policy_loss, 1 x 4, no gradient asked for", lambda: ours(x)),
            ("  of logits that require one", lambda: ours(leaf)),
            ("    an empty autograd.Function", lambda: Empty.apply(leaf)),
            ("  and backward", lambda: with_backward(ours)),
            ("    an empty autograd.Function and backward", lambda: with_backward(Empty.apply)),
        ]:
            row(name, min(many(f, 5000) for _ in range(5)))


def loss():
    import torch

    from infalign.torch import policy_loss

    torch.set_num_threads(options.threads)
    tokens, vocabulary = (16, 1024) if options.quick else (512, 32_768)
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        hidden = (torch.randn(tokens, vocabulary) * 3).to(dtype)
        ids, a = torch.randint(0, vocabulary, (tokens,)), torch.randn(tokens)
        old = torch.log_softmax(hidden.float(), -1).gather(1, ids[:, None])[:, 0] + 0.1 * torch.randn(tokens)

        def eager(x):
            lp = torch.log_softmax(x.float(), -1).gather(1, ids[:, None])[:, 0]
            ratio = (lp - old).exp()
            return -torch.min(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()

        def trl(x):  # selective_log_softmax of TRL 1.16, for one response
            if x.dtype == torch.float32:
                lp = x.gather(1, ids[:, None])[:, 0] - torch.logsumexp(x, -1)
            else:
                lp = torch.log_softmax(x, -1).gather(1, ids[:, None])[:, 0].float()
            ratio = (lp - old).exp()
            return -torch.min(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()

        def step(f):
            leaf = hidden.detach().requires_grad_()

            def run():
                leaf.grad = None
                value = f(leaf)
                value.backward()
                return value.detach(), leaf.grad

            return run

        settings = {"old_log_prob": old, "loss": "ppo", "threads": options.threads}
        ours_step = step(lambda x: policy_loss(x, ids, a, **settings))
        (value, gradient), (expected, truth) = ours_step(), step(eager)()
        assert abs(value - expected) < 1e-4 and (gradient.float() - truth.float()).abs().max() < (1e-6 if dtype == torch.float32 else 2e-5)
        del gradient, truth
        name = f"policy_loss and backward, {tokens} x {vocabulary}, {str(dtype)[6:]}"
        ours = best(ours_step)
        row(name, ours)
        work = hidden.clone().requires_grad_() * 1
        in_place = lambda: policy_loss(work, ids, a, in_place=True, **settings)  # noqa: E731
        row("  in place, without backward, of what the call before left", best(in_place), ours)
        row("  eager PyTorch", best(step(eager), 5), ours)
        row("  TRL's selective_log_softmax", best(step(trl), 3), ours)
        compiled = torch.compile(eager)
        row("  compiled PyTorch", best(step(compiled), 5), ours)
        copy = torch.empty_like(hidden)
        row("  a copy of the logits", best(lambda: copy.copy_(hidden)), ours)


parts = {"calibration": calibration, "frames": frames, "overhead": overhead, **({"loss": loss} if has("torch") else {})}
print(f"infalign {ia.__version__}, {ia.instruction_set()}, threads {options.threads}")
for name, part in parts.items():
    if options.only in (None, name):
        part()
