#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# expect.sh SOURCE COMMAND...: succeeds if COMMAND fails, and says the text of every line `// expects: TEXT` of SOURCE where it
# reports an error or a constraint that is not satisfied. Listings of candidates and of source lines do not count.
source=$1
shift
expected=$(sed -n 's|^// expects: ||p' "$source")
if [ -z "$expected" ]; then
  echo "$source: has no line '// expects: TEXT'"
  exit 1
fi
if output=$(LC_ALL=C "$@" 2>&1); then
  echo "$source: compiles, and must not"
  exit 1
fi
missing=$(printf '%s\n' "$expected" | while IFS= read -r text; do
  printf '%s\n' "$output" | grep -E 'error|satisf|because' | grep -qF -e "$text" || printf '%s\n' "$text"
done)
[ -z "$missing" ] && exit 0
printf '%s: the compiler does not say "%s". It says:\n%s\n' "$source" "$missing" "$output"
exit 1
