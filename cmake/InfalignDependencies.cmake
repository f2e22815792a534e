# SPDX-License-Identifier: Apache-2.0
# xsimd, which infalign::infalign needs, for this build and (installed beside infalignConfig.cmake) for the users of an installed
# infalign. infalign_simd_missing says what is missing. A project may have made the target itself, by add_subdirectory for example.
# Version files accept the same major version only, so: find any, then compare.
set(infalign_simd_missing "")
if(NOT TARGET xsimd)
  find_package(xsimd QUIET)
endif()
if(NOT TARGET xsimd)
  set(infalign_simd_missing "xsimd 8.1 or newer (Debian: libxsimd-dev)")
elseif(DEFINED xsimd_VERSION AND xsimd_VERSION VERSION_LESS 8.1)
  set(infalign_simd_missing "xsimd 8.1 or newer, found ${xsimd_VERSION}")
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
