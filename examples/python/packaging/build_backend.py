# SPDX-License-Identifier: Apache-2.0
"""scikit-build-core, with two additions.

With INFALIGN_JAX=1 in the environment a wheel is built in the presence of jaxlib, whose headers the handlers of `infalign.jax` need. It is
the oldest jaxlib that has them: XLA takes handlers that are older than itself, and none that are newer.

A source distribution carries the headers that it is compiled from. They are those of the library, `include/`, and those of xsimd (BSD
3-clause, see their heads), found in XSIMD_INCLUDE_DIR, the prefix of conda, or /usr. They are copied to `headers/` while the distribution is
made, and removed again.
"""

import contextlib
import os
import shutil

from scikit_build_core.build import *  # noqa: F403
from scikit_build_core.build import build_sdist as _build_sdist
from scikit_build_core.build import get_requires_for_build_wheel as _get_requires_for_build_wheel
from version_of_headers import PROJECT


def _xsimd():
    candidates = [os.environ.get("XSIMD_INCLUDE_DIR")]
    candidates += [os.path.join(p, "include") for p in (os.environ.get("CONDA_PREFIX"), "/usr/local", "/usr") if p]
    for folder in filter(None, candidates):
        if os.path.exists(os.path.join(folder, "xsimd", "xsimd.hpp")):
            return os.path.join(folder, "xsimd")
    raise SystemExit(f"infalign: xsimd was not found in {candidates} (Debian: apt install libxsimd-dev)")


@contextlib.contextmanager
def _carried():
    target, licence, repository = PROJECT / "headers", PROJECT / "LICENSE", PROJECT.parent.parent
    if target.exists():  # this is an unpacked source distribution, which carries them already
        yield
        return
    try:
        shutil.copytree(repository / "include" / "infalign", target / "infalign")
        shutil.copytree(_xsimd(), target / "xsimd")
        shutil.copy(repository / "LICENSE", licence)
        yield
    finally:
        shutil.rmtree(target, ignore_errors=True)
        licence.unlink(missing_ok=True)


def build_sdist(sdist_directory, config_settings=None):
    with _carried():
        return _build_sdist(sdist_directory, config_settings)


def get_requires_for_build_wheel(config_settings=None):
    oldest = ["jaxlib==0.5.0; python_version < '3.14'", "jaxlib; python_version >= '3.14'"]
    return _get_requires_for_build_wheel(config_settings) + (oldest if os.environ.get("INFALIGN_JAX") == "1" else [])
