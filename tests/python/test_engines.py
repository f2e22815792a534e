# SPDX-License-Identifier: Apache-2.0
"""`scripts/duckdb_win_rate.py`: DuckDB with the library's functions and states, its own SQL and one pass agree to 1e-12."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("duckdb", reason="there is no duckdb (pip install duckdb)")
pa = pytest.importorskip("pyarrow", reason="there is no pyarrow")
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python" / "scripts"


def test_a_table_in_duckdb():
    done = subprocess.run([sys.executable, str(SCRIPTS / "duckdb_win_rate.py"), "30000"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["30000", "standard", "best_of:4", "SQL"]


def test_lists_that_are_slices(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import duckdb_win_rate

    lists = pa.array([[9.0], [1.0, 2.0], [], [3.0]])
    for column in (lists.slice(1), pa.chunked_array([lists.slice(1, 1), lists.slice(2)])):
        assert [list(group) for group in duckdb_win_rate.ragged(column)] == [[1.0, 2.0], [], [3.0]]
    with pytest.raises(pa.ArrowInvalid):
        duckdb_win_rate.ragged(pa.array([[1.0, None]]))
    assert np.array_equal(duckdb_win_rate.ragged(lists).offsets, [0, 1, 3, 3, 4])
