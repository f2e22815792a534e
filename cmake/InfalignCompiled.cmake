# SPDX-License-Identifier: Apache-2.0
# infalign::compiled: the theory as a static library, for projects in which several sources include infalign/theory.hpp. Here, and
# (installed beside infalignConfig.cmake) for find_package(infalign COMPONENTS compiled), which builds it in the user's own project,
# with the user's flags. It is built where something links it.
if(NOT TARGET infalign_compiled)
  set(infalign_compiled_source ${CMAKE_CURRENT_BINARY_DIR}/infalign_compiled.cpp)
  file(CONFIGURE OUTPUT ${infalign_compiled_source} CONTENT "#include \"infalign/theory/definitions.hpp\"\n")
  add_library(infalign_compiled STATIC EXCLUDE_FROM_ALL ${infalign_compiled_source})
  add_library(infalign::compiled ALIAS infalign_compiled)
  target_link_libraries(infalign_compiled PUBLIC infalign::core)
  target_compile_definitions(infalign_compiled PUBLIC INFALIGN_COMPILED)
  set_target_properties(infalign_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)
  unset(infalign_compiled_source)
endif()
