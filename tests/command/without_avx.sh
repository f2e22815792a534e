#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# without_avx.sh COMMAND WORK: the command runs on an emulated processor without AVX, and says there what it says here. Exit code 77:
# not tested.
set -eu
command=$1 work=$2
if ! emulator=$(command -v qemu-x86_64); then
  echo "skipped: qemu-x86_64 was not found (Debian: qemu-user)"
  exit 77
fi
mkdir -p "$work"
awk 'BEGIN { for (i = 0; i < 400; ++i) printf "{\"prompt_id\": %d, \"reward\": %.3f}\n", i % 20, sin(i) }' >"$work/base.jsonl"
awk 'BEGIN { for (i = 0; i < 400; ++i) printf "{\"prompt_id\": %d, \"reward\": %.3f}\n", i % 20, sin(i) + .3 }' >"$work/policy.jsonl"
# same ARGUMENTS...: the same output on both processors.
same() {
  "$command" "$@" >"$work/here"
  "$emulator" -cpu Nehalem "$command" "$@" >"$work/without_avx"
  test -s "$work/here"
  cmp "$work/here" "$work/without_avx"
}
same --version
same plan --procedure best_of:4 --kl 1
same calibrate --reference "$work/base.jsonl" --rollouts "$work/policy.jsonl" --transform exponential:10
same win-rate --reference "$work/base.jsonl" --policy "$work/policy.jsonl" --procedure best_of:4
same evaluate --reference "$work/base.jsonl" --procedure best_of:4 --transform exponential:5 --beta 0.5
same compare --policy "$work/policy.jsonl" --baseline "$work/base.jsonl" --reference "$work/base.jsonl" --procedure best_of:4
