# SPDX-License-Identifier: Apache-2.0
"""examples/serve: what is acknowledged survives kill -9, several processes feed one dashboard, and the server answers as it says."""
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

import infalign as ia

SERVE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "serve"
sys.path.insert(0, str(SERVE))
store = pytest.importorskip("store")

WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from store import Store
s = Store(sys.argv[2], window=10**6)
i = int(sys.argv[3])
while True:
    s.add("p", [float(i), i + 0.5])
    s.count("wins", "w", [(i % 7) / 7])
    i += 1
    print(i, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path, done = str(tmp_path / "s.db"), 0
    for attempt in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(SERVE), path, str(done)], stdout=subprocess.PIPE, text=True)
        acknowledged = done
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged >= done + 3 + 5 * attempt:
                break
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged] + [int(line) for line in writer.stdout if line.endswith("\n")])
        writer.wait()
        with store.Store(path, window=10**6) as s:
            values = s.references("p")
            added = len(values) // 2
            assert len(values) % 2 == 0 and acknowledged <= added <= acknowledged + 1
            assert np.array_equal(values, np.repeat(np.arange(added), 2) + np.tile([0, 0.5], added))
            counted = s.summary("wins").count
            assert acknowledged <= counted <= added
            while counted < added:  # the call that was cut off, between its two halves
                s.count("wins", "w", [(counted % 7) / 7])
                counted += 1
        done = added
    assert done >= 12


def test_two_processes_feed_one_dashboard(tmp_path, rng):
    path, values = str(tmp_path / "s.db"), rng.uniform(size=401)
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import numpy as np; from store import Store\n"
            "s = Store(sys.argv[2])\n"
            "for v in np.load(sys.argv[3])[int(sys.argv[4])::2]: s.count('wins', sys.argv[4], v)\n")
    np.save(tmp_path / "v.npy", values)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(SERVE), path, str(tmp_path / "v.npy"), str(i)]) for i in (0, 1)]
    assert [w.wait() for w in writers] == [0, 0]
    with store.Store(path) as s:
        merged, whole = s.summary("wins"), ia.Summary.of(values)
    assert merged.count == whole.count == 401
    assert abs(merged.mean - whole.mean) <= 1e-12 and abs(merged.m2 - whole.m2) <= 1e-12 * whole.m2


def test_opening_waits_for_another_process_that_has_a_new_file(tmp_path):
    path = str(tmp_path / "s.db")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE its_own (x)")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    try:
        with store.Store(path) as s:  # the change of the journal's mode waits
            s.add("a", [1])
            assert s.references("a").tolist() == [1]
    finally:
        release.join()
        other.close()


def test_many_processes_open_a_new_file_at_once(tmp_path):
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from store import Store\n"
            "print(flush=True)\n"
            "for path in sys.stdin:\n"
            "    with Store(path.strip()) as s: s.count('opened', sys.argv[2], 1)\n"
            "    print(flush=True)\n")
    openers = [subprocess.Popen([sys.executable, "-c", code, str(SERVE), str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for i in range(6)]
    for opener in openers:
        assert opener.stdout.readline() == "\n"  # it has imported everything
    for attempt in range(20):
        path = str(tmp_path / f"{attempt}.db")
        for opener in openers:
            opener.stdin.write(path + "\n")
            opener.stdin.flush()
        assert [opener.stdout.readline() for opener in openers] == ["\n"] * 6
        with store.Store(path) as s:
            assert s.summary("opened").count == 6
    for opener in openers:
        opener.stdin.close()
        assert opener.wait(20) == 0


@pytest.mark.parametrize("failing", ["COMMIT", "INSERT OR REPLACE INTO prompts VALUES (?, ?, ?)"])
def test_after_a_call_that_failed_on_disk_the_next_one_works(tmp_path, failing):
    class Failing:
        def __init__(self, db):
            self._db, self.left = db, 1

        def __getattr__(self, name):
            return getattr(self._db, name)

        def execute(self, statement, *rest):
            if statement == failing and self.left:
                self.left = 0
                raise sqlite3.OperationalError("database or disk is full")
            return self._db.execute(statement, *rest)

    with store.Store(str(tmp_path / "s.db")) as s:
        s.add("a", [1])
        s._db = Failing(s._db)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            s.add("a", [2])
        s.add("a", [3])
        assert s.references("a").tolist() == [1, 3]


def test_references_are_bounded_and_the_latest_stay(tmp_path):
    with store.Store(str(tmp_path / "s.db"), window=4, prompts=2) as s:
        s.add("a", [1, 2, 3])
        s.add("a", [4, 5, 6])
        assert s.references("a").tolist() == [3, 4, 5, 6]
        s.add("a", np.arange(10.0))
        assert s.references("a").tolist() == [6, 7, 8, 9]
        assert s.calibrated("a", [7, 10]).tolist() == [0.375, 1]
        s.add("b", [1])
        s.add("a", [1])
        s.add("c", [1])  # b was used least recently
        assert len(s.references("b")) == 0 and len(s.references("a")) == 4
        assert s.calibrated("b", [1]) is None


def test_selector_of_a_procedure_that_is_not_of_ranks(tmp_path):
    from server import Selector

    with store.Store(str(tmp_path / "s.db")) as s:
        selector = Selector(s, "rewind_and_repeat:0.5:3")
        assert selector.select("p", [0.2, 0.7, 0.9]) == {"index": 1, "calibrated": None, "win": None}
        assert selector.select("p", [0.2, 0.1, 0.3]) == {"index": 2, "calibrated": [1 / 6, 0, 1 / 3], "win": 1 / 3}
        assert selector.dashboard()["rewind_and_repeat:0.5:3"]["count"] == 1
        for name, says in [("best_of", "best_of"), ("best_of_poisson:2", "random number")]:
            with pytest.raises(ValueError, match=says):
                Selector(s, name)


@pytest.mark.parametrize("call, message", [
    (lambda s: s.add("a", []), "rewards has shape"),
    (lambda s: s.add("a", [1, float("nan")]), r"rewards\[1\] is nan"),
    (lambda s: s.calibrated("a", [[1.0]]), "rewards has shape"),
    (lambda s: s.count("x", "y", [1, float("inf")]), r"values\[1\] is inf"),
])
def test_bad_input_changes_nothing(tmp_path, call, message):
    with store.Store(str(tmp_path / "s.db")) as s:
        s.add("a", [5])
        with pytest.raises(ValueError, match=message):
            call(s)
        assert s.references("a").tolist() == [5] and s.summary("x").count == 0
    with pytest.raises(ValueError, match="window is 0"):
        store.Store(str(tmp_path / "t.db"), window=0)


def test_the_server_selects_calibrates_and_shows(tmp_path):
    server = subprocess.Popen([sys.executable, str(SERVE / "server.py"), str(tmp_path / "s.db"), "--port", "0", "--procedure", "best_of:3"],
                              stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()

        def post(content):
            request = urllib.request.Request(address + "/select", json.dumps(content).encode())
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)

        assert post({"prompt_id": "p", "rewards": [1, 3, 2]}) == {"index": 1, "calibrated": None, "win": None}
        assert post({"prompt_id": "p", "rewards": [4, 0, 2]}) == {"index": 0, "calibrated": [1, 0, 0.5], "win": 1}
        with urllib.request.urlopen(address + "/dashboard", timeout=20) as answer:
            shown = json.load(answer)["best_of:3"]
        assert shown["count"] == 1 and shown["win_rate"] == 1
        for content, message in [({"rewards": [1, 2, 3]}, "prompt_id is missing"),
                                 ({"prompt_id": "p", "rewards": [1, 2]}, "best_of"),
                                 ({"prompt_id": "p", "rewards": [1, None, 3]}, "rewards[0][1] is nan")]:
            with pytest.raises(urllib.error.HTTPError) as error:
                post(content)
            assert error.value.code == 400 and message in json.load(error.value)["error"]
        ties = {post({"prompt_id": "q", "rewards": [1, 1, 0]})["index"] for _ in range(40)}
        assert ties == {0, 1}
    finally:
        server.terminate()
        server.wait(20)
