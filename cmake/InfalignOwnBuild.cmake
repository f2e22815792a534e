# SPDX-License-Identifier: Apache-2.0
# Flags of our own examples, tests and benchmarks. The library target carries none of them.
set(INFALIGN_ARCH "native" CACHE STRING "-march of examples, tests and benchmarks, but not of the command; empty for the compiler's default")
option(INFALIGN_WERROR "Treat warnings in our own build as errors" OFF)
set(INFALIGN_SANITIZE "" CACHE STRING "Sanitizers of our own build, for example address,undefined")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
find_package(Threads REQUIRED)

# CUDA for tests and benchmarks, where there is nvcc. By default for compute capability 9.0 and later; -DCMAKE_CUDA_ARCHITECTURES=80 for
# older devices.
if(INFALIGN_BUILD_TESTS OR INFALIGN_BUILD_BENCHMARKS)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 90)
    endif()
    enable_language(CUDA)
  endif()
endif()

# infalign_portable_build is for what is installed, and runs on other machines too; infalign_own_build for all else, with INFALIGN_ARCH.
add_library(infalign_portable_build INTERFACE)
target_link_libraries(infalign_portable_build INTERFACE infalign::infalign Threads::Threads)
add_library(infalign_own_build INTERFACE)
target_link_libraries(infalign_own_build INTERFACE infalign_portable_build)
target_compile_options(infalign_portable_build INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion
  $<$<NOT:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>>:-Wshadow>)  # of several sources at once, one hides what another has
# False positives of GCC 12 inside its own AVX-512 intrinsics and std::string (GCC bugs 105593 and 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(infalign_portable_build INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized -Wno-restrict)
endif()
if(INFALIGN_WERROR)
  target_compile_options(infalign_portable_build INTERFACE -Werror)
endif()
add_library(infalign_own_cuda_build INTERFACE)
target_compile_options(infalign_own_cuda_build INTERFACE
  $<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-Xcompiler=-Wall,-Wextra,-Wno-restrict,-Wno-maybe-uninitialized,-Wno-uninitialized> $<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-Werror=all-warnings>)
if(INFALIGN_ARCH)
  target_compile_options(infalign_own_build INTERFACE -march=${INFALIGN_ARCH})
endif()
if(INFALIGN_SANITIZE)
  target_compile_options(infalign_portable_build INTERFACE -fsanitize=${INFALIGN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(infalign_portable_build INTERFACE -fsanitize=${INFALIGN_SANITIZE})
  # xsimd's exp converts every lane to an integer, those with -inf too, whose result it then discards.
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND INFALIGN_SANITIZE MATCHES "undefined")
    target_compile_options(infalign_portable_build INTERFACE -fno-sanitize=float-cast-overflow)
  endif()
endif()
