# SPDX-License-Identifier: Apache-2.0
# An overlay port of the clone that it lies in: vcpkg install infalign --overlay-ports=CLONE/cmake/vcpkg. vcpkg keeps what it has built
# by a hash of this folder; after a change elsewhere in the clone, add --no-binarycaching.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

set(VCPKG_BUILD_TYPE release)  # headers, and a program that no library links
vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options FEATURES command INFALIGN_INSTALL_COMMAND)
set(components ${FEATURES})
list(FILTER components INCLUDE REGEX "^(eigen|thrust)$")
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS ${feature_options} "-DINFALIGN_COMPONENTS=${components}" "-DINFALIGN_ARCH="
          -DINFALIGN_BUILD_EXAMPLES=OFF -DINFALIGN_BUILD_TESTS=OFF -DINFALIGN_BUILD_BENCHMARKS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/infalign)
vcpkg_fixup_pkgconfig()
if("command" IN_LIST FEATURES)
  vcpkg_copy_tools(TOOL_NAMES infalign AUTO_CLEAN)
endif()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
