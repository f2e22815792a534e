// SPDX-License-Identifier: Apache-2.0
/// \file
/// The grid that every algorithm is tested over: value type × backend. A test case is written once, for a configuration `C`:
/// \code
/// TEST_CASE_TEMPLATE("calibrate equals a brute-force count", C, INFALIGN_CONFIGURATIONS) {
///   typename C::backend on = C::make_backend();
///   typename C::template array<float> x(std::vector<float>{…});   // memory that the backend works on
///   calibrate(on, z.rows(prompts, k), x.rows(prompts, m), u.rows(prompts, m));
///   const auto result = u.host();                                  // back in a std::vector
/// }
/// \endcode
/// A new backend adds its configurations here, and itself to backend/every_backend.hpp.
#pragma once

#include <doctest/doctest.h>

#include <concepts>
#include <vector>

#include "infalign/backend/executor.hpp"
#include "infalign/transform/tabulated.hpp"

#if INFALIGN_TEST_CUDA
#include "cuda/configuration.cuh"
#else
#include <infalign/infalign.hpp>
#endif

namespace infalign::test {

/// Values in host memory.
template <class T>
class host_array {
 public:
  host_array() = default;
  explicit host_array(std::vector<T> values) : values_(std::move(values)) {}
  explicit host_array(index_t n, T fill = T()) : values_(static_cast<std::size_t>(n), fill) {}

  infalign::span<T> span() { return values_; }
  infalign::rows<T> rows(index_t n_rows, index_t n_columns) { return {values_.data(), n_rows, n_columns}; }
  infalign::rows<T> rows(index_t n_rows, index_t n_columns, index_t stride) {
    return {values_.data(), n_rows, n_columns, stride};
  }
  infalign::ragged<T> ragged(host_array<index_t>& offsets) { return {values_, offsets.span()}; }
  [[nodiscard]] std::vector<T> host() const { return values_; }

 private:
  std::vector<T> values_;
};

/// What the tests run tasks by: the executor that the environment variable INFALIGN_TEST_EXECUTOR names (see main.cpp), by default
/// none, which is the calling thread.
const executor& executor_under_test();

template <class T, class Backend>
struct configuration {
  using value = T;
  using backend = Backend;
  using tabulated = infalign::tabulated;
  static backend make_backend() {
    if constexpr (std::constructible_from<Backend, executor>)
      return Backend(executor_under_test());
    else
      return Backend();
  }
  template <class U>
  using array = host_array<U>;
};

}  // namespace infalign::test

#define INFALIGN_BOTH_TYPES(backend) \
  infalign::test::configuration<float, backend>, infalign::test::configuration<double, backend>

// INFALIGN_TEST_GRID says how much of the product is compiled (tests/README.md says where): everything; `simd` alone, where it is
// the lanes that differ; or each backend with one value type, where neither makes a difference.
#if INFALIGN_TEST_CUDA && INFALIGN_TEST_GRID_MIXED
#define INFALIGN_CONFIGURATIONS infalign::test::on_cuda<float>
#elif INFALIGN_TEST_CUDA
#define INFALIGN_CONFIGURATIONS infalign::test::on_cuda<float>, infalign::test::on_cuda<double>
#elif INFALIGN_TEST_GRID_SIMD
#define INFALIGN_CONFIGURATIONS INFALIGN_BOTH_TYPES(infalign::simd)
#elif INFALIGN_TEST_GRID_MIXED
#define INFALIGN_CONFIGURATIONS \
  infalign::test::configuration<double, infalign::scalar>, infalign::test::configuration<float, infalign::simd>
#else
#define INFALIGN_CONFIGURATIONS INFALIGN_BOTH_TYPES(infalign::scalar), INFALIGN_BOTH_TYPES(infalign::simd)
#endif
