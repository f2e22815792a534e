# SPDX-License-Identifier: Apache-2.0
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import infalign as ia

SUM = """
import numpy as np, infalign as ia
rng = np.random.default_rng(3)
z, y = rng.normal(size=(50, 130)).astype(np.float32), rng.normal(size=(50, 9)).astype(np.float32)
u = ia.calibrate(z, y)
print(ia.instruction_set(), repr(float(u.sum(dtype=np.float64))), repr(round(ia.win_rate(y, z, "best_of:4").sum(), 10)))
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_every_instruction_set_gives_the_same():
    from infalign import _core

    names = _core.instruction_sets()
    assert names[-1] == "baseline"
    printed = [run(SUM, INFALIGN_INSTRUCTION_SET=name) for name in names]
    results = {}
    for name, done in zip(names, printed):
        assert done.returncode == 0, done.stderr
        chosen, *numbers = done.stdout.split()
        assert chosen == name
        results[name] = numbers
    assert len({tuple(r) for r in results.values()}) == 1
    refused = run(SUM, INFALIGN_INSTRUCTION_SET="avx1024")
    assert refused.returncode != 0 and "must be one of" in refused.stderr and "baseline" in refused.stderr


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="there is no qemu-x86_64 (Debian: qemu-user)")
def test_a_processor_without_avx_finds_no_instruction_that_it_lacks():
    folders = {str(Path(module.__file__).parents[1]) for module in (ia, np)}
    done = subprocess.run(
        ["qemu-x86_64", "-cpu", "Nehalem", os.path.realpath(sys.executable), "-c", SUM],
        capture_output=True,
        text=True,
        # NumPy's OpenBLAS takes an emulated Nehalem of AMD's for a processor with AVX.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OPENBLAS_CORETYPE": "Nehalem"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == run(SUM, INFALIGN_INSTRUCTION_SET="baseline").stdout.split()


def test_importing_needs_numpy_alone():
    code = "import sys, infalign; print(sorted(m for m in ('torch', 'pandas', 'matplotlib', 'pyarrow') if m in sys.modules))"
    assert run(code).stdout.strip() == "[]"


def test_the_gil_is_released(rng):
    z, y = rng.normal(size=(4000, 512)), rng.normal(size=(4000, 64))
    ia.calibrate(z, y)
    begun = time.perf_counter()
    ia.calibrate(z, y)
    alone = time.perf_counter() - begun
    stop, steps = threading.Event(), []

    def count():
        while not stop.is_set():
            steps.append(time.perf_counter())
            time.sleep(0)

    counter = threading.Thread(target=count)
    counter.start()
    begun = time.perf_counter()
    for _ in range(4):
        ia.calibrate(z, y)
    ended = time.perf_counter()
    stop.set()
    counter.join()
    during = np.array([t for t in steps if begun < t < ended])
    # With the GIL held, no step of the other thread falls into a call. Here they come all the time.
    assert len(during) > 20, (alone, len(during))


def test_threads_may_call_at_once(rng):
    z, y = rng.normal(size=(300, 64)), rng.normal(size=(300, 8))
    expected, seen = ia.calibrate(z, y), [None] * 8

    def call(i):
        seen[i] = [ia.calibrate(z, y, threads=1 + i % 3) for _ in range(5)]

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for results in seen:
        for u in results:
            np.testing.assert_array_equal(u, expected)


def test_a_forked_process_may_use_threads(rng):
    code = """
import os, numpy as np, infalign as ia
z = np.random.default_rng(1).normal(size=(2000, 64))
u = ia.calibrate(z, z, threads=2)
child = os.fork()
if child == 0:
    os._exit(0 if (ia.calibrate(z, z, threads=2) == u).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(code).stdout.strip() == "0"


def test_the_walkthrough_runs(tmp_path):
    script = Path(__file__).resolve().parents[2] / "examples" / "python" / "scripts" / "walkthrough.py"
    draws = importlib.util.find_spec("matplotlib") is not None
    done = subprocess.run(
        [sys.executable, str(script), *([str(tmp_path)] if draws else [])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "optimal - identity: +" in done.stdout, done.stdout + done.stderr
    assert not draws or (tmp_path / "walkthrough.svg").stat().st_size > 10_000


class Foreign:
    """An array of another library on the CPU, known by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __array_namespace__(self):
        return Namespace


class Namespace:
    @staticmethod
    def from_dlpack(array):
        return Foreign(array)


def test_other_arrays_come_back_as_they_are(rng):
    z, y = rng.normal(size=(3, 8)), rng.normal(size=(3, 4))
    u = ia.calibrate(Foreign(z), Foreign(y))
    assert isinstance(u, Foreign)
    np.testing.assert_array_equal(u.array, ia.calibrate(z, y))
    assert isinstance(ia.win_rate(Foreign(y), z), Foreign)

    class Elsewhere(Foreign):
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(ValueError, match="rewards is on a device"):
        ia.calibrate(z, Elsewhere(y))


def test_subclasses_of_numpy_arrays(rng, tmp_path):
    z, y = rng.normal(size=(3, 8)), rng.normal(size=(3, 4))
    mapped = np.memmap(tmp_path / "y", dtype=np.float64, mode="w+", shape=y.shape)
    mapped[:] = y
    np.testing.assert_array_equal(ia.calibrate(z, mapped), ia.calibrate(z, y))
    for call in (
        lambda m: ia.calibrate(z, m),
        lambda m: ia.win_rate(m, z),
        lambda m: ia.summarize(m[0]),
        lambda m: ia.Ragged(m[0], m[0]),
    ):
        with pytest.raises(TypeError, match="is a masked array"):
            call(np.ma.masked_invalid(y))


def test_the_package_is_typed():
    folder = Path(ia.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_core.pyi").exists()


def test_stubs_name_what_the_module_has():
    from infalign import _core

    text = (Path(ia.__file__).parent / "_core.pyi").read_text()
    for name in dir(_core):
        if not name.startswith("__"):
            assert f"def {name}(" in text or f"class {name}" in text, name


def test_everything_public_is_documented():
    """Each by a docstring that somebody wrote; a member of a class by its own or by its name in that of the class."""

    def written(thing, name):
        text = inspect.getdoc(thing) or ""
        signature = "\n" not in text and text.startswith((f"{name}(", "(self"))  # by nanobind or a dataclass
        return "" if signature else text

    modules = [ia, importlib.import_module("infalign.plot")]
    if importlib.util.find_spec("torch") is not None:
        modules.append(importlib.import_module("infalign.torch"))
    missing = []
    for module in modules:
        for name in (n for n in module.__all__ if not n.startswith("__")):
            thing = getattr(module, name)
            if not written(thing, name):
                missing.append(name)
            if not inspect.isclass(thing) or issubclass(thing, tuple):
                continue
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    known = written(value, member) or f"``{member}" in thing.__doc__ or f".{member}(" in thing.__doc__
                    if not known and member not in getattr(thing, "__dataclass_fields__", {}):
                        missing.append(f"{name}.{member}")
    assert missing == []


def test_docstrings_hold():
    import doctest
    import importlib

    modules = "_arrays _names _calibration _evaluation _ranking _bootstrap _states _estimators _advantage _theory _frames plot".split()
    if importlib.util.find_spec("torch") is not None:
        modules.append("_torch_shards")
    for module in modules:
        loaded = importlib.import_module(f"infalign.{module}")
        failed, tried = doctest.testmod(loaded, extraglobs={"np": np, **{n: getattr(ia, n) for n in ia.__all__}})
        assert failed == 0, module
