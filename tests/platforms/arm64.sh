#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# arm64.sh SOURCE WORK XSIMD_INCLUDE DOCTEST_INCLUDE [TEST_SOURCES...]: a consumer, and the functions of lanes, compiled for 64-bit Arm
# and run by an emulator. More sources of tests may be given by hand. Exit code 77: not tested.
set -eu
source=$1 work=$2 xsimd=$3 doctest=$4
shift 4
compiler=aarch64-linux-gnu-g++
for tool in $compiler qemu-aarch64; do
  if ! command -v $tool >/dev/null; then
    echo "skipped: $tool was not found (Debian: g++-aarch64-linux-gnu, qemu-user)"
    exit 77
  fi
done
# These headers alone: the folder that has them may have those of this machine's C library too.
mkdir -p "$work/include"
ln -sfn "$xsimd/xsimd" "$work/include/xsimd"
ln -sfn "$doctest/doctest" "$work/include/doctest"
compile() { $compiler -std=c++20 -static -Wall -Wextra -Werror -I"$source/include" -isystem "$work/include" "$@"; }
compile -O0 "$source/tests/consumers/consumer.cpp" -o "$work/consumer"
qemu-aarch64 "$work/consumer"
compile -O1 -I"$source/tests" -DINFALIGN_TEST_GRID_SIMD=1 "$source/tests/main.cpp" "$source/tests/support/allocations.cpp" \
  "$source/tests/transform/lane_functions_test.cpp" "$@" -o "$work/lane_functions"
qemu-aarch64 "$work/lane_functions"
