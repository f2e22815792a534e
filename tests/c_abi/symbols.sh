#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The library shows the functions of infalign.h and no name of C++: symbols.sh LIBRARY
set -euo pipefail
shown=$(nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
others=$(grep -v '^infalign_' <<<"$shown" || true)
[ -z "$others" ] || { echo "also shown: $others"; exit 1; }
declared=$(grep -oE 'infalign_[a-z_]+\(' "$(dirname "$0")/../../examples/c_abi/infalign.h" | tr -d '(' | grep -v '^infalign_rows_' | sort -u)
while read -r name; do
  grep -qx "$name" <<<"$shown" || { echo "not shown: $name"; exit 1; }
done <<<"$declared"
echo "$(wc -l <<<"$shown") functions"
