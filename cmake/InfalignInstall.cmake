# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(infalign_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/infalign)
install(TARGETS infalign infalign_core EXPORT infalign FILE_SET HEADERS)
install(EXPORT infalign NAMESPACE infalign:: FILE infalignTargets.cmake DESTINATION ${infalign_package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/infalignConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/infalignConfig.cmake cmake/InfalignDependencies.cmake cmake/InfalignComponents.cmake
              cmake/InfalignCompiled.cmake cmake/InfalignCuda.cmake cmake/InfalignEigen.cmake cmake/InfalignThrust.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/infalignConfigVersion.cmake
        DESTINATION ${infalign_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For pkg-config. Paths count from the file, so that the installed tree can be moved.
file(RELATIVE_PATH infalign_pc_up "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" infalign_pc_up "${infalign_pc_up}")
set(infalign_pc_include "\${prefix}")
cmake_path(APPEND infalign_pc_include "${CMAKE_INSTALL_INCLUDEDIR}")
configure_file(cmake/infalign.pc.in ${CMAKE_CURRENT_BINARY_DIR}/infalign.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/infalign.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
