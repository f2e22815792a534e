# SPDX-License-Identifier: Apache-2.0
"""The library and its command, compiled for one architecture and called with the arrays of the peers."""

import ctypes
import functools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "peers"
KERNELS = Path(__file__).with_name("kernels.cpp")
INCLUDES = [f"-I{ROOT / 'include'}"]
COMPILER = os.environ.get("CXX", "c++")


def compile_into(name, command):
    BUILD.mkdir(parents=True, exist_ok=True)
    binary = BUILD / name
    if not binary.exists():
        print(f"compiling {name}", file=sys.stderr)
    subprocess.run([*command, "-o", binary], check=True)
    return binary


class Library:
    """kernels.cpp as a shared library. Its functions are called by name: arrays and tensors become pointers, integers 64-bit, and
    a message that comes back an exception."""

    def __init__(self, device, arch):
        self.arch = arch
        if device == "cuda":
            command = ["nvcc", "-x", "cu", "-std=c++20", "-O3", f"-arch={arch}", "--extended-lambda", "--expt-relaxed-constexpr",
                       "-shared", "-Xcompiler", "-fPIC", f"-I{ROOT / 'include'}", KERNELS]
        else:
            command = [COMPILER, "-std=c++20", "-O3", f"-march={arch}", "-fopenmp", "-shared", "-fPIC", *INCLUDES, KERNELS]
        self.c = ctypes.CDLL(str(compile_into(f"kernels_{device}_{arch}.so", command)))
        self.c.peers_architecture.restype = ctypes.c_char_p
        self.architecture = self.c.peers_architecture().decode()

    def set_threads(self, threads):
        self.c.peers_set_threads(threads)

    def __getattr__(self, name):
        function = getattr(self.c, "peers_" + name)
        function.restype = ctypes.c_char_p

        def call(*values):
            message = function(*(self.convert(v) for v in values))
            if message:
                raise RuntimeError(message.decode())

        return call

    @staticmethod
    def convert(value):
        if value is None:
            return ctypes.c_void_p()
        if isinstance(value, bool):
            return ctypes.c_int(value)
        if isinstance(value, int):
            return ctypes.c_int64(value)
        if isinstance(value, float):
            return ctypes.c_double(value)
        return ctypes.c_void_p(value.data_ptr() if hasattr(value, "data_ptr") else value.ctypes.data)


@functools.cache
def command(arch):
    """The program infalign, compiled as the library is."""
    sources = sorted((ROOT / "examples" / "infalign").glob("*.cpp"))
    return compile_into(f"infalign_{arch}", [COMPILER, "-std=c++20", "-O3", f"-march={arch}", *INCLUDES, *sources, "-lsimdjson", "-lfmt"])
