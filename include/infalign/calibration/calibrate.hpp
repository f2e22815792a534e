// SPDX-License-Identifier: Apache-2.0
/// \file
/// Calibration: the quantile of a reward under the base policy of its prompt, and the transformed quantile in one pass.
#pragma once

#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/sorted_groups.hpp"
#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/detail/rank_kernels.hpp"
#include "infalign/calibration/rank_algorithm.hpp"
#include "infalign/calibration/tie_rule.hpp"
#include "infalign/transform/identity.hpp"
#include "infalign/transform/transform.hpp"

namespace infalign {

struct calibration_options {
  tie_rule ties{};
  rank_algorithm algorithm = rank_algorithm::automatic;
};

namespace detail {

/// Calibration, after the checks.
template <class B, class References, class Weights, class Rewards, class Transform, class Out>
void run_calibration(B& on, const References& references, const Weights& weights, const Rewards& rewards,
                     const Transform& transform, const Out& out, const calibration_options& options, bool leave_one_out) {
  if (rewards.empty()) return;
  const index_t prompts = rewards.size();
  const index_t mean_references = references.total() / prompts;
  const index_t mean_rewards = (rewards.total() + prompts - 1) / prompts;
  with_tie_count(options.ties, [&](auto count) {
    if constexpr (std::same_as<Weights, unit_weights>) {
      if (!by_counting(on, options.algorithm, mean_references, mean_rewards)) {
        auto frame = on.scratch();
        return on.groups(prompts, 16 * rewards.total(),
                         ranked_then_transformed{search_kernel{sorted_groups(on, frame, references), any_groups(rewards),
                                                               any_groups(out), count, leave_one_out},
                                                 transform});
      }
    }
    on.groups(prompts, references.total() * (mean_rewards / 8 + 1),
              ranked_then_transformed{
                  count_kernel{any_groups(references), weights, any_groups(rewards), any_groups(out), count, leave_one_out},
                  transform});
  });
}

template <class B, class References, class Rewards, class Out>
void check_calibration(B& on, std::string_view function, const References& references, const Rewards& rewards, const Out& out) {
  static_assert(std::same_as<typename References::value_type, typename Rewards::value_type>,
                "rewards and references must have one type, or comparing them would round one side");
  expects_groups(on, function, "references", references);
  expects_groups(on, function, "rewards", rewards);
  expects_groups(on, function, "out", out);
  expects_same_count(function, "rewards", rewards, "references", references);
  expects_same_shape(on, function, "out", out, "rewards", rewards);
  expects_group_sizes(on, function, "references", references, 1, "a prompt needs at least one reference reward");
  expects_apart(function, "out", out, "references", references);
  expects_apart_or_same(function, "out", out, "rewards", rewards);
  expects_finite(on, function, "references", references);
  expects_finite(on, function, "rewards", rewards);
}

template <class B, class References, class Weights, class Out>
void check_weights(B& on, std::string_view function, const References& references, const Weights& weights, const Out& out) {
  expects_groups(on, function, "weights", weights);
  expects_apart(function, "out", out, "weights", weights);
  expects_same_shape(on, function, "weights", weights, "references", references);
  expects_weights(on, function, weights);
}

}  // namespace detail

/// Calibrated rewards: for every rollout `y` of a prompt with reference rewards `z_1 … z_K` drawn from the base policy,
/// `out = (#{z < y} + v·#{z = y}) / K`, with the share `v` of ties set by `options.ties` (default ½: the win rate against the
/// base policy).
///
/// - Shapes: `references` P groups of K ≥ 1 rewards; `rewards` and `out` P groups of the same lengths; rows or ragged.
///   `out` may be `rewards`; other overlap is an error.
/// - Range: [0, 1]. Under the base policy the expectation of a value is its true quantile; see `uncertainty.hpp` for its error.
/// - Ties: see `tie_rule`. NaN and infinities are an error, unless the backend is unchecked.
/// - Exactness: counts are whole numbers and the quotient is rounded once (to the type of `out`), so results are equal to the
///   bit for all backends, thread counts and algorithms.
/// - Cost: O(K·M) comparisons a prompt in registers for few rollouts or references; O((K+M) log K) by sorting for many.
///   `options.algorithm` says which; by default the backend's cost model (`rank_cost`) chooses.
/// - Errors: `shape_error`, `domain_error` before anything is written.
/// - Source: InfAlign (arXiv 2412.19792), Definition of calibrated reward and its empirical estimate.
///
/// \code
/// infalign::simd on;
/// const infalign::rows<const float> z(references, prompts, 128);
/// const infalign::rows<const float> y(rewards, prompts, 4);
/// infalign::calibrate(on, z, y, infalign::rows<float>(calibrated, prompts, 4));
/// \endcode
template <backend B, grouped References, grouped Rewards, writable_groups Out>
  requires reachable_from<B, References, Rewards, Out>
void calibrate(B&& on, const References& references, const Rewards& rewards, const Out& out, calibration_options options = {}) {
  detail::check_calibration(on, "calibrate", references, rewards, out);
  detail::run_calibration(on, references, detail::unit_weights{}, rewards, identity{}, out, options, false);
}

/// `out = Φ(u)`: `calibrate` and then `Φ`, in one pass and without an array between.
///
/// `Φ` receives `u` as rounded to the type of `out`. If `Φ` is infinite at 0 or 1 (logarithm, normal quantile), so is the
/// result for a reward below or above all references; `clamped` keeps it finite.
template <backend B, grouped References, grouped Rewards, class Transform, writable_groups Out>
  requires reachable_from<B, References, Rewards, Out>
void calibrate_transform(B&& on, const References& references, const Rewards& rewards, const Transform& transform,
                         const Out& out, calibration_options options = {}) {
  detail::expects_transform<Transform>();
  detail::check_calibration(on, "calibrate_transform", references, rewards, out);
  using form = decltype(kernel_form(transform));
  static_assert(usable_in<form, typename std::remove_cvref_t<B>::memory_space>,
                "the table of the transform must live in the memory of the backend");
  detail::run_calibration(on, references, detail::unit_weights{}, rewards, kernel_form(transform), out, options, false);
}

/// Calibrated rewards against references that were drawn from another policy `q` and carry the weights `π₀/q`:
/// `out = (Σ_{z<y} w_z + v·Σ_{z=y} w_z) / Σ w_z`.
///
/// Weights have the shape of `references`. They are finite and not negative, with a positive sum for every prompt. Each is
/// rounded to a multiple of a power of two that is at most 2⁻⁴⁹ · K · (largest weight of its prompt). So every sum is exact,
/// and the result does not depend on the order of summation. `float` weights within a factor of 2²⁶/K of each other lose
/// nothing at all. The rest is as for `calibrate`; the algorithm is always counting.
template <backend B, grouped References, grouped Weights, grouped Rewards, writable_groups Out>
  requires reachable_from<B, References, Weights, Rewards, Out>
void calibrate_weighted(B&& on, const References& references, const Weights& weights, const Rewards& rewards, const Out& out,
                        calibration_options options = {}) {
  detail::check_calibration(on, "calibrate_weighted", references, rewards, out);
  detail::check_weights(on, "calibrate_weighted", references, weights, out);
  detail::run_calibration(on, references, detail::group_weights{any_groups(weights)}, rewards, identity{}, out, options, false);
}

/// Calibrated rewards of the reference rewards themselves: every reward against the other K - 1 of its prompt,
/// `out = (#{z < y} + v·#{z = y, z ≠ y itself}) / (K - 1)`. Scoring a sample against a set that contains it is biased towards
/// ½.
///
/// Shapes: `rewards` and `out` P groups of the same lengths K ≥ 2; `out` overlapping `rewards` is an error. The rest is as for
/// `calibrate`.
template <backend B, grouped Rewards, writable_groups Out>
  requires reachable_from<B, Rewards, Out>
void calibrate_leave_one_out(B&& on, const Rewards& rewards, const Out& out, calibration_options options = {}) {
  constexpr std::string_view function = "calibrate_leave_one_out";
  detail::expects_groups(on, function, "rewards", rewards);
  detail::expects_groups(on, function, "out", out);
  detail::expects_same_shape(on, function, "out", out, "rewards", rewards);
  detail::expects_group_sizes(on, function, "rewards", rewards, 2, "leaving one out needs at least two");
  detail::expects_apart(function, "out", out, "rewards", rewards);
  detail::expects_finite(on, function, "rewards", rewards);
  detail::run_calibration(on, rewards, detail::unit_weights{}, rewards, identity{}, out, options, true);
}

}  // namespace infalign
