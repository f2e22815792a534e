# SPDX-License-Identifier: Apache-2.0
# Sourced by the run scripts: where ccache is installed, what was compiled before is not compiled again, in any clone of this repository.
# Paths count from the top of the clone, so that two clones share entries.
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
