// SPDX-License-Identifier: Apache-2.0
/// \file
/// Kinds of prompts for simulations of how often intervals hold the truth.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

#include "infalign/statistics/estimate.hpp"

namespace infalign::test {

/// Random numbers of a seed.
class random_stream {
 public:
  explicit random_stream(std::uint64_t seed) : generator_(seed) {}
  double uniform() { return static_cast<double>(generator_() >> 11) * 0x1.0p-53; }
  /// The share of `samples` comparisons that are won with probability q.
  double wins(double q, int samples) {
    int won = 0;
    for (int i = 0; i < samples; ++i) won += uniform() < q ? 1 : 0;
    return static_cast<double>(won) / samples;
  }
  double normal() { return normal_(generator_); }
  double exponential() { return -std::log1p(-uniform()); }
  std::mt19937_64& generator() { return generator_; }

 private:
  std::mt19937_64 generator_;
  std::normal_distribution<double> normal_;
};

/// What one prompt gives, and the mean over all prompts there are.
struct prompt_kind {
  const char* name;
  double mean;
  double (*value)(random_stream&);
  quantity_range range = win_rate_range;
};

inline constexpr prompt_kind win_rate_kinds[] = {
    {"ordinary", 0.6, [](random_stream& s) { return s.wins(0.2 + 0.8 * s.uniform(), 8); }},
    {"one sample a prompt", 2.0 / 3, [](random_stream& s) { return s.wins(2.0 / 3, 1); }},
    {"mostly tied", 0.5 + 0.05,
     [](random_stream& s) {
       const double u = s.uniform();
       return u < 0.7 ? 0.5 : u < 0.9 ? 1.0 : 0.0;
     }},
    {"heavy-tailed", 0.6 * 0.95, [](random_stream& s) { return s.uniform() < 0.95 ? 0.58 + 0.04 * s.uniform() : 0.0; }},
    {"ragged", 0.6,
     [](random_stream& s) {
       constexpr int samples[] = {1, 2, 4, 32};
       const int m = samples[static_cast<int>(4 * s.uniform())];
       return s.wins(0.2 + 0.8 * s.uniform(), m);
     }},
    {"0.987", 0.987, [](random_stream& s) { return s.uniform() < 0.026 ? s.uniform() : 1.0; }},
    {"0.013", 0.013, [](random_stream& s) { return s.uniform() < 0.026 ? s.uniform() : 0.0; }},
    {"98 % won", 0.98, [](random_stream& s) { return s.uniform() < 0.02 ? 0.0 : 1.0; }},
    {"all won", 1, [](random_stream&) { return 1.0; }},
    {"all lost", 0, [](random_stream&) { return 0.0; }},
};

inline constexpr prompt_kind difference_kinds[] = {
    {"ordinary", 0.1,
     [](random_stream& s) {
       const double q = s.uniform();
       return s.wins(0.2 + 0.8 * q, 8) - s.wins(q, 8);
     },
     win_rate_difference_range},
    {"one sample a prompt", 0.2, [](random_stream& s) { return s.wins(0.7, 1) - s.wins(0.5, 1); }, win_rate_difference_range},
    {"mostly tied", 0.02,
     [](random_stream& s) {
       const double u = s.uniform();
       return u < 0.04 ? 1.0 : u < 0.06 ? -1.0 : 0.0;
     },
     win_rate_difference_range},
    {"heavy-tailed", -0.02, [](random_stream& s) { return s.uniform() < 0.02 ? -1.0 : 0.04 * (s.uniform() - 0.5); },
     win_rate_difference_range},
    {"98 % equal", -0.02, [](random_stream& s) { return s.uniform() < 0.02 ? -1.0 : 0.0; }, win_rate_difference_range},
    {"98 % against", 0.96, [](random_stream& s) { return s.uniform() < 0.02 ? -1.0 : 1.0; }, win_rate_difference_range},
    {"all equal", 0, [](random_stream&) { return 0.0; }, win_rate_difference_range},
    {"all against", -1, [](random_stream&) { return -1.0; }, win_rate_difference_range},
};

}  // namespace infalign::test
