# SPDX-License-Identifier: Apache-2.0
# infalign::eigen: infalign with Eigen, for infalign/interop/eigen.hpp. Here, and (installed beside infalignConfig.cmake) for
# find_package(infalign COMPONENTS eigen). The target exists only where Eigen was found; infalign_eigen_missing says what was not.
# A project may have made Eigen's target itself.
set(infalign_eigen_missing "")
if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 QUIET)
endif()
if(NOT TARGET Eigen3::Eigen)
  set(infalign_eigen_missing "Eigen 3.4 or newer (Debian: libeigen3-dev)")
elseif(DEFINED Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
  set(infalign_eigen_missing "Eigen 3.4 or newer, found ${Eigen3_VERSION}")
elseif(NOT TARGET infalign::eigen)
  add_library(infalign::eigen INTERFACE IMPORTED GLOBAL)
  target_link_libraries(infalign::eigen INTERFACE infalign::infalign Eigen3::Eigen)
endif()
