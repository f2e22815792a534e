#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Win rates of a table in DuckDB, with their standard error: python duckdb_win_rate.py [ROWS]

A list column of DuckDB is a Ragged in memory already, so a vectorised function of it is a grouped map without a copy; and a state is a
BLOB, so parts of the table are reduced apart and merged. The program compares with DuckDB's own SQL and with one pass over the same
arrays, and fails if they differ by more than 1e-12.
"""

import sys
import time

import duckdb
import numpy as np
import pyarrow as pa

import infalign as ia

SAMPLES = 50  # of either policy, for each prompt


def ragged(column: pa.ChunkedArray) -> ia.Ragged:
    """The lists of a column, where they lie. Lists of a slice need not begin at 0."""
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = lists.values.to_numpy(zero_copy_only=True)[offsets[0] : offsets[-1]]
    return ia.Ragged(values, offsets - offsets[0])


def register(con: duckdb.DuckDBPyConnection) -> None:
    """`win_rate(policy, base, procedure)` of two lists, a prompt's; `summary_state(values)` and `merged_state(states)`, a state being a BLOB."""

    def win_rate(policy, base, procedure):
        return pa.array(ia.win_rate(ragged(policy), ragged(base), procedure[0].as_py()))

    def summary_state(values):
        return pa.array([ia.Summary.of(part).to_bytes() for part in ragged(values)], pa.binary())

    def merged_state(states):
        found = []
        for parts in states.to_pylist():
            total = ia.Summary()
            for part in parts:
                total.merge(ia.Summary.from_bytes(part))
            found.append(total.to_bytes())
        return pa.array(found, pa.binary())

    con.create_function("win_rate", win_rate, ["DOUBLE[]", "DOUBLE[]", "VARCHAR"], "DOUBLE", type="arrow")
    con.create_function("summary_state", summary_state, ["DOUBLE[]"], "BLOB", type="arrow")
    con.create_function("merged_state", merged_state, ["BLOB[]"], "BLOB", type="arrow")


WINS = """
SELECT prompt_id, win_rate(list(reward) FILTER (policy), list(reward) FILTER (NOT policy), '{procedure}') AS wins
FROM rewards GROUP BY prompt_id"""

# A state for each of 64 parts, as machines would have them, and the state of all.
REDUCED = """
SELECT merged_state(list(state)) FROM
  (SELECT summary_state(list(wins)) AS state FROM ({wins}) GROUP BY prompt_id % 64)"""

# The same number by mid-ranks, for single samples alone: what best-of-N serves would be a table of binomials more.
SQL = """
WITH ranked AS (
  SELECT prompt_id, policy, rank() OVER same + (count(*) OVER (same RANGE BETWEEN CURRENT ROW AND CURRENT ROW) - 1) / 2 AS place
  FROM rewards WINDOW same AS (PARTITION BY prompt_id ORDER BY reward)),
prompts AS (
  SELECT prompt_id, count(*) FILTER (policy) AS m, count(*) AS n, sum(place) FILTER (policy) AS places FROM ranked GROUP BY prompt_id)
SELECT count(*), avg(w), stddev_samp(w) / sqrt(count(*))
FROM (SELECT (places - m * (m + 1) / 2) / (m * (n - m)) AS w FROM prompts)"""


def timed(run) -> tuple:
    begun = time.perf_counter()
    found = run()
    return found, time.perf_counter() - begun


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    prompts = max(rows // (2 * SAMPLES), 2)
    rng = np.random.default_rng(1)
    side = np.arange(2 * SAMPLES) < SAMPLES
    # Rewards of 64 levels, so that many tie.
    rewards = np.round(8 * (rng.normal(size=(prompts, 2 * SAMPLES)) + 0.25 * side)) / 8
    order = rng.permutation(prompts * 2 * SAMPLES)  # rows come in any order
    generated = pa.table({"prompt_id": (np.repeat(np.arange(prompts), 2 * SAMPLES))[order],
                          "policy": np.tile(side, prompts)[order], "reward": rewards.reshape(-1)[order]})
    con = duckdb.connect()
    con.execute("SET threads = 2")
    register(con)
    con.execute("CREATE TABLE rewards AS SELECT * FROM generated")
    print(f"{generated.num_rows} rows, {prompts} prompts, DuckDB {duckdb.__version__}")
    summaries = {}
    for procedure in ("standard", "best_of:4"):
        query = REDUCED.format(wins=WINS.format(procedure=procedure))
        state, seconds = timed(lambda: con.execute(query).fetchone()[0])
        summaries[procedure] = ia.Summary.from_bytes(state).estimate(0.0, 1.0)
        expected = ia.summarize(ia.win_rate(rewards[:, :SAMPLES], rewards[:, SAMPLES:], procedure), range="win_rate")
        print(f"{procedure:10} {seconds:6.2f} s  {summaries[procedure]}")
        apart(summaries[procedure], expected)
    (count, value, error), seconds = timed(lambda: con.execute(SQL).fetchone())
    print(f"SQL        {seconds:6.2f} s  {value:.6g} ± {error:.2g}, n = {count}")
    apart(summaries["standard"], ia.Estimate(value, error, count))


def apart(found: ia.Estimate, expected: ia.Estimate) -> None:
    if found.count != expected.count or max(abs(found.value - expected.value), abs(found.standard_error - expected.standard_error)) > 1e-12:
        sys.exit(f"{found.value}, {found.standard_error} differs from {expected.value}, {expected.standard_error}")


if __name__ == "__main__":
    main()
