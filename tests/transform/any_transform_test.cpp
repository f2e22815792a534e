// SPDX-License-Identifier: Apache-2.0
#include "infalign/transform/any_transform.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "infalign/transform/apply.hpp"
#include "support/samples.hpp"

using infalign::any_transform;
using infalign::domain_error;
using infalign::parse_transform;
using infalign::test::message_of;

namespace {

std::vector<any_transform> every_named_transform() {
  return {infalign::identity{},
          infalign::logarithm{},
          infalign::exponential(-0.1),
          infalign::power(1.0 / 3),
          infalign::normal_quantile{},
          infalign::clamped(infalign::identity{}, 0.1, 1),
          infalign::clamped(infalign::logarithm{}, 1.0 / 300, 1),
          infalign::clamped(infalign::exponential(5), 0, 0.5),
          infalign::clamped(infalign::power(2), 0, 0.5),
          infalign::clamped(infalign::normal_quantile{}, 0.001, 0.999)};
}

std::string parse_error(const std::string& text) {
  return message_of<domain_error>([&] { (void)parse_transform(text); });
}

}  // namespace

TEST_CASE("a transform of any kind has the values of the one that it holds") {
  static_assert(infalign::transform_function<any_transform>);
  static_assert(!std::constructible_from<any_transform, int>);
  std::vector<any_transform> all = every_named_transform();
  all.emplace_back(infalign::tabulated({0, 0.3, 1}, {-1, 0, 2}));
  for (const any_transform& any : all)
    any.visit([&](const auto& held) {
      for (const double u : {0.05, 0.25, 0.5, 0.95}) {
        CHECK(any(u) == held(u));
        CHECK(any.derivative(u) == held.derivative(u));
      }
      CHECK(any.name() == held.name());
    });
}

TEST_CASE("it stands for the one that it holds in an algorithm") {
  infalign::simd on;
  const std::vector<double> u = infalign::test::unit_values<double>(37, 3);
  for (const any_transform& any : every_named_transform()) {
    std::vector<double> by_any(u.size()), by_held(u.size());
    infalign::apply(on, any, u, by_any);
    any.visit([&](const auto& held) { infalign::apply(on, held, u, by_held); });
    CHECK(by_any == by_held);
  }
}

TEST_CASE("every name reads back") {
  for (const any_transform& any : every_named_transform()) {
    const any_transform read = parse_transform(any.name());
    CHECK(read.name() == any.name());
    CHECK(read(0.37) == any(0.37));
  }
  CHECK(parse_transform("exponential:-5").name() == "exponential:-5");
  CHECK(parse_transform("exponential:1e1").name() == "exponential:10");
  CHECK(parse_transform("exponential:0.1").name() == "exponential:0.1");
}

TEST_CASE("the example of every name of a transform reads back, and fits its syntax") {
  const auto parts = [](std::string_view name) { return std::count(name.begin(), name.end(), ':'); };
  for (const infalign::name_entry& entry : infalign::transform_names()) {
    CAPTURE(entry.syntax);
    CHECK(parse_transform(entry.example).name() == entry.example);
    const std::string_view head = entry.syntax.substr(0, entry.syntax.find(':'));
    CHECK(entry.example.substr(0, entry.example.find(':')) == head);
    CHECK(parts(entry.example) == parts(entry.syntax));
    CHECK(parse_error("?").find(entry.syntax) != std::string::npos);
    CHECK(entry.summary.size() > 10);
  }
}

TEST_CASE("an unknown transform is an error that lists the known ones") {
  CHECK(parse_error("exp:5") ==
        "parse_transform: 'exp:5': unknown transform, must be one of identity, logarithm, exponential:T, power:P, "
        "normal_quantile, clamped:LOW:HIGH:INNER");
  for (const char* text : {"", ":", " identity", "Identity", "tabulated:5", "clamped:0:1:exp:5"})
    CHECK(parse_error(text).find("unknown transform") != std::string::npos);
}

TEST_CASE("what is wrong in a transform is said") {
  CHECK(parse_error("exponential") == "parse_transform: 'exponential': T is missing; the syntax is exponential:T");
  for (const char* t : {"", "nan", "inf", "1e999", "5x", " 5", "+5", "0x5", "1,5"})
    CHECK(parse_error(std::string("exponential:") + t) == std::string("parse_transform: 'exponential:") + t + "': T is '" + t +
                                                              "', must be a finite number; the syntax is exponential:T");
  CHECK(parse_error("exponential:0") ==
        "parse_transform: 'exponential:0': exponential: t is 0, must be in [-700, 700] and not 0; the syntax is exponential:T");
  CHECK(parse_error("identity ").find("unknown transform") != std::string::npos);
  CHECK(parse_error("identity:1").find("':1' is too much") != std::string::npos);
  CHECK(parse_error("power:-1").find("power: exponent is -1") != std::string::npos);
  CHECK(parse_error("clamped:0.5:0.25:identity").find("must satisfy 0 <= lower < upper <= 1") != std::string::npos);
  CHECK(parse_error("clamped:0:1").find("INNER is missing") != std::string::npos);
  CHECK(parse_error("clamped:0:1:clamped:0:1:identity").find("is clamped already") != std::string::npos);
  std::string deep;
  for (int i = 0; i < 90'000; ++i) deep += "clamped:0:1:";
  CHECK(parse_error(deep + "identity").find("is clamped already") != std::string::npos);
  CHECK(parse_error(deep + "identity").size() < 600);
}
