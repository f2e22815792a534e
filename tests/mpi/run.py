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


def write(name, rewards_of, shards, fields=lambda prompt, reward: {}):
    """All records in one file, and the same in random order over shards."""
    numbers = random.Random(7)
    records = [json.dumps({"prompt_id": p if p % 2 else f"text {p}", "reward": x, **fields(p, x)}) for p, xs in rewards_of.items() for x in xs]
    (work / f"{name}.jsonl").write_text("\n".join(records) + "\n")
    numbers.shuffle(records)
    paths = [work / f"{name}.{i}.jsonl" for i in range(shards)]
    for i, path in enumerate(paths):
        path.write_text("\n".join(records[i::shards]) + "\n")
    return work / f"{name}.jsonl", paths


def close(a, b):
    """Equal to rounding, all the way down."""
    if isinstance(b, dict):
        return all(key in a and close(a[key], b[key]) for key in b)
    if isinstance(b, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(b, float):
        return abs(a - b) <= 1e-12 * max(1, abs(b))
    return a == b


numbers = random.Random(1)
kinds = lambda p, reward: {"topic": "x" if p % 7 == 0 else p % 11, "level": ["easy", "hard", 3][p % 3],
                           "answer": "right" if reward == 1 else str(numbers.randrange(3))}
policy, policy_shards = write("policy", {p: [numbers.choice([1, 2, 3, numbers.gauss(2, 1)]) for _ in range(4 + p % 3)] for p in range(401)}, 5, kinds)
base, base_shards = write("base", {p: [numbers.choice([1, 2, numbers.gauss(1, 1)]) for _ in range(4 + p % 5)] for p in range(405)}, 3)
passes, pass_shards = write("passes", {p: [float(numbers.random() < 0.3) for _ in range(6)] for p in range(90)}, 4, kinds)

for estimand, whole, parts in [
    (["--procedure", "best_of:4", "--reference-procedure", "standard"], [policy, base], (policy_shards, base_shards)),
    (["--procedure", "worst_of:2"], [policy, base], (policy_shards, base_shards)),
    (["--estimand", "expected-reward", "--procedure", "best_of:3"], [policy, None], (policy_shards, None)),
    (["--estimand", "pass@3"], [passes, None], (pass_shards, None)),
    (["--estimand", "expected-transform", "--transform", "exponential:2"], [policy, base], (policy_shards, base_shards)),
    (["--estimand", "maj@3"], [passes, None], (pass_shards, None)),
    (["--estimand", "pass@2", "--cluster", "topic"], [passes, None], (pass_shards, None)),
    (["--estimand", "maj@4", "--cluster", "topic"], [passes, None], (pass_shards, None)),
    (["--estimand", "pass@1", "--stratum", "level"], [passes, None], (pass_shards, None)),
    (["--procedure", "best_of:2", "--stratum", "level", "--stratum-weight", "easy=1", "hard=2", "3=0.5"], [policy, base], (policy_shards, base_shards)),
    (["--procedure", "best_of:3", "--cluster", "topic"], [policy, base], (policy_shards, base_shards)),
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
        # Strata come in the order of their names, those of the command in that of the file.
        by_name = lambda rows: sorted(rows, key=lambda row: str(row["stratum"]))
        assert found.get("clusters") == expected.get("clusters") and close(by_name(found.get("by_stratum", [])), by_name(expected.get("by_stratum", []))), (found, expected)


# Predictions rest on the order of a prompt's samples, which is that of the files one after another.
joined = work / "joined.jsonl"
joined.write_text("".join(path.read_text() for path in base_shards))
wanted = ["--procedure", "best_of:2", "--transform", "exponential:3", "identity", "--beta", "0.5,2"]
expected = json.loads(run(one, "evaluate", "--reference", joined, *wanted, "--json").stdout)
assert len(expected["rows"]) == 4
expected.pop("short_prompts")
for ranks in (1, 2, 3):
    answer = mpi(ranks, "evaluate", "--reference", *base_shards, *wanted)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    found.pop("short_prompts")
    assert found.pop("ranks") == ranks and close(found, expected), (ranks, found, expected)
# A rank without prompts takes part: two of the three have none.
few = work / "few.jsonl"
few.write_text('{"prompt_id": 1, "rewards": [1, 2, 3, 4, 4]}\n')
expected = json.loads(run(one, "evaluate", "--reference", few, *wanted, "--json").stdout)
assert close(json.loads(mpi(3, "evaluate", "--reference", few, *wanted).stdout), expected)

# Calibrated files are those of the command, byte for byte: also where ties are drawn by the place in the file.
for options, rollouts in [(["--transform", "exponential:3"], policy_shards), (["--ties", "randomized:3"], policy_shards),
                          (["--leave-one-out"], base_shards)]:
    outputs = [work / f"out.{i}.jsonl" for i in range(len(rollouts))]
    for i, path in enumerate(rollouts):
        done = run(one, "calibrate", "--reference", joined, "--rollouts", path, *options, "--output", work / f"expected.{i}.jsonl")
        assert done.returncode == 0, done.stderr
    for ranks in (1, 2, 3):
        for path in outputs:
            path.unlink(missing_ok=True)
        answer = mpi(ranks, "calibrate", "--reference", *base_shards, "--rollouts", *rollouts, *options, "--output", *outputs)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        assert found["records"] == sum(len(path.read_text().splitlines()) for path in rollouts), found
        for i, path in enumerate(outputs):
            assert path.read_text() == (work / f"expected.{i}.jsonl").read_text(), (options, ranks, path)

# What one rank finds wrong ends all of them, with its line and a code.
moved = work / "moved.jsonl"
moved.write_text('\n{"prompt_id": 1, "reward": 1, "level": "easy", "topic": 9, "answer": "right"}\n')
bad = work / "bad.jsonl"
bad.write_text('{"prompt_id": 1, "reward": null}\n')
single = work / "single.jsonl"
single.write_text('{"prompt_id": 1, "reward": 2}\n')
for arguments, code, text in [
    (["--policy", *policy_shards, bad, "--reference", *base_shards, "--procedure", "best_of:2"], 1, "bad.jsonl:1"),
    (["--policy", *policy_shards, "--reference", base_shards[0], "--procedure", "best_of:2"], 1, "prompt"),
    (["--policy", *policy_shards, "--reference", *base_shards, "--procedure", "no_such"], 2, "no_such"),
    (["--policy", work / "none.jsonl", "--reference", *base_shards, "--procedure", "best_of:2"], 1, "none.jsonl"),
    (["--policy", *base_shards, "--estimand", "maj@3"], 1, "answer is missing"),
    (["--policy", *pass_shards, moved, "--estimand", "pass@1", "--stratum", "level"], 1, 'moved.jsonl:2: prompt 1 is in stratum "easy", and was in "hard" before'),
    (["--policy", *pass_shards, moved, "--estimand", "pass@1", "--cluster", "topic"], 1, 'moved.jsonl:2: prompt 1 is in cluster 9, and was in 1 before'),
    (["--policy", *pass_shards, "--estimand", "pass@1", "--stratum", "level", "--stratum-weight", "easy=1"], 1, 'stratum'),
    (["--policy", *pass_shards, "--estimand", "pass@1", "--stratum", "level", "--cluster", "topic"], 2, "--stratum and --cluster"),
    (["evaluate", "--reference", *base_shards, bad, "--procedure", "best_of:2", "--transform", "identity", "--beta", "1"], 1, "bad.jsonl:1"),
    (["evaluate", "--reference", *base_shards, "--procedure", "best_of:2", "--transform", "none", "--beta", "1"], 2, "none"),
    (["evaluate", "--reference", single, "--procedure", "best_of:2", "--transform", "identity", "--beta", "1"], 1, "has 1 reward"),
    (["calibrate", "--reference", base_shards[0], "--rollouts", *base_shards, "--output", *outputs], 1, "has no reference in"),
    (["calibrate", "--reference", *base_shards, "--rollouts", *base_shards, "--output", outputs[0]], 2, "there are 1 files, but 3"),
    (["calibrate", "--reference", *base_shards, "--rollouts", *base_shards[:2], "--output", outputs[0], outputs[0]], 2, "twice"),
]:
    answer = mpi(2, *([] if arguments[0] in ("evaluate", "calibrate") else ["win-rate"]), *arguments)
    assert answer.returncode == code and text in answer.stderr and not answer.stdout, (answer.returncode, answer.stderr)
print("one, two and three ranks say what the command says")
