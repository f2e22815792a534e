// SPDX-License-Identifier: Apache-2.0
/// \file
/// The grid that every algorithm is tested over: value type × backend. A test case is written once, for a configuration `C`:
/// \code
/// TEST_CASE_TEMPLATE("calibrate equals a brute-force count", C, INFALIGN_CONFIGURATIONS) {
///   typename C::backend on;
///   typename C::template array<float> x(std::vector<float>{…});   // memory that the backend works on
///   calibrate(on, z.rows(prompts, k), x.rows(prompts, m), u.rows(prompts, m));
///   const auto result = u.host();                                  // back in a std::vector
/// }
/// \endcode
/// A new backend adds its configurations here and nothing elsewhere.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#if INFALIGN_TEST_CUDA
#include "cuda/configuration.cuh"
#else
#include <infalign/infalign.hpp>
#endif

#if INFALIGN_TEST_THRUST
#include <thrust/system/cpp/execution_policy.h>
#include <thrust/system/omp/execution_policy.h>
#include <thrust/system/tbb/execution_policy.h>

#include <infalign/backend/thrust.hpp>
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

template <class T, class Backend>
struct configuration {
  using value = T;
  using backend = Backend;
  using tabulated = infalign::tabulated;
  template <class U>
  using array = host_array<U>;
};

#if INFALIGN_TEST_THRUST
/// A Thrust backend by the type of an execution policy.
template <class Policy>
using on_thrust = simd<thrust_executor<std::remove_cvref_t<Policy>>>;
using on_thrust_cpp = on_thrust<decltype(::thrust::cpp::par)>;
using on_thrust_omp = on_thrust<decltype(::thrust::omp::par)>;
using on_thrust_tbb = on_thrust<decltype(::thrust::tbb::par)>;
#endif

}  // namespace infalign::test

#define INFALIGN_BOTH_TYPES(backend) \
  infalign::test::configuration<float, backend>, infalign::test::configuration<double, backend>

#if INFALIGN_TEST_CUDA
#define INFALIGN_CONFIGURATIONS infalign::test::on_cuda<float>, infalign::test::on_cuda<double>
#elif INFALIGN_TEST_THRUST
#define INFALIGN_CONFIGURATIONS                                                                           \
  INFALIGN_BOTH_TYPES(infalign::test::on_thrust_cpp), INFALIGN_BOTH_TYPES(infalign::test::on_thrust_omp), \
      INFALIGN_BOTH_TYPES(infalign::test::on_thrust_tbb)
#else
#define INFALIGN_CONFIGURATIONS INFALIGN_BOTH_TYPES(infalign::scalar), INFALIGN_BOTH_TYPES(infalign::simd)
#endif
