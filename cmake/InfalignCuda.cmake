# SPDX-License-Identifier: Apache-2.0
# infalign::cuda: infalign for sources of the language CUDA. Here, and (installed beside infalignConfig.cmake) for
# find_package(infalign COMPONENTS cuda). The target exists only where the language is enabled; infalign_cuda_missing says so.
set(infalign_cuda_missing "")
if(NOT CMAKE_CUDA_COMPILER_LOADED)
  set(infalign_cuda_missing "the language CUDA: nvcc 12 or newer, and project(… LANGUAGES CXX CUDA)")
elseif(CMAKE_CUDA_COMPILER_ID STREQUAL NVIDIA AND CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  set(infalign_cuda_missing "nvcc 12 or newer, found ${CMAKE_CUDA_COMPILER_VERSION}")
elseif(NOT TARGET infalign::cuda)
  add_library(infalign::cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(infalign::cuda INTERFACE infalign::core)  # neither Eigen nor xsimd
  # Not by cuda_std_20: CMake 3.25 does not know it for nvcc 13.
  target_compile_options(infalign::cuda INTERFACE
    $<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-std=c++20> $<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--expt-relaxed-constexpr>)
endif()
