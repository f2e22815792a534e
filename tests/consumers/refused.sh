#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# refused.sh TEXT COMMAND...: succeeds if COMMAND fails and says TEXT.
text=$1
shift
if output=$("$@" 2>&1); then
  printf 'succeeds, and must not: %s\n' "$*"
  exit 1
fi
printf '%s\n' "$output" | tr -s '\n ' '  ' | grep -qF -e "$text" && exit 0
printf 'does not say "%s". It says:\n%s\n' "$text" "$output"
exit 1
