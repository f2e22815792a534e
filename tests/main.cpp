// SPDX-License-Identifier: Apache-2.0
/// \file
/// The program around the test cases, and what they run tasks by.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "infalign/backend/executor.hpp"

#if INFALIGN_TEST_THRUST
#include <thrust/system/cpp/execution_policy.h>
#include <thrust/system/omp/execution_policy.h>
#include <thrust/system/tbb/execution_policy.h>

#include "infalign/backend/thrust.hpp"
#endif

namespace infalign::test {

namespace {
executor executor_named(const std::string& name) {
  if (name.empty()) return {};
#if INFALIGN_TEST_THRUST
  if (name == "thrust_cpp") return thrust_executor(::thrust::cpp::par);
  if (name == "thrust_omp") return thrust_executor(::thrust::omp::par);
  if (name == "thrust_tbb") return thrust_executor(::thrust::tbb::par);
#endif
  throw std::invalid_argument("INFALIGN_TEST_EXECUTOR is '" + name + "', which these tests were not built with");
}
}  // namespace

const executor& executor_under_test() {
  static const executor chosen = [] {
    const char* const name = std::getenv("INFALIGN_TEST_EXECUTOR");
    return executor_named(name == nullptr ? "" : name);
  }();
  return chosen;
}

}  // namespace infalign::test
