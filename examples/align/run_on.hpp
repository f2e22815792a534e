// SPDX-License-Identifier: Apache-2.0
/// \file
/// The task on each backend. A backend is compiled in a source of its own (run_on_scalar.cpp, run_on_simd.cpp), since each takes a
/// while; Thrust is an executor of the SIMD backend.
#pragma once

#include <cstdint>
#include <infalign/backend/executor.hpp>
#include <vector>

#include "policy_objective.hpp"
#include "results.hpp"
#include "schedule.hpp"
#include "word_data.hpp"

namespace align {

struct task {
  const std::vector<word>& words;
  schedule plan;
  std::uint64_t seed;
  unsigned threads;
  selection chosen{};
};

results run_on_scalar(const task& what);
/// By an executor, or with an empty one on the calling thread.
results run_on_simd(const task& what, const infalign::executor& executor = {});
results run_on_thrust(const task& what);

}  // namespace align
