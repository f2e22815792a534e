// SPDX-License-Identifier: Apache-2.0
/// \file
/// What must hold for a list of calls (see support/call_data.hpp) on every backend:
/// \code
/// TEST_CASE_TEMPLATE("calibration on every backend", T, float, double) { check_every_backend<calibration_calls, T>(); }
/// \endcode
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <new>
#include <type_traits>
#include <vector>

#include "support/call_data.hpp"

#if !INFALIGN_TEST_CUDA
#include "backend/archetype.hpp"
#include "backend/executors.hpp"
#include "support/allocations.hpp"
#else
#include "infalign/backend/scalar.hpp"
#endif

namespace infalign::test {

/// Equal up to `units` of each array; infinities alike.
inline void check_close(const call_results& actual, const call_results& expected, double units) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t a = 0; a < actual.size(); ++a) {
    CAPTURE(a);
    const std::vector<double>&x = actual[a].values, &y = expected[a].values;
    REQUIRE(x.size() == y.size());
    double largest = 0, error = 0;
    bool infinities_agree = true;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!std::isfinite(x[i]) || !std::isfinite(y[i])) {
        infinities_agree = infinities_agree && x[i] == y[i];
        continue;
      }
      largest = std::max(largest, std::abs(y[i]));
      error = std::max(error, std::abs(x[i] - y[i]));
    }
    CHECK(infinities_agree);
    CHECK(error <= units * actual[a].unit * largest);
  }
}

template <template <class> class Calls, class C, class Backend>
call_results results_on(Backend on) {
  Calls<C> calls;
  calls.run(on);
  return calls.results();
}

#if INFALIGN_TEST_CUDA

/// The CUDA backend computes what plain loops do; again and without looking for bad values, the same to the bit.
template <template <class> class Calls, class T>
void check_every_backend() {
  Calls<on_cuda<T>> calls;
  auto on = on_cuda<T>::make_backend();
  calls.run(on);
  const call_results first = calls.results();
  check_close(first, results_on<Calls, configuration<T, scalar>>(scalar()), 100);
  auto trusting = on.unchecked();
  calls.run(trusting);
  CHECK(calls.results() == first);
}

#else

/// Whichever allocation fails, nothing is half written, and the backend and what it was given are as before: the next run is right.
template <template <class> class Calls, class Backend, class T>
void check_failing_allocations(const call_results& expected) {
  const Calls<configuration<T, Backend>> unused;
  const call_results untouched = unused.results();
  bool failed = true;
  for (long k = 0; failed; ++k) {
    CAPTURE(k);
    Backend on;
    auto calls = unused;
    fail_allocation(k);
    try {
      calls.run(on);
      failed = false;
    } catch (const std::bad_alloc&) {
    }
    fail_allocation(-1);
    const call_results so_far = calls.results();
    for (std::size_t j = 0; j < so_far.size(); ++j) {
      CAPTURE(j);
      CHECK((so_far[j] == expected[j] || so_far[j] == untouched[j]));
    }
    calls.run(on);
    CHECK(calls.results() == expected);
  }
}

/// The smallest backend that the concept allows computes what plain loops do; so does SIMD, in any number of threads to the bit;
/// no call allocates once the largest has been seen; and an allocation that fails does no harm.
template <template <class> class Calls, class T>
void check_every_backend() {
  const call_results expected = results_on<Calls, configuration<T, scalar>>(scalar());
  const call_results on_one_thread = results_on<Calls, configuration<T, simd>>(simd());
  {
    INFO("the archetype");
    check_close(results_on<Calls, configuration<T, archetype>>(archetype()), expected, 100);
  }
  {
    INFO("SIMD registers");
    check_close(on_one_thread, expected, 100);
  }
  for_each_executor([&](const executor& threads) {
    INFO("threads");
    CHECK(results_on<Calls, configuration<T, simd>>(simd(threads)) == on_one_thread);
  });
  CHECK(results_on<Calls, configuration<T, scalar>>(scalar(thread_group{3})) == expected);
  const auto check_allocations = [](auto on, auto calls) {
    calls.run(on);
    const long first = allocations();
    calls.run(on);
    CHECK(allocations() == first);
  };
  check_allocations(simd(), Calls<configuration<T, simd>>());
  check_allocations(scalar(), Calls<configuration<T, scalar>>());
  // As in the typed tests, one type a backend is enough where memory is what is tested.
#if INFALIGN_TEST_GRID_MIXED
  constexpr bool with_simd = std::is_same_v<T, float>, with_scalar = !with_simd;
#else
  constexpr bool with_simd = true, with_scalar = true;
#endif
  if constexpr (with_simd) check_failing_allocations<Calls, simd, T>(on_one_thread);
  if constexpr (with_scalar) check_failing_allocations<Calls, scalar, T>(expected);
}

#endif

}  // namespace infalign::test
