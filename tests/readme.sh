#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles and runs the program that follows the mark <!-- compiled --> in README.md: readme.sh COMPILER SOURCE BUILD_DIRECTORY FLAGS...
set -eu
compiler=$1 source=$2 build=$3
shift 3
sed -n '/^<!-- compiled -->$/,/^```$/p' "$source/README.md" | sed '1,2d;$d' >"$build/readme.cpp"
[ -s "$build/readme.cpp" ] || { echo "README.md has no program marked <!-- compiled -->"; exit 1; }
"$compiler" -std=c++20 -O2 -Wall -Wextra -I"$source/include" "$@" "$build/readme.cpp" -o "$build/readme"
"$build/readme" >"$build/readme.txt"
cat "$build/readme.txt"
grep -q '^best-of-4 win rate 0\.[6-9]' "$build/readme.txt"
