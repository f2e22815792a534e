// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is watched while it comes in: a miss at any moment up to P counts.
#include <cstddef>

#include "coverage/measure.hpp"
#include "infalign/statistics/choose_on_curve.hpp"
#include "infalign/statistics/confidence_sequence.hpp"
#include "infalign/statistics/summary.hpp"

namespace infalign::coverage {
namespace {

/// The outcome of a state that is looked at after each of `length` values.
template <class State, class Value>
outcome watched(State state, int length, double truth, const Value& value) {
  for (int t = 0; t < length; ++t) {
    state.add(value());
    if (holds(state.interval(), truth) == outcome::missed) return outcome::missed;
  }
  return outcome::held;
}

/// The interval of `estimate`, which is for one look.
struct fixed_interval {
  quantity_range range;
  summary seen;
  void add(double x) { seen.add(x); }
  [[nodiscard]] confidence_interval interval() const { return estimate_of(seen, range).interval(); }
};

/// Two streams that are watched together.
template <class Sequence>
struct merged_streams {
  Sequence streams[2] = {Sequence(), Sequence()};
  int next = 0;
  void add(double x) { streams[next ^= 1].add(x); }
  [[nodiscard]] confidence_interval interval() const {
    Sequence all = streams[0];
    all.merge(streams[1]);
    return all.interval();
  }
};

void watch(table& to, const char* data, double truth, quantity_range range, double (*value)(random_stream&)) {
  to.add(data, {{"`empirical_bernstein_sequence`, watched"}, {"`estimate_of`, range, watched", never}},
         [&](random_stream& random, int length, std::vector<outcome>& out) {
           const auto next = [&] { return value(random); };
           out[0] = watched(empirical_bernstein_sequence(0.95, range), length, truth, next);
           out[1] = watched(fixed_interval{range, {}}, length, truth, next);
         });
  to.add(
      data, {{"`betting_sequence`, watched"}},
      [&](random_stream& random, int length, std::vector<outcome>& out) {
        out[0] = watched(betting_sequence(0.95, range), length, truth, [&] { return value(random); });
      },
      200);
}

/// A curve of six steps whose best is step 3, or where steps 3 and 4 are equally good.
void curves(table& to, const char* data, bool tied) {
  to.add(data, {{"`choose_on_curve`, `candidates`", 20, in_the_limit}},
         [=](random_stream& random, int prompts, std::vector<outcome>& out) {
           std::vector<double> curve;
           for (int p = 0; p < prompts; ++p) {
             const double common = random.normal();
             for (int i = 0; i < 6; ++i) {
               const double distance = tied ? i - 3.5 : i - 3;
               curve.push_back(common + random.exponential() - 0.05 * distance * distance);
             }
           }
           out[0] = outcome::missed;
           for (const index_t i : choose_on_curve(rows<const double>(curve.data(), prompts, 6)).candidates)
             if (i == 3) out[0] = outcome::held;
         });
}

}  // namespace

void sequences(table& to) {
  watch(to, "rate 0.5", 0.5, win_rate_range, [](random_stream& s) { return s.wins(0.5, 1); });
  watch(to, "rate 0.97", 0.97, win_rate_range, [](random_stream& s) { return s.wins(0.97, 1); });
  watch(to, "mostly tied", 0.55, win_rate_range, test::win_rate_kinds[2].value);
  watch(to, "differences, mostly tied", 0.02, win_rate_difference_range, test::difference_kinds[2].value);
  to.add("rate 0.5, two streams merged", {{"`empirical_bernstein_sequence`, watched"}},
         [](random_stream& random, int length, std::vector<outcome>& out) {
           out[0] = watched(merged_streams<empirical_bernstein_sequence>{}, length, 0.5, [&] { return random.wins(0.5, 1); });
         });
  to.add(
      "rate 0.5, two streams merged", {{"`betting_sequence`, watched"}},
      [](random_stream& random, int length, std::vector<outcome>& out) {
        out[0] = watched(merged_streams<betting_sequence>{}, length, 0.5, [&] { return random.wins(0.5, 1); });
      },
      200);
  curves(to, "six steps, one best", false);
  curves(to, "six steps, two equally good", true);
}

}  // namespace infalign::coverage
