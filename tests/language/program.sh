#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# program.sh PROGRAM COMMAND...: COMMAND compiles and links PROGRAM, which then runs.
set -eu
program=$1
shift
"$@" -o "$program"
"$program"
