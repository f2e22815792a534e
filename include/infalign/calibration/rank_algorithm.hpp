// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which algorithm ranks values among a group's references, and the cost models by which `automatic` chooses.
#pragma once

#include <cmath>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/simd_forward.hpp"
#include "infalign/core/config.hpp"

namespace infalign {

/// Which algorithm ranks values among a group's references. Counts, and so calibrated rewards, are the
/// same to the bit; sums over them are the same up to rounding. The cost differs.
enum class rank_algorithm {
  automatic,  ///< the backend's cost model decides
  counting,   ///< compare with every reference: O(k·m), no scratch memory
  sorting     ///< sort the references, then search: O((k + m)·log k), a sorted copy in scratch memory
};

template <class Resource, class LaunchModel>
class cuda;

/// The cost model of a backend: whether `values` values are ranked among `references` faster by counting than by sorting.
/// Specialise it for a backend on which a measurement (bench/calibration/rank_cost_model.cpp) says otherwise than the default. With
/// `prefers_counting_pairs(policy, base)` it says the same of win rates, where both sides would be sorted.
///
/// The default was measured on `scalar`: a comparison takes 0.8 ns, a step of sorting 3, a step of search 1.6.
template <class Backend>
struct rank_cost {
  [[nodiscard]] static bool prefers_counting(index_t references, index_t values) {
    const double k = static_cast<double>(references);
    const double m = static_cast<double>(values);
    return 0.8 * k * m <= (3 * k + 1.6 * m) * std::log2(k + 1);
  }
};

/// Measured for `float` with 4 and with 16 lanes: many groups of up to 1024 values are sorted in the lanes; of longer ones a step takes
/// 4 ns. A value takes 4 ns to be counted for, a step of search 1.6,
/// and a value to be merged 4.
template <class Arch>
struct rank_cost<basic_simd<Arch>> {
  [[nodiscard]] static bool prefers_counting(index_t references, index_t values) {
    const double k = static_cast<double>(references);
    const double m = static_cast<double>(values);
    return counting(k, m) <= sorting(k) + 1.6 * m * std::log2(k + 1);
  }
  [[nodiscard]] static bool prefers_counting_pairs(index_t policy, index_t base) {
    const double m = static_cast<double>(policy);
    const double k = static_cast<double>(base);
    const double own = counting(m, m), other = base > 0 ? counting(k, m) : 0;
    return own + other <= sorting(m) + sorting(k) + 4 * m;
  }

 private:
  static constexpr auto width = static_cast<double>(basic_simd<Arch>::team_type::template vec<float>::size);
  static double counting(double k, double m) { return m * (3.5 + 0.45 * k / width); }
  static double sorting(double n) {
    const double steps = std::log2(n + 1);
    return n <= 1024 ? n * (0.4 + 0.2 * steps * steps / width) : 4 * n * steps;
  }
};

/// From instruction counts: a warp compares 32 pairs in about 4 instructions; sorting a group has a fixed price of thousands.
template <class Resource, class LaunchModel>
struct rank_cost<cuda<Resource, LaunchModel>> {
  [[nodiscard]] static bool prefers_counting(index_t references, index_t values) {
    const auto k = static_cast<double>(references);
    const auto m = static_cast<double>(values);
    return k * m / 16 <= 8000 + 3 * k + m * std::log2(k + 1) / 2;
  }
};

namespace detail {

template <backend B>
bool by_counting(B&, rank_algorithm chosen, index_t references, index_t values) {
  if (chosen == rank_algorithm::automatic) return rank_cost<B>::prefers_counting(references, values);
  return chosen == rank_algorithm::counting;
}

/// The same for a win rate, or with no base samples for what needs the ranks of samples among their own.
template <backend B>
bool pairs_by_counting(B& on, rank_algorithm chosen, index_t policy, index_t base) {
  if constexpr (requires { rank_cost<B>::prefers_counting_pairs(policy, base); })
    if (chosen == rank_algorithm::automatic) return rank_cost<B>::prefers_counting_pairs(policy, base);
  return by_counting(on, chosen, policy + base, policy);
}

}  // namespace detail

}  // namespace infalign
