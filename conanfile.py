# SPDX-License-Identifier: Apache-2.0
"""The recipe for Conan 2: `conan create . -s compiler.cppstd=20`. Options: see README.md."""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class Infalign(ConanFile):
    name = "infalign"
    description = "Inference-aware alignment of language models"
    license = "Apache-2.0"
    topics = ("alignment", "language models", "rlhf", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    # What is required beside the headers. infalign::infalign needs xsimd, infalign::eigen Eigen as well; infalign::compiled and
    # infalign::cuda need neither.
    options = {"with_xsimd": [True, False], "with_eigen": [True, False]}
    default_options = {"with_xsimd": True, "with_eigen": False}
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "include/*"
    no_copy_source = True

    def set_version(self):
        """The version is written once, in the header."""
        config = load(self, os.path.join(self.recipe_folder, "include/infalign/core/config.hpp"))
        self.version = ".".join(re.findall(r"define INFALIGN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", config))

    def requirements(self):
        if self.options.with_xsimd:
            self.requires("xsimd/[>=8.1]")
        if self.options.with_eigen:
            self.requires("eigen/[>=3.4]")

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def package_id(self):
        self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("EXAMPLES", "TESTS", "BENCHMARKS"):
            toolchain.cache_variables[f"INFALIGN_BUILD_{part}"] = False
        toolchain.cache_variables["INFALIGN_COMPONENTS"] = "compiled"  # to install headers, neither xsimd nor Eigen is needed
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # Conan's own CMake files know no COMPONENTS: find_package finds those of the library.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "infalign")]
        self.cpp_info.set_property("pkg_config_name", "infalign")
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
