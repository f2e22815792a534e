#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# By pkg-config: pkg_config.sh COMPILER SOURCE BUILD_DIRECTORY PREFIX. The installed tree is used from another place than it was
# installed to. Exit code 77: not tested.
set -eu
compiler=$1 source=$2 build=$3 prefix=$4
if ! command -v pkg-config >/dev/null || ! pkg-config --exists 'xsimd >= 8.1'; then
  echo "skipped: pkg-config (Debian: pkgconf) or xsimd's file for it was not found"
  exit 77
fi
moved=$build/pkg_config
rm -rf "$moved"
cp -R "$prefix" "$moved"
export PKG_CONFIG_PATH="$moved/share/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
version=$(sed -n 's/.*INFALIGN_VERSION_[A-Z]* //p' "$source/include/infalign/core/config.hpp" | paste -sd.)
[ "$(pkg-config --modversion infalign)" = "$version" ]
# shellcheck disable=SC2046
"$compiler" -std=c++20 -O0 $(pkg-config --cflags infalign) "$source/tests/consumers/consumer.cpp" -o "$build/consumer_pkg_config"
"$build/consumer_pkg_config"
