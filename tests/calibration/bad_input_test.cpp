// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "infalign/calibration/calibrate.hpp"
#include "infalign/calibration/uncertainty.hpp"
#include "infalign/transform/logarithm.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::index_t;
using infalign::infinity;
using infalign::test::message_of;

namespace {

/// Two prompts with 3 references and 2 rewards each, to be spoilt.
template <class C>
struct inputs {
  using T = typename C::value;
  template <class U>
  using array = typename C::template array<U>;

  typename C::backend on = C::make_backend();
  array<T> z{std::vector<T>{1, 2, 3, 4, 5, 6}}, y{std::vector<T>{2, 3, 4, 5}}, w{std::vector<T>{1, 0, 2, 3, 1, 1}};
  array<T> out = array<T>(4, T(-9));

  array<T> references_with(std::size_t place, T value) { return with(z, place, value); }
  array<T> rewards_with(std::size_t place, T value) { return with(y, place, value); }
  array<T> weights_with(std::size_t place, T value) { return with(w, place, value); }

  /// The message of each function that takes references, rewards and out, which must be the same but for its name.
  template <class References, class Rewards, class Out>
  std::string calibrate(const References& references, const Rewards& rewards, const Out& to) {
    const auto plain = message_of<infalign::error>([&] { infalign::calibrate(on, references, rewards, to); });
    const auto fused =
        message_of<infalign::error>([&] { calibrate_transform(on, references, rewards, infalign::logarithm(), to); });
    CHECK(fused == "calibrate_transform" + plain.substr(plain.find(':')));
    const auto weighted = message_of<infalign::error>([&] { calibrate_weighted(on, references, references, rewards, to); });
    CHECK(weighted == "calibrate_weighted" + plain.substr(plain.find(':')));
    check_untouched();
    return plain;
  }
  template <class Weights>
  std::string weighted(const Weights& weights) {
    const auto message =
        message_of<infalign::error>([&] { calibrate_weighted(on, z.rows(2, 3), weights, y.rows(2, 2), out.rows(2, 2)); });
    check_untouched();
    return message;
  }
  void check_untouched() { CHECK(out.host() == std::vector<T>(4, T(-9))); }

 private:
  static array<T> with(const array<T>& values, std::size_t place, T value) {
    auto changed = values.host();
    changed[place] = value;
    return array<T>(changed);
  }
};

template <class C>
auto offsets(std::vector<index_t> values) {
  return typename C::template array<index_t>(std::move(values));
}

}  // namespace

TEST_CASE_TEMPLATE("rewards that are no numbers are named by prompt, position and value", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  inputs<C> in;
  auto nan = in.references_with(4, std::numeric_limits<T>::quiet_NaN()), minus = in.rewards_with(2, -infinity<T>);
  auto plus = in.rewards_with(1, infinity<T>);
  CHECK(in.calibrate(nan.rows(2, 3), in.y.rows(2, 2), in.out.rows(2, 2)) ==
        "calibrate: references[1][1] is nan, must be finite");
  CHECK(in.calibrate(in.z.rows(2, 3), minus.rows(2, 2), in.out.rows(2, 2)) ==
        "calibrate: rewards[1][0] is -inf, must be finite");
  // Between padded rows and in ragged groups too.
  CHECK(in.calibrate(nan.rows(2, 2, 3), in.y.rows(2, 2), in.out.rows(2, 2)) ==
        "calibrate: references[1][1] is nan, must be finite");
  auto shifted = offsets<C>({0, 1, 4});
  CHECK(in.calibrate(in.z.rows(2, 3), plus.ragged(shifted), in.out.ragged(shifted)) ==
        "calibrate: rewards[1][0] is inf, must be finite");
  CHECK(message_of<infalign::domain_error>([&] { calibrate_leave_one_out(in.on, plus.rows(2, 2), in.out.rows(2, 2)); }) ==
        "calibrate_leave_one_out: rewards[0][1] is inf, must be finite");
  in.check_untouched();
}

TEST_CASE_TEMPLATE("what is padding may be NaN, and an unchecked backend does not look", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  inputs<C> in;
  auto nan = in.references_with(2, std::numeric_limits<T>::quiet_NaN());
  CHECK_NOTHROW(infalign::calibrate(in.on, nan.rows(2, 2, 3), in.y.rows(2, 2), in.out.rows(2, 2)));
  typename C::backend trusting = in.on.unchecked();
  CHECK_NOTHROW(infalign::calibrate(trusting, nan.rows(2, 3), in.y.rows(2, 2), in.out.rows(2, 2)));
  // Shapes that views know are checked all the same.
  CHECK(message_of<infalign::shape_error>([&] {
          infalign::calibrate(trusting, in.z.rows(2, 3), in.y.rows(2, 2), in.out.rows(1, 2));
        }) == "calibrate: out has 1 groups, but rewards has 2");
}

TEST_CASE_TEMPLATE("shapes that do not fit are named with their sizes", C, INFALIGN_CONFIGURATIONS) {
  inputs<C> in;
  const auto z = in.z.rows(2, 3);
  const auto y = in.y.rows(2, 2);
  const auto out = in.out.rows(2, 2);
  CHECK(in.calibrate(in.z.rows(3, 2), y, out) == "calibrate: rewards has 2 groups, but references has 3");
  CHECK(in.calibrate(z, y, in.out.rows(1, 4)) == "calibrate: out has 1 groups, but rewards has 2");
  CHECK(in.calibrate(z, y, in.out.rows(2, 1)) == "calibrate: out[0] has 1 values, but rewards[0] has 2");
  CHECK(in.calibrate(in.z.rows(2, 0), y, out) ==
        "calibrate: references[0] has 0 values, a prompt needs at least one reference reward");
  CHECK(in.calibrate(in.z.rows(2, 3, 2), y, out) == "calibrate: references has stride 2, less than its 3 columns");
  CHECK(in.calibrate(z, in.y.rows(-1, 2), out) == "calibrate: rewards has -1 rows of 2 values, sizes must not be negative");
  auto one_three = offsets<C>({0, 1, 4});
  CHECK(in.calibrate(z, in.y.ragged(one_three), out) == "calibrate: out[0] has 2 values, but rewards[0] has 1");
  CHECK(message_of<infalign::shape_error>([&] {
          calibrate_leave_one_out(in.on, in.y.ragged(one_three), in.out.ragged(one_three));
        }) == "calibrate_leave_one_out: rewards[0] has 1 values, leaving one out needs at least two");
  CHECK(message_of<infalign::shape_error>([&] { calibrate_leave_one_out(in.on, y, in.out.rows(2, 1)); }) ==
        "calibrate_leave_one_out: out[0] has 1 values, but rewards[0] has 2");
  in.check_untouched();
}

TEST_CASE_TEMPLATE("offsets that describe no groups are named", C, INFALIGN_CONFIGURATIONS) {
  inputs<C> in;
  const auto y = in.y.rows(2, 2);
  const auto out = in.out.rows(2, 2);
  auto late = offsets<C>({1, 3, 6}), backwards = offsets<C>({0, 7, 6}), early = offsets<C>({0, 3, 5}), none = offsets<C>({});
  auto empty_group = offsets<C>({0, 6, 6});
  CHECK(in.calibrate(in.z.ragged(late), y, out) == "calibrate: references.offsets[0] is 1, must be 0");
  CHECK(in.calibrate(in.z.ragged(backwards), y, out) ==
        "calibrate: references.offsets[2] is 6, less than the offset before it, 7");
  CHECK(in.calibrate(in.z.ragged(early), y, out) == "calibrate: references.offsets[2] is 5, but there are 6 values");
  CHECK(in.calibrate(in.z.ragged(none), y, out) == "calibrate: references has 6 values but no offsets");
  CHECK(in.calibrate(in.z.ragged(empty_group), y, out) ==
        "calibrate: references[1] has 0 values, a prompt needs at least one reference reward");
}

TEST_CASE_TEMPLATE("weights are finite, not negative, of the references' shape, and not all zero", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  inputs<C> in;
  auto negative = in.weights_with(3, T(-0.5)), nan = in.weights_with(0, std::numeric_limits<T>::quiet_NaN());
  auto infinite = in.weights_with(5, infinity<T>);
  typename C::template array<T> zero(std::vector<T>{1, 1, 1, 0, 0, 0});
  CHECK(in.weighted(negative.rows(2, 3)) == "calibrate_weighted: weights[1][0] is -0.5, must be finite and not negative");
  CHECK(in.weighted(nan.rows(2, 3)) == "calibrate_weighted: weights[0][0] is nan, must be finite and not negative");
  CHECK(in.weighted(infinite.rows(2, 3)) == "calibrate_weighted: weights[1][2] is inf, must be finite and not negative");
  CHECK(in.weighted(zero.rows(2, 3)) == "calibrate_weighted: sum of weights[1] is 0, must be positive");
  CHECK(in.weighted(in.w.rows(2, 2)) == "calibrate_weighted: weights[0] has 2 values, but references[0] has 3");
  CHECK(in.weighted(in.w.rows(3, 2)) == "calibrate_weighted: weights has 3 groups, but references has 2");
}

TEST_CASE_TEMPLATE("standard errors need the shapes of what was calibrated", C, INFALIGN_CONFIGURATIONS) {
  inputs<C> in;
  const auto shape = [&](const auto& calibrated, const auto& references, const auto& out) {
    return message_of<infalign::shape_error>([&] { calibration_standard_error(in.on, calibrated, references, out); });
  };
  CHECK(shape(in.y.rows(2, 2), in.z.rows(3, 2), in.out.rows(2, 2)) ==
        "calibration_standard_error: calibrated has 2 groups, but references has 3");
  CHECK(shape(in.y.rows(2, 2), in.z.rows(2, 3), in.out.rows(2, 1)) ==
        "calibration_standard_error: out[0] has 1 values, but calibrated[0] has 2");
  CHECK(shape(in.y.rows(2, 2), in.z.rows(2, 0), in.out.rows(2, 2)) ==
        "calibration_standard_error: references[0] has 0 values, a prompt needs at least one reference reward");
  in.check_untouched();
}
