# SPDX-License-Identifier: Apache-2.0
"""Stands in for the recipes of xsimd and Eigen, which are in a registry: the same names and CMake targets, with the headers of the
folder that the environment variable STAND_IN_HEADERS names. `conan create . --name xsimd --version 8.1.0`."""

import os

from conan import ConanFile
from conan.tools.files import copy

CMAKE_NAMES = {"xsimd": ("xsimd", "xsimd"), "eigen": ("Eigen3", "Eigen3::Eigen")}


class StandIn(ConanFile):
    package_type = "header-library"

    def package_id(self):
        self.info.clear()

    def package(self):
        part = {"xsimd": "xsimd/*", "eigen": "Eigen/*"}[self.name]
        copy(self, part, os.environ["STAND_IN_HEADERS"], os.path.join(self.package_folder, "include"))

    def package_info(self):
        file_name, target = CMAKE_NAMES[self.name]
        self.cpp_info.set_property("cmake_file_name", file_name)
        self.cpp_info.set_property("cmake_target_name", target)
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
