#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`infalign_mpi` on files whose prompts are spread over ranks equals the command on one: run.py INFALIGN_MPI INFALIGN MPIRUN WORK"""
import json
import os
import pathlib
import random
import subprocess
import sys

many, one, mpirun, work = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
work.mkdir(parents=True, exist_ok=True)
environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_btl_vader_single_copy_mechanism="none")


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, env=environment, timeout=300)


def mpi(ranks, *arguments):
    return run(mpirun, "--oversubscribe", "-n", ranks, many, *arguments)


def write(name, rewards_of, shards):
    """All records in one file, and the same in random order over shards."""
    numbers = random.Random(7)
    records = [json.dumps({"prompt_id": p if p % 2 else f"text {p}", "reward": x}) for p, xs in rewards_of.items() for x in xs]
    (work / f"{name}.jsonl").write_text("\n".join(records) + "\n")
    numbers.shuffle(records)
    paths = [work / f"{name}.{i}.jsonl" for i in range(shards)]
    for i, path in enumerate(paths):
        path.write_text("\n".join(records[i::shards]) + "\n")
    return work / f"{name}.jsonl", paths


numbers = random.Random(1)
policy, policy_shards = write("policy", {p: [numbers.choice([1, 2, 3, numbers.gauss(2, 1)]) for _ in range(4 + p % 3)] for p in range(401)}, 5)
base, base_shards = write("base", {p: [numbers.choice([1, 2, numbers.gauss(1, 1)]) for _ in range(4 + p % 5)] for p in range(405)}, 3)
passes, pass_shards = write("passes", {p: [float(numbers.random() < 0.3) for _ in range(6)] for p in range(90)}, 4)

for estimand, whole, parts in [
    (["--procedure", "best_of:4", "--reference-procedure", "standard"], [policy, base], (policy_shards, base_shards)),
    (["--procedure", "worst_of:2"], [policy, base], (policy_shards, base_shards)),
    (["--estimand", "expected-reward", "--procedure", "best_of:3"], [policy, None], (policy_shards, None)),
    (["--estimand", "pass@3"], [passes, None], (pass_shards, None)),
]:
    files = lambda p, r: ["--policy", *p] + (["--reference", *r] if r else [])
    expected = json.loads(run(one, "win-rate", *files([whole[0]], [whole[1]] if whole[1] else None), *estimand, "--json").stdout)
    for ranks in (1, 2, 3):
        answer = mpi(ranks, "win-rate", *files(*parts), *estimand)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        assert found["ranks"] == ranks and found["prompts"] == expected["prompts"], (found, expected)
        key = "win_rate" if "win_rate" in expected else "value"
        for a, b in [(found[key], expected[key]), (found["standard_error"], expected["standard_error"]),
                     *zip(found["confidence_interval"], expected["confidence_interval"])]:
            assert abs(a - b) <= 1e-12 * max(1, abs(b)), (ranks, found, expected)

# What one rank finds wrong ends all of them, with its line and a code.
bad = work / "bad.jsonl"
bad.write_text('{"prompt_id": 1, "reward": null}\n')
for arguments, code, text in [
    (["--policy", *policy_shards, bad, "--reference", *base_shards, "--procedure", "best_of:2"], 1, "bad.jsonl:1"),
    (["--policy", *policy_shards, "--reference", base_shards[0], "--procedure", "best_of:2"], 1, "prompt"),
    (["--policy", *policy_shards, "--reference", *base_shards, "--procedure", "no_such"], 2, "no_such"),
    (["--policy", work / "none.jsonl", "--reference", *base_shards, "--procedure", "best_of:2"], 1, "none.jsonl"),
]:
    answer = mpi(2, "win-rate", *arguments)
    assert answer.returncode == code and text in answer.stderr and not answer.stdout, (answer.returncode, answer.stderr)
print("one, two and three ranks say what the command says")
