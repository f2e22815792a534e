#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A step of data-parallel training over gloo: the loss and the gradient of all ranks are those of one process with the whole batch.

    python data_parallel.py [RANKS]

A mean over the tokens of each rank, averaged over ranks, is another loss where ranks have unequal numbers of tokens: long responses would
weigh less on the rank that has many of them. So ranks first add up what they divide by, one number, and then their gradients. What is
logged is a state, ``infalign.Summary``, which ranks merge. The program compares with one process, and fails if they differ.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

import infalign as ia
from infalign.torch import policy_loss

RESPONSES, LENGTH, WIDTH, VOCABULARY = 12, 9, 16, 101


def whole_batch() -> dict:
    """The same on every rank; each takes its responses from it. A model is a matrix here."""
    torch.manual_seed(3)
    lengths = torch.randint(1, LENGTH + 1, (RESPONSES,))
    return {"matrix": torch.randn(WIDTH, VOCABULARY, dtype=torch.float64) / 4,
            "hidden": torch.randn(RESPONSES, LENGTH, WIDTH, dtype=torch.float64),
            "tokens": torch.randint(VOCABULARY, (RESPONSES, LENGTH)),
            "advantages": torch.randn(RESPONSES, dtype=torch.float64),
            "mask": (torch.arange(LENGTH) < lengths[:, None]).double()}


def step(batch: dict, part: slice, group: bool) -> tuple[float, torch.Tensor, ia.Summary]:
    """Loss, gradient and the log-probabilities of the responses in ``part``; of all ranks, where there is a ``group``."""
    matrix = batch["matrix"].clone().requires_grad_()
    hidden, tokens, advantages, mask = (batch[name][part] for name in ("hidden", "tokens", "advantages", "mask"))
    count = mask.sum()
    if group:
        dist.all_reduce(count)  # the tokens of all ranks
    logits = hidden @ matrix
    loss, seen = policy_loss(logits, tokens, advantages, mask=mask, loss="dapo", entropy=0.01, aggregation=count.item(), in_place=True,
                             return_statistics=True)
    loss.backward()
    value, gradient = loss.detach().clone(), matrix.grad
    summary = ia.Summary.of(seen.log_prob[mask > 0].numpy())
    if group:
        dist.all_reduce(value)
        dist.all_reduce(gradient)  # a sum: each rank has divided by the tokens of all
        states = [None] * dist.get_world_size()
        dist.all_gather_object(states, summary.to_bytes())
        summary = ia.Summary()
        for state in states:
            summary.merge(ia.Summary.from_bytes(state))
    return value.item(), gradient, summary


def run_rank(rank: int, ranks: int, file: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=ranks)
    torch.set_num_threads(1)
    batch = whole_batch()
    # Unequal parts: rank 0 has the fewest responses.
    ends = [RESPONSES * (r + 1) * (r + 2) // (ranks * (ranks + 1)) for r in range(ranks)]
    loss, gradient, summary = step(batch, slice(([0] + ends)[rank], ends[rank]), True)
    if rank == 0:
        expected, expected_gradient, expected_summary = step(batch, slice(None), False)
        difference = (gradient - expected_gradient).abs().max().item()
        print(f"{ranks} ranks: loss {loss:.12f}, one process {expected:.12f}; largest difference of a gradient {difference:.1e}; "
              f"mean log-probability {summary.mean:.6f} of {summary.count} tokens")
        if abs(loss - expected) > 1e-12 or difference > 1e-12 or summary.count != expected_summary.count or \
                abs(summary.mean - expected_summary.mean) > 1e-12:
            sys.exit("the ranks differ from one process")
    dist.destroy_process_group()


if __name__ == "__main__":
    if sys.platform == "linux":  # all ranks are on this machine, whatever its name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run_rank, (number, folder + "/meeting"), nprocs=number)
