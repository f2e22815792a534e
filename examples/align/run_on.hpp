// SPDX-License-Identifier: Apache-2.0
/// \file
/// The task on each backend. A backend is compiled in a source of its own (run_on_scalar.cpp …), since each takes a while.
#pragma once

#include <cstdint>
#include <vector>

#include "results.hpp"
#include "schedule.hpp"
#include "word_data.hpp"

namespace align {

struct task {
  const std::vector<word>& words;
  schedule plan;
  std::uint64_t seed;
  unsigned threads;
};

results run_on_scalar(const task& what);
results run_on_simd(const task& what);
results run_on_thrust(const task& what);

}  // namespace align
