#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Selection for a server that samples N responses and serves one, with a dashboard that several such processes feed.

    python server.py rewards.db --procedure best_of:4 --port 8000

    POST /select    {"prompt_id": "p1", "rewards": [0.1, 2.5, 0.3, 1.7]}
                 -> {"index": 1, "calibrated": [..], "win": 0.9}
    GET /dashboard -> {"best_of:4": {"count": .., "win_rate": .., "low": .., "high": ..}}

``index`` is the response to serve, ties at random. ``calibrated`` are the quantiles of the rewards among earlier rewards of the same prompt,
null for a prompt that is new, and ``win`` is how often the served one beats a single earlier one: the inference-time win rate over the
references, of which the dashboard shows the mean over requests. Rewards of a request become references after that.
"""

import argparse
import itertools
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

import infalign as ia
from store import Store


class Selector:
    """What the server does, without HTTP. Safe for threads; each process is a source of its own."""

    def __init__(self, store: Store, procedure: str) -> None:
        ia.select(np.empty((0, 1)), procedure)  # of no prompt: whether there is such a procedure
        self.store, self.procedure = store, procedure
        self._source = f"{os.uname().nodename}:{os.getpid()}"
        self._seeds = itertools.count(int.from_bytes(os.urandom(6), "little"))
        self._lock = threading.Lock()

    def select(self, prompt: str, rewards: Any) -> dict:
        values = np.asarray(rewards, float)
        if values.ndim != 1:
            raise ValueError(f"rewards has {values.ndim} dimensions, must have 1")
        index = int(ia.select(values[None, :], self.procedure, next(self._seeds))[0])
        with self._lock:
            calibrated = self.store.calibrated(prompt, values)
            if calibrated is not None:
                self.store.count(self.procedure, self._source, calibrated[index])
            self.store.add(prompt, values)
        return {"index": index,
                "calibrated": None if calibrated is None else calibrated.tolist(),
                "win": None if calibrated is None else float(calibrated[index])}

    def dashboard(self) -> dict:
        with self._lock:
            summary = self.store.summary(self.procedure)
        if summary.count == 0:
            return {self.procedure: {"count": 0}}
        estimate = summary.estimate(0, 1)
        low, high = estimate.interval(0.95)
        return {self.procedure: {"count": summary.count, "win_rate": estimate.value, "low": low, "high": high}}


def handler_of(selector: Selector) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/select":
                return self._answer(404, {"error": f"there is no {self.path}"})
            try:
                request = json.loads(body)
                prompt, rewards = request["prompt_id"], request["rewards"]
                if not isinstance(prompt, str):
                    raise ValueError(f"prompt_id is {prompt!r}, must be a text")
                self._answer(200, selector.select(prompt, rewards))
            except (KeyError, TypeError, ValueError) as error:
                missing = isinstance(error, KeyError)
                self._answer(400, {"error": f"{error.args[0]} is missing" if missing else str(error)})

        def do_GET(self) -> None:
            if self.path != "/dashboard":
                return self._answer(404, {"error": f"there is no {self.path}"})
            self._answer(200, selector.dashboard())

        def _answer(self, status: int, content: dict) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def main() -> None:
    options = argparse.ArgumentParser(description="Selection of one of N responses, with a dashboard.")
    options.add_argument("file", help="the SQLite file, made where there is none")
    options.add_argument("--procedure", default="best_of:4", help="what is served: what infalign.select takes")
    options.add_argument("--port", type=int, default=8000)
    options.add_argument("--window", type=int, default=128, help="references that a prompt keeps")
    options.add_argument("--prompts", type=int, default=100_000, help="prompts that are kept")
    given = options.parse_args()
    with Store(given.file, window=given.window, prompts=given.prompts) as store:
        server = ThreadingHTTPServer(("127.0.0.1", given.port), handler_of(Selector(store, given.procedure)))
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
