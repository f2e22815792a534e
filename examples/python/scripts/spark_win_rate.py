#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Win rates of a table in Spark, with their standard error: python spark_win_rate.py [ROWS]

Rows are shuffled by prompt, so that a partition holds whole prompts. Each partition gives one state, 40 bytes, and the driver merges these.
The program compares with one pass over the same arrays, and fails if they differ by more than 1e-12.
"""

import os
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

import infalign as ia

SAMPLES = 50  # of either policy, for each prompt


def state_of(batches):
    """The rows of a partition become the state of its prompts: a function for `mapInArrow`."""
    parts = list(batches)
    if not parts:
        return
    rows = pa.Table.from_batches(parts)
    policy = ia.group(rows.filter(rows["policy"]))
    base = ia.group(rows.filter(pc.invert(rows["policy"])), like=policy)
    wins = ia.win_rate(policy.values, base.values, "best_of:4")
    yield pa.record_batch({"state": pa.array([ia.Summary.of(wins).to_bytes()], pa.binary())})


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    prompts = max(rows // (2 * SAMPLES), 2)
    rng = np.random.default_rng(1)
    side = np.arange(2 * SAMPLES) < SAMPLES
    rewards = np.round(8 * (rng.normal(size=(prompts, 2 * SAMPLES)) + 0.25 * side)) / 8
    order = rng.permutation(rewards.size)
    generated = pa.table({"prompt_id": np.repeat(np.arange(prompts), 2 * SAMPLES)[order], "policy": np.tile(side, prompts)[order],
                          "reward": rewards.reshape(-1)[order]})
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers have the same packages
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "2g").getOrCreate()
    frame = spark.createDataFrame(generated.to_pandas())
    begun = time.perf_counter()
    total = ia.Summary()
    for row in frame.repartition(8, "prompt_id").mapInArrow(state_of, "state binary").collect():
        total.merge(ia.Summary.from_bytes(bytes(row.state)))
    found = total.estimate(0.0, 1.0)
    print(f"{generated.num_rows} rows, {prompts} prompts, Spark {spark.version}: {time.perf_counter() - begun:.2f} s  {found}")
    spark.stop()
    expected = ia.summarize(ia.win_rate(rewards[:, :SAMPLES], rewards[:, SAMPLES:], "best_of:4"), range="win_rate")
    if found.count != expected.count or max(abs(found.value - expected.value), abs(found.standard_error - expected.standard_error)) > 1e-12:
        sys.exit(f"{found} differs from {expected}")


if __name__ == "__main__":
    main()
