# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of the files named, in order: what stands in a block of Python behind the line ``<!-- runs -->``."""

import re
import sys

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        programs = re.findall(r"^<!-- runs -->\n```python\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    if not programs:
        sys.exit(f"{path} has no program marked <!-- runs -->")
    for program in programs:
        exec(compile(program, path, "exec"), {})
    print(f"{path}: {len(programs)} programs ran")
