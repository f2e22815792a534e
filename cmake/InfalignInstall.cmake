# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(infalign_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/infalign)
install(TARGETS infalign infalign_core EXPORT infalign FILE_SET HEADERS)
install(EXPORT infalign NAMESPACE infalign:: FILE infalignTargets.cmake DESTINATION ${infalign_package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/infalignConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/infalignConfig.cmake cmake/InfalignDependencies.cmake cmake/InfalignCompiled.cmake
              cmake/InfalignCuda.cmake cmake/InfalignEigen.cmake cmake/InfalignThrust.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/infalignConfigVersion.cmake
        DESTINATION ${infalign_package_dir})
