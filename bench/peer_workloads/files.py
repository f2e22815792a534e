# SPDX-License-Identifier: Apache-2.0
"""The command on files of records, beside pandas, polars and DuckDB."""

import json
import subprocess
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl

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
        rollouts["standard_error"] = np.sqrt(u * (1 - u) / count + 0.25 / count**2) / (1 + 1 / count)
        rollouts.to_json(files.output(engine), orient="records", lines=True, double_precision=15)
        return CalibratedFile(files.output(engine))

    return run


def polars_calibration(files):
    """The same by polars: the greatest reference that is no greater, of those sorted once."""

    def run():
        reference, rollouts = (pl.read_ndjson(path) for path in files.paths())
        ordered = (reference.group_by("prompt_id", "reward").agg(pl.len().cast(pl.Float64).alias("equal")).sort("reward")
                   .with_columns(pl.col("equal").cum_sum().over("prompt_id").alias("not_above"), pl.col("reward").alias("greatest")))
        count = reference.group_by("prompt_id").agg(pl.len().cast(pl.Float64).alias("count"))
        u, k = pl.col("calibrated_reward"), pl.col("count")
        ties = pl.when(pl.col("greatest") == pl.col("reward")).then(pl.col("equal")).otherwise(0)
        (rollouts.with_row_index().sort("reward").join_asof(ordered, on="reward", by="prompt_id", check_sortedness=False)
         .join(count, on="prompt_id").sort("index")
         .with_columns(((pl.col("not_above") - ties / 2) / k).fill_null(0).alias("calibrated_reward"))
         .with_columns((10 * u).exp().alias("transformed_reward"),
                       ((u * (1 - u) / k + 0.25 / k**2).sqrt() / (1 + 1 / k)).alias("standard_error"))
         .drop("index", "equal", "not_above", "greatest", "count").write_ndjson(files.output("polars")))
        return CalibratedFile(files.output("polars"))

    return run


def duckdb_calibration(files, threads):
    """The same by DuckDB, in one statement."""
    statement = """
        COPY (WITH reference AS (FROM read_ndjson('{}', columns = {{prompt_id: 'VARCHAR', reward: 'DOUBLE'}})),
                   distinct_rewards AS (SELECT prompt_id, reward, count(*) AS equal FROM reference GROUP BY ALL),
                   ordered AS (SELECT *, sum(equal) OVER (PARTITION BY prompt_id ORDER BY reward) AS not_above FROM distinct_rewards),
                   total AS (SELECT prompt_id, count(*)::DOUBLE AS k FROM reference GROUP BY ALL),
                   rollouts AS (SELECT *, row_number() OVER () AS row FROM read_ndjson_auto('{}')),
                   ranked AS (SELECT rollouts.*, k, coalesce((not_above - if(ordered.reward = rollouts.reward, equal / 2, 0)) / k, 0) AS u
                              FROM rollouts ASOF LEFT JOIN ordered
                                   ON rollouts.prompt_id = ordered.prompt_id AND rollouts.reward >= ordered.reward
                              JOIN total ON rollouts.prompt_id = total.prompt_id)
              SELECT * EXCLUDE (row, k, u), u AS calibrated_reward, exp(10 * u) AS transformed_reward,
                     sqrt(u * (1 - u) / k + 0.25 / (k * k)) / (1 + 1 / k) AS standard_error
              FROM ranked ORDER BY row) TO '{}' (FORMAT json)"""

    def run():
        with duckdb.connect(config={"threads": threads}) as connection:
            connection.execute(statement.format(*files.paths(), files.output("duckdb")))
        return CalibratedFile(files.output("duckdb"))

    return run


def calibrate(library, threads):
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
            "pandas, pyarrow": pandas_calibration(files, "pyarrow"), "polars": polars_calibration(files),
            "DuckDB": duckdb_calibration(files, threads)}, 370 * files.n, 1e-12, records=2 * files.n, before=files.remove_outputs)
