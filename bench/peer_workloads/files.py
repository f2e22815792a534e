# SPDX-License-Identifier: Apache-2.0
"""The command on files of records, beside pandas."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from .library import command
from .timing import Workload


class CalibratedFile:
    """A file of records: the numbers that calibration added, read only when they are looked at."""

    def __init__(self, path):
        self.path = path

    def __array__(self, dtype=None, copy=None):
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

    def remove_outputs(self):
        """So that everyone writes a new file: replacing one makes some file systems write it to disk at once."""
        for path in Path(self.directory.name).glob("*.jsonl"):
            if str(path) not in self.paths():
                path.unlink()


def pandas_calibration(files, engine):
    """What one would write instead: calibrated reward, exp(10·u) and standard error of every row."""

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


def calibrate(library):
    def infalign(files):
        def run():
            reference, rollouts = files.paths()
            subprocess.run([command(library.arch), "calibrate", "--reference", reference, "--rollouts", rollouts, "--transform", "exponential:10",
                            "--output", files.output("infalign")], check=True)
            return CalibratedFile(files.output("infalign"))
        return run

    for millions in (1, 4):
        files = RewardFiles(1_000_000 * millions)
        yield Workload(f"calibrate a file of {millions} M records by as many references", {
            "infalign": infalign(files), "pandas": pandas_calibration(files, "ujson"),
            "pandas, pyarrow": pandas_calibration(files, "pyarrow")}, 370 * files.n, 1e-12, records=2 * files.n, before=files.remove_outputs)
