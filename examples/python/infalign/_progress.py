# SPDX-License-Identifier: Apache-2.0
"""A progress bar for what calls a Python function thousands of times."""

from __future__ import annotations

import sys
import time
from typing import Callable, Optional, Union

#: False for none, True for a bar, or a function of the calls made and of all calls
Progress = Union[bool, Callable[[int, int], None]]


class _Bar:
    """One line on stderr, written anew at most ten times a second, and ended where it stands if something fails."""

    WIDTH = 40

    def __init__(self, name: str):
        self.name, self.begun, self.next = name, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self.next and done < total:
            return
        self.next = now + 0.1
        filled = self.WIDTH * done // total
        left = (now - self.begun) * (total - done) / done
        print(f"\r{self.name} [{'#' * filled:{self.WIDTH}}] {done}/{total}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)


class counted:
    """A function that reports its calls; a context, so that the bar ends with it."""

    def __init__(self, function: Callable, name: str, total: int, progress: Progress):
        if progress is not True and not callable(progress):
            raise TypeError(f"{name}: progress must be True, False or a function of the calls made and of all")
        self.function, self.total, self.done = function, total, 0
        self.report: Callable[[int, int], None] = _Bar(name) if progress is True else progress
        self.bar = progress is True

    def __call__(self, *arguments):
        result = self.function(*arguments)
        self.done += 1
        self.report(self.done, self.total)
        return result

    def __enter__(self) -> "counted":
        return self

    def __exit__(self, *_: Optional[object]) -> None:
        if self.bar and self.done:
            print(file=sys.stderr)
