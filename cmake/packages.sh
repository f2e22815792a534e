# SPDX-License-Identifier: Apache-2.0
# Sourced by the run scripts: need_packages NAME... installs the Debian packages that are missing, or says which they are.
need_packages() {
  local missing=() name as_root=()
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "$0: this system has no apt-get; assuming that the equivalents of these Debian packages are there: ${missing[*]}" >&2
    return 0
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -v; then
      as_root=(sudo)
    else
      echo "$0: missing packages, and no right to install them: ${missing[*]}" >&2
      exit 1
    fi
  fi
  echo "installing: ${missing[*]}"
  local log
  log=$(mktemp)
  "${as_root[@]}" apt-get update -qq >"$log" 2>&1 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "$0: apt-get could not install: ${missing[*]}" >&2
    exit 1
  }
  rm -f "$log"
}
