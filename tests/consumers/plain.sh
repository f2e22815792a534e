#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Without CMake: plain.sh COMPILER SOURCE BUILD_DIRECTORY INCLUDE_FLAGS...
set -eu
compiler=$1 source=$2 build=$3
shift 3
"$compiler" -std=c++20 -I"$source/include" "$@" "$source/tests/consumers/consumer.cpp" -o "$build/consumer_plain"
"$build/consumer_plain"
