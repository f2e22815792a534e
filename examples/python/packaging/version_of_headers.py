# SPDX-License-Identifier: Apache-2.0
"""The version, which is written once, in a header of the library."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def headers() -> Path:
    """The copy of a source distribution, or those of the repository."""
    copied = PROJECT / "headers"
    return copied if (copied / "infalign" / "infalign.hpp").exists() else PROJECT.parent.parent / "include"


def dynamic_metadata(field, settings=None, *_):
    config = (headers() / "infalign" / "core" / "config.hpp").read_text(encoding="utf-8")
    return ".".join(re.findall(r"define INFALIGN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", config))
