// SPDX-License-Identifier: Apache-2.0
/// \file
/// Calibration against its definition: plain, leave-one-out and weighted, in rows and in ragged groups, by counting and by sorting, on
/// both backends. Equal to the bit, except for weights that are no whole numbers, which have a stated error.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "calibration/brute_force.hpp"
#include "fuzz/input.hpp"
#include "infalign/infalign.hpp"

namespace infalign::fuzz {
namespace {

constexpr rank_algorithm algorithms[] = {rank_algorithm::automatic, rank_algorithm::counting, rank_algorithm::sorting};
constexpr double untouched = -7;

template <class T>
T reward(input& in, int kind) {
  static constexpr T special[] = {T(0),
                                  -T(0),
                                  std::numeric_limits<T>::max(),
                                  std::numeric_limits<T>::lowest(),
                                  std::numeric_limits<T>::denorm_min(),
                                  -std::numeric_limits<T>::denorm_min(),
                                  std::numeric_limits<T>::min(),
                                  T(1)};
  switch (kind) {
    case 0: return static_cast<T>(in.below(3));  // many ties
    case 1: return static_cast<T>(in.byte()) - T(128);
    case 2: return in.one_of(special);
    default: return in.raw<T>();  // NaN and infinities as well
  }
}

template <class T>
struct calibration_case {
  bool dense;
  bool in_place;
  index_t padding;
  group_values<T> references;
  group_values<T> rewards;
  group_values<T> weights;
  bool whole_weights;
  calibration_options options;

  explicit calibration_case(input& in) : dense(in.flag()), in_place(in.flag()), padding(in.below(4)) {
    const int prompts = in.below(6), kind = in.below(4), most = in.flag() ? 200 : 20;
    std::vector<index_t> reference_sizes, reward_sizes;
    const index_t k = in.below(most), m = in.below(most);
    for (int p = 0; p < prompts; ++p) {
      reference_sizes.push_back(dense ? k : in.below(most));
      reward_sizes.push_back(dense ? m : in.below(most));
    }
    options.algorithm = in.one_of(algorithms);
    const tie_rule rules[] = {tie_rule::mid_rank(), tie_rule::below(), tie_rule::at_or_below(),
                              tie_rule::randomized(in.byte())};
    options.ties = in.one_of(rules);
    whole_weights = in.flag();
    references = group_values<T>::of(reference_sizes, [&] { return reward<T>(in, kind); });
    rewards = group_values<T>::of(reward_sizes, [&] { return reward<T>(in, kind); });
    weights = group_values<T>::of(reference_sizes, [&] {
      return whole_weights ? static_cast<T>(in.below(4))
                           : static_cast<T>(in.byte()) * std::ldexp(T(1), in.below(60) - 30) / T(3);
    });
  }

  [[nodiscard]] std::string text() const {
    return std::string(dense ? "rows" : "ragged") + (in_place ? ", in place" : "") + ", ties " +
           std::to_string(static_cast<int>(options.ties.rule)) + ", algorithm " +
           std::to_string(static_cast<int>(options.algorithm)) + "\n  reference offsets " + text_of(references.offsets) +
           " values " + text_of(references.values) + "\n  reward offsets " + text_of(rewards.offsets) + " values " +
           text_of(rewards.values) + "\n  weights " + text_of(weights.values);
  }
};

/// Groups in memory of their own, in rows with padding between them or packed.
template <class T>
class stored_groups {
 public:
  stored_groups(const group_values<T>& groups, bool dense, index_t padding) : offsets_(groups.offsets) {
    columns_ = dense && groups.size() > 0 ? groups.size_of(0) : 0;
    stride_ = columns_ + padding;
    count_ = static_cast<index_t>(groups.size());
    if (!dense) {
      values_ = groups.values;
      return;
    }
    values_.assign(static_cast<std::size_t>(count_ * stride_), T(untouched));
    for (index_t g = 0; g < count_; ++g)
      for (index_t i = 0; i < columns_; ++i)
        values_[static_cast<std::size_t>(g * stride_ + i)] =
            groups.values[static_cast<std::size_t>(groups.offsets[static_cast<std::size_t>(g)] + i)];
  }
  rows<T> as_rows() { return {values_.data(), count_, columns_, stride_}; }
  ragged<T> as_ragged() { return {values_, offsets_}; }
  /// The values, prompt after prompt, as one would read them.
  std::vector<T> packed(bool dense) {
    if (!dense) return values_;
    std::vector<T> result;
    for (index_t g = 0; g < count_; ++g) result.insert(result.end(), as_rows()[g].begin(), as_rows()[g].end());
    return result;
  }
  std::vector<T>& all() { return values_; }

 private:
  std::vector<T> values_;
  std::vector<index_t> offsets_;
  index_t count_, columns_, stride_;
};

template <class T>
test::prompts<T> prompts_of(const group_values<T>& groups) {
  test::prompts<T> result;
  for (std::size_t g = 0; g < groups.size(); ++g) result.push_back(groups.group(g));
  return result;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Runs a call on `out` groups and compares them with `expected`, up to `error`; or, where it is to fail, expects them untouched.
template <class T, class Call>
void check(const calibration_case<T>& c, const char* name, const group_values<T>& shape, bool must_fail,
           const std::vector<double>& expected, double error, Call&& call) {
  group_values<T> blank = shape;
  if (!c.in_place) std::fill(blank.values.begin(), blank.values.end(), T(untouched));
  stored_groups<T> out(blank, c.dense, c.padding);
  const auto before = out.all();
  const std::string message = error_of([&] { call(out); });
  if (message.empty() == must_fail) disagree(name, must_fail ? " did not fail" : " failed: " + message, "\n", c.text());
  if (must_fail && !same_bits(out.all(), before)) disagree(name, " wrote before it failed\n", c.text());
  if (must_fail) return;
  const std::vector<T> results = out.packed(c.dense);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto want = static_cast<T>(expected[i]);
    const bool equal = error > 0 ? std::abs(static_cast<double>(results[i]) - expected[i]) <= error : results[i] == want;
    if (!equal) disagree(name, " value ", i, " is ", results[i], ", by definition ", want, "\n", c.text());
  }
}

template <class T>
bool all_finite(const group_values<T>& groups) {
  return std::all_of(groups.values.begin(), groups.values.end(), [](T x) { return std::isfinite(x); });
}

/// Each weight is rounded to a multiple of 2⁻⁴⁹·K·(the largest), and the result once more to `T`.
template <class T>
double weighted_error(const group_values<T>& weights) {
  double most = 0;
  for (std::size_t g = 0; g < weights.size(); ++g) most = std::max(most, static_cast<double>(weights.size_of(g)));
  return 2 * most * most * 0x1p-49 + static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
bool has_prompt_without_weight(const group_values<T>& weights) {
  for (std::size_t g = 0; g < weights.size(); ++g) {
    const auto group = weights.group(g);
    if (std::none_of(group.begin(), group.end(), [](T w) { return w > 0; })) return true;
  }
  return false;
}

template <class T, class B>
void run(const calibration_case<T>& c) {
  B on;
  stored_groups<T> z(c.references, c.dense, c.padding), w(c.weights, c.dense, c.padding);
  const auto z_prompts = prompts_of(c.references), y_prompts = prompts_of(c.rewards), w_prompts = prompts_of(c.weights);
  const bool finite = all_finite(c.references) && all_finite(c.rewards);
  // Without prompts there is nothing to be wrong with.
  const bool has_none = c.references.size() > 0 && c.references.smallest() < 1;
  const auto expected = [&](bool fails, auto&& compute) { return fails ? std::vector<double>() : compute(); };
  const auto with = [&](stored_groups<T>& out, auto&& use) {
    stored_groups<T> y(c.rewards, c.dense, c.padding);
    if (c.dense)
      use(rows<const T>(z.as_rows()), rows<const T>(w.as_rows()), rows<const T>(c.in_place ? out.as_rows() : y.as_rows()),
          out.as_rows());
    else
      use(ragged<const T>(z.as_ragged()), ragged<const T>(w.as_ragged()),
          ragged<const T>(c.in_place ? out.as_ragged() : y.as_ragged()), out.as_ragged());
  };

  const bool fails = !finite || has_none;
  check(c, "calibrate", c.rewards, fails,
        expected(fails, [&] { return test::calibrated(z_prompts, y_prompts, c.options.ties); }), 0, [&](stored_groups<T>& out) {
          with(out, [&](auto references, auto, auto rewards, auto to) { calibrate(on, references, rewards, to, c.options); });
        });

  const bool weighted_fails = fails || has_prompt_without_weight(c.weights);
  check(c, "calibrate_weighted", c.rewards, weighted_fails,
        expected(weighted_fails, [&] { return test::calibrated(z_prompts, w_prompts, y_prompts, c.options.ties, false); }),
        c.whole_weights ? 0 : weighted_error(c.weights), [&](stored_groups<T>& out) {
          with(out, [&](auto references, auto weights, auto rewards, auto to) {
            calibrate_weighted(on, references, weights, rewards, to, c.options);
          });
        });

  calibration_case<T> apart = c;
  apart.in_place = false;  // leaving one out, `out` must not overlap the rewards
  const bool few = !all_finite(c.references) || (c.references.size() > 0 && c.references.smallest() < 2);
  check(apart, "calibrate_leave_one_out", c.references, few,
        expected(few, [&] { return test::calibrated_leave_one_out(z_prompts, c.options.ties); }), 0,
        [&](stored_groups<T>& out) {
          if (c.dense)
            calibrate_leave_one_out(on, rows<const T>(z.as_rows()), out.as_rows(), c.options);
          else
            calibrate_leave_one_out(on, ragged<const T>(z.as_ragged()), out.as_ragged(), c.options);
        });
}

template <class T>
void run_on_both(input& in) {
  const calibration_case<T> c(in);
  run<T, simd>(c);
  run<T, scalar>(c);
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  infalign::fuzz::input in(bytes, size);
  if (in.flag())
    infalign::fuzz::run_on_both<double>(in);
  else
    infalign::fuzz::run_on_both<float>(in);
  return 0;
}
