# SPDX-License-Identifier: Apache-2.0
include(${CMAKE_CURRENT_LIST_DIR}/InfalignDependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/infalignTargets.cmake)
