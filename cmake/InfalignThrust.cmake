# SPDX-License-Identifier: Apache-2.0
# infalign::thrust: infalign with the headers of Thrust and a CPU system as Thrust's device system. Here, and (installed beside
# infalignConfig.cmake) for find_package(infalign COMPONENTS thrust). The target exists only where all it needs was found;
# infalign_thrust_missing says what was not.
set(INFALIGN_THRUST_SYSTEM CPP CACHE STRING "Thrust's device system for infalign::thrust: CPP, OMP or TBB")
set_property(CACHE INFALIGN_THRUST_SYSTEM PROPERTY STRINGS CPP OMP TBB)

# The CUDA toolkit's CCCL first, then a system package (Debian: libthrust-dev).
find_path(INFALIGN_THRUST_INCLUDE_DIR thrust/for_each.h
          HINTS ENV CUDA_PATH ENV CUDAToolkit_ROOT /usr/local/cuda PATH_SUFFIXES include/cccl include)
mark_as_advanced(INFALIGN_THRUST_INCLUDE_DIR)

set(infalign_thrust_missing "")
if(NOT INFALIGN_THRUST_INCLUDE_DIR)
  set(infalign_thrust_missing "the headers of Thrust (CUDA toolkit, or Debian's libthrust-dev)")
elseif(INFALIGN_THRUST_SYSTEM STREQUAL "OMP")
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    set(infalign_thrust_missing "OpenMP")
  endif()
elseif(INFALIGN_THRUST_SYSTEM STREQUAL "TBB")
  find_package(TBB QUIET)
  if(NOT TBB_FOUND)
    set(infalign_thrust_missing "TBB (Debian: libtbb-dev)")
  endif()
elseif(NOT INFALIGN_THRUST_SYSTEM STREQUAL "CPP")
  message(FATAL_ERROR "INFALIGN_THRUST_SYSTEM is ${INFALIGN_THRUST_SYSTEM}, must be CPP, OMP or TBB")
endif()

if(NOT infalign_thrust_missing AND NOT TARGET infalign::thrust)
  add_library(infalign::thrust INTERFACE IMPORTED GLOBAL)
  target_link_libraries(infalign::thrust INTERFACE infalign::infalign)
  target_compile_definitions(infalign::thrust INTERFACE
    THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_${INFALIGN_THRUST_SYSTEM} THRUST_IGNORE_DEPRECATED_CPP_DIALECT)
  # A directory that the compiler searches anyway must not be named: it would be searched before the compiler's own.
  if(NOT INFALIGN_THRUST_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    target_include_directories(infalign::thrust SYSTEM INTERFACE ${INFALIGN_THRUST_INCLUDE_DIR})
  endif()
  if(INFALIGN_THRUST_SYSTEM STREQUAL "OMP")
    target_link_libraries(infalign::thrust INTERFACE OpenMP::OpenMP_CXX)
  elseif(INFALIGN_THRUST_SYSTEM STREQUAL "TBB")
    target_link_libraries(infalign::thrust INTERFACE TBB::tbb)
  endif()
endif()
