# SPDX-License-Identifier: Apache-2.0
"""What a server of best-of-N must not lose: references of every prompt, and the sums behind its dashboard, in SQLite.

A call that has returned is on disk: after ``kill -9``, or a loss of power where the disk keeps its word, nothing acknowledged is gone, and
of a call that was cut off either all is there or nothing. Any number of processes may have the file open.
"""

import sqlite3
import time
from typing import Any, Optional, Union

import numpy as np

import infalign as ia

_WAIT_S = 30  # how long a call waits for other processes before it says that the file is locked

_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS prompts (prompt TEXT PRIMARY KEY, added INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS prompts_by_use ON prompts (used);
CREATE TABLE IF NOT EXISTS references_ (prompt TEXT, number INTEGER, reward REAL NOT NULL, PRIMARY KEY (prompt, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sums (name TEXT, source TEXT, state BLOB NOT NULL, PRIMARY KEY (name, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (now INTEGER NOT NULL);
INSERT INTO clock SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM clock);
COMMIT;
"""


class Store:
    """References and sums in the file ``path``.

    ``window``: how many of the latest references a prompt keeps. ``prompts``: how many prompts are kept; those used least recently go
    first. Together they bound the file: about 40 bytes a reference.
    """

    def __init__(self, path: str, *, window: int = 128, prompts: int = 100_000) -> None:
        for name, value in (("window", window), ("prompts", prompts)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Store: {name} is {value!r}, must be a whole number of at least 1")
        self._window, self._prompts = window, prompts
        self._db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        _write_ahead(self._db)
        self._db.execute("PRAGMA synchronous = FULL")  # in this mode, what is committed is on disk
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def references(self, prompt: str) -> np.ndarray:
        """Those that are kept, the oldest first."""
        rows = self._db.execute("SELECT reward FROM references_ WHERE prompt = ? ORDER BY number", (prompt,))
        return np.array([reward for (reward,) in rows], float)

    def calibrated(self, prompt: str, rewards: Any) -> Optional[np.ndarray]:
        """The calibrated rewards among the references of the prompt, ties counted ½; None for a prompt without references."""
        values = _rewards("calibrated", rewards)
        references = self.references(prompt)
        return ia.calibrate(references[None, :], values[None, :])[0] if len(references) else None

    def add(self, prompt: str, rewards: Any) -> None:
        """Makes the rewards references of the prompt. Of more than ``window``, the oldest go. On disk when it returns."""
        values = _rewards("add", rewards)
        with _transaction(self._db):
            (now,) = self._db.execute("UPDATE clock SET now = now + 1 RETURNING now").fetchone()
            row = self._db.execute("SELECT added FROM prompts WHERE prompt = ?", (prompt,)).fetchone()
            first = row[0] if row else 0
            self._db.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?)", (prompt, first + len(values), now))
            self._db.executemany("INSERT INTO references_ VALUES (?, ?, ?)",
                                 ((prompt, first + i, float(x)) for i, x in enumerate(values)))
            self._db.execute("DELETE FROM references_ WHERE prompt = ? AND number < ?",
                             (prompt, first + len(values) - self._window))
            (kept,) = self._db.execute("SELECT count(*) FROM prompts").fetchone()
            gone = self._db.execute("SELECT prompt FROM prompts ORDER BY used LIMIT ?", (max(kept - self._prompts, 0),)).fetchall()
            self._db.executemany("DELETE FROM references_ WHERE prompt = ?", gone)
            self._db.executemany("DELETE FROM prompts WHERE prompt = ?", gone)

    def count(self, name: str, source: str, values: Union[float, Any]) -> None:
        """Adds values, one a prompt, to the sums that ``source`` (a process, a machine) keeps under ``name``. On disk when it returns."""
        numbers = np.atleast_1d(np.asarray(values, float))
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise ValueError(f"Store.count: values[{bad[0]}] is {numbers[bad[0]]}, must be finite")
        with _transaction(self._db):
            row = self._db.execute("SELECT state FROM sums WHERE name = ? AND source = ?", (name, source)).fetchone()
            state = ia.Summary.from_bytes(row[0]) if row else ia.Summary()
            state.merge(ia.Summary.of(np.ascontiguousarray(numbers)))
            self._db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?)", (name, source, state.to_bytes()))

    def summary(self, name: str) -> ia.Summary:
        """The sums of all sources together: those of one process that had seen everything, to rounding."""
        whole = ia.Summary()
        for (state,) in self._db.execute("SELECT state FROM sums WHERE name = ? ORDER BY source", (name,)):
            whole.merge(ia.Summary.from_bytes(state))
        return whole


class _transaction:
    """All or nothing. It waits for other writers at its beginning, where it has read nothing yet."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # it failed, or the disk is full: the next call begins anew
                self._db.execute("ROLLBACK")


def _write_ahead(db: sqlite3.Connection) -> None:
    """The journal by which readers do not wait. The first process to open a file changes it to that mode, and for this change SQLite does
    not wait for another process that has the file, whatever the timeout of the connection."""
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _rewards(function: str, rewards: Any) -> np.ndarray:
    values = np.asarray(rewards, float)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"Store.{function}: rewards has shape {values.shape}, must be one row of at least one value")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"Store.{function}: rewards[{bad[0]}] is {values[bad[0]]}, must be finite")
    return values
