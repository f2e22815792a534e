# SPDX-License-Identifier: Apache-2.0
# Eigen and xsimd, for this build and (installed beside infalignConfig.cmake) for the users of an installed infalign.
# Their version files only accept the same major version, so: find any, then compare.
include(CMakeFindDependencyMacro)

find_dependency(Eigen3)
if(DEFINED Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "infalign needs Eigen 3.4 or newer, found ${Eigen3_VERSION}")
endif()

find_dependency(xsimd)
if(DEFINED xsimd_VERSION AND xsimd_VERSION VERSION_LESS 8.1)
  message(FATAL_ERROR "infalign needs xsimd 8.1 or newer, found ${xsimd_VERSION}")
endif()
# Debian's xsimd 8.1 names a library xtl that it neither needs nor brings.
if(TARGET xsimd AND NOT TARGET xtl)
  get_target_property(infalign_xsimd_links xsimd INTERFACE_LINK_LIBRARIES)
  if(infalign_xsimd_links)
    list(REMOVE_ITEM infalign_xsimd_links xtl)
    set_target_properties(xsimd PROPERTIES INTERFACE_LINK_LIBRARIES "${infalign_xsimd_links}")
  endif()
  unset(infalign_xsimd_links)
endif()
