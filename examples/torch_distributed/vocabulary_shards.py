#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A loss of logits whose vocabulary is spread over ranks, over gloo: loss, KL and gradient are those of one process.

    python vocabulary_shards.py [RANKS]

Each rank has some columns of the last layer, as in tensor-parallel training. It reads its own logits into a state a token, ranks gather
those, 104 bytes a token however large the vocabulary is, and every rank then has log π, the exact KL and the entropy of every token. The
loss is plain PyTorch on these. ``backward`` needs no further exchange: the gradient of a rank's columns depends on its own logits and on
the statistics of the whole row. The program compares with ``policy_loss`` of one process, and fails if they differ.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from infalign.torch import policy_loss, token_statistics

RESPONSES, LENGTH, WIDTH, VOCABULARY, KL, ENTROPY = 5, 7, 16, 1001, 0.05, 0.01


def batch(dtype: torch.dtype) -> dict:
    """The same on every rank. A model is a matrix here, and the base policy another."""
    torch.manual_seed(3)
    lengths = torch.randint(1, LENGTH + 1, (RESPONSES,))
    tokens = torch.randint(VOCABULARY, (RESPONSES, LENGTH))
    mask = (torch.arange(LENGTH) < lengths[:, None]).double()
    return {"matrix": torch.randn(WIDTH, VOCABULARY, dtype=dtype) / 2,
            "base": torch.randn(WIDTH, VOCABULARY, dtype=dtype) / 2,
            "hidden": torch.randn(RESPONSES, LENGTH, WIDTH, dtype=dtype),
            "tokens": torch.where(mask > 0, tokens, -100), "mask": mask,
            "advantages": torch.randn(RESPONSES, dtype=torch.float64),
            "old": -6 - torch.rand(RESPONSES, LENGTH, dtype=torch.float64)}


def gathered(states: torch.Tensor) -> list[torch.Tensor]:
    parts = [torch.empty_like(states) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, states)
    return parts


def sharded_step(data: dict, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss and mean KL of the whole vocabulary, and the gradient of these columns of the matrix."""
    matrix = data["matrix"][:, first:end].clone().requires_grad_()
    terms = token_statistics(data["hidden"] @ matrix, data["tokens"], base_logits=data["hidden"] @ data["base"][:, first:end],
                             mask=data["mask"], entropy=True, first=first, exchange=gathered)
    mask, tokens = data["mask"], data["mask"].sum()
    ratio = torch.where(mask > 0, terms.log_prob - data["old"], 0).exp()
    advantage = data["advantages"][:, None]
    surrogate = -torch.minimum(ratio * advantage, ratio.clamp(1 - 0.2, 1 + 0.28) * advantage)
    loss = (mask * (surrogate + KL * terms.kl - ENTROPY * terms.entropy)).sum() / tokens
    loss.backward()
    return loss.detach(), (mask * terms.kl).sum().detach() / tokens, matrix.grad


def one_process(data: dict) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    matrix = data["matrix"].clone().requires_grad_()
    loss, seen = policy_loss(data["hidden"] @ matrix, data["tokens"], data["advantages"], mask=data["mask"], old_log_prob=data["old"],
                             base_logits=data["hidden"] @ data["base"], loss="dapo", kl=KL, entropy=ENTROPY, return_statistics=True)
    loss.backward()
    return loss.detach(), (data["mask"] * seen.kl).sum() / data["mask"].sum(), matrix.grad


def run_rank(rank: int, ranks: int, file: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=ranks)
    torch.set_num_threads(1)
    ends = [VOCABULARY * r // ranks for r in range(ranks + 1)]
    for dtype, allowed in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        data = batch(dtype)
        loss, kl, gradient = sharded_step(data, ends[rank], ends[rank + 1])
        expected, expected_kl, expected_gradient = one_process(data)
        apart = [abs(loss - expected), abs(kl - expected_kl),
                 (gradient - expected_gradient[:, ends[rank] : ends[rank + 1]]).abs().max()]
        worst = torch.stack([a.double() for a in apart]).max()
        dist.all_reduce(worst, dist.ReduceOp.MAX)
        if rank == 0:
            print(f"{ranks} ranks, {dtype}: loss {loss:.12f}, KL {kl:.12f}; largest difference to one process {worst:.1e}")
        if worst > allowed:
            sys.exit("the ranks differ from one process")
    dist.destroy_process_group()


if __name__ == "__main__":
    if sys.platform == "linux":  # all ranks are on this machine, whatever its name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run_rank, (number, folder + "/meeting"), nprocs=number)
