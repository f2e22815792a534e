// SPDX-License-Identifier: Apache-2.0
#include "infalign/procedure/any_procedure.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "support/samples.hpp"

using infalign::any_procedure;
using infalign::domain_error;
using infalign::parse_procedure;
using infalign::test::message_of;

namespace {

const std::vector<any_procedure>& every_procedure() {
  static const std::vector<any_procedure> all{infalign::standard{},
                                              infalign::best_of(4),
                                              infalign::worst_of(3),
                                              infalign::order_statistic(2, 5),
                                              infalign::top_of(2, 7),
                                              infalign::best_of_random({{2, 0.5}, {8, 0.25}, {1, 0.25}}),
                                              infalign::best_of_poisson(1.0 / 3)};
  return all;
}

std::string parse_error(const std::string& text) {
  return message_of<domain_error>([&] { (void)parse_procedure(text); });
}

}  // namespace

TEST_CASE("a procedure of any kind has the values of the one that it holds") {
  static_assert(infalign::inference_procedure<any_procedure>);
  static_assert(!std::constructible_from<any_procedure, int>);
  for (const any_procedure& any : every_procedure())
    any.visit([&](const auto& held) {
      for (const double q : {0.0, 0.1, 0.5, 0.99, 1.0}) {
        CHECK(any.distortion(q) == held.distortion(q));
        CHECK(any.density(q) == held.density(q));
      }
      CHECK(any.from_count(6, 10) == infalign::detail::served_share(held, 6, 10));
      CHECK(any.samples_needed() == infalign::detail::samples_needed(held));
    });
  const any_procedure poisson = infalign::best_of_poisson(2);
  CHECK(poisson.from_count(1, 4) == infalign::best_of_poisson(2).distortion(0.25));  // it has no unbiased share
}

TEST_CASE("it stands for the one that it holds in an algorithm") {
  const std::vector<double> policy = infalign::test::tied_values<double>(60, 1, 9);
  const std::vector<double> base = infalign::test::tied_values<double>(60, 2, 9);
  const infalign::rows<const double> y(policy.data(), 6, 10), z(base.data(), 6, 10);
  infalign::simd on;
  for (const any_procedure& any : every_procedure()) {
    std::vector<double> by_any(6), by_held(6);
    infalign::procedure_win_rate(on, y, z, any, by_any);
    any.visit([&](const auto& held) { infalign::procedure_win_rate(on, y, z, held, by_held); });
    CHECK(by_any == by_held);
  }
}

TEST_CASE("every name reads back") {
  for (const any_procedure& any : every_procedure()) {
    const any_procedure read = parse_procedure(any.name());
    CHECK(read.name() == any.name());
    CHECK(read.distortion(0.37) == any.distortion(0.37));
  }
  CHECK(parse_procedure("best_of_random:2=0.5,8=0.5").distortion(0.5) == 0.5 * 0.25 + 0.5 / 256);
  CHECK(parse_procedure("order_statistic:1:3").distortion(0.5) == doctest::Approx(1 - 0.125).epsilon(1e-14));
  CHECK(parse_procedure("best_of_poisson:1e-3").name() == "best_of_poisson:0.001");
}

TEST_CASE("the example of every name of a procedure reads back, and fits its syntax") {
  const auto parts = [](std::string_view name) { return std::count(name.begin(), name.end(), ':'); };
  for (const infalign::name_entry& entry : infalign::procedure_names()) {
    CAPTURE(entry.syntax);
    CHECK(parse_procedure(entry.example).name() == entry.example);
    const std::string_view head = entry.syntax.substr(0, entry.syntax.find(':'));
    CHECK(entry.example.substr(0, entry.example.find(':')) == head);
    CHECK(parts(entry.example) == parts(entry.syntax));
    CHECK(parse_error("?").find(entry.syntax) != std::string::npos);
    CHECK(entry.summary.size() > 10);
  }
}

TEST_CASE("an unknown procedure is an error that lists the known ones") {
  CHECK(parse_error("bestof:4") ==
        "parse_procedure: 'bestof:4': unknown procedure, must be one of standard, best_of:N, worst_of:N, order_statistic:M:N, "
        "top_of:M:N, best_of_random:N=P,N=P,…, best_of_poisson:MEAN");
  for (const char* text : {"", ":", " best_of:4", "Best_of:4", "best_of :4", "best-of:4", "4", "best_of_random"})
    CHECK(parse_error(text).find(std::string("parse_procedure: '") + text + "': ") == 0);
}

TEST_CASE("what is wrong in a procedure is said") {
  CHECK(parse_error("best_of") == "parse_procedure: 'best_of': N is missing; the syntax is best_of:N");
  CHECK(parse_error("best_of:") == "parse_procedure: 'best_of:': N is '', must be a whole number; the syntax is best_of:N");
  for (const char* n : {"4x", "4.5", " 4", "4 ", "+4", "1e2", "0x4", "99999999999999999999", "4\n"})
    CHECK(parse_error(std::string("best_of:") + n) == std::string("parse_procedure: 'best_of:") + n + "': N is '" + n +
                                                          "', must be a whole number; the syntax is best_of:N");
  CHECK(parse_error("best_of:0") ==
        "parse_procedure: 'best_of:0': best_of: N is 0, must be at least 1; the syntax is best_of:N");
  CHECK(parse_error("best_of:4:5") == "parse_procedure: 'best_of:4:5': ':5' is too much; the syntax is best_of:N");
  CHECK(parse_error("standard:") == "parse_procedure: 'standard:': ':' is too much; the syntax is standard");
  CHECK(parse_error("top_of:3") == "parse_procedure: 'top_of:3': N is missing; the syntax is top_of:M:N");
  CHECK(parse_error("order_statistic:4:3").find("order_statistic: rank is 4, must be in 1 … 3") != std::string::npos);
  for (const char* mean : {"nan", "inf", "-inf", "1e999", "", "1,5", "0x1p3"})
    CHECK(parse_error(std::string("best_of_poisson:") + mean)
              .find("MEAN is '" + std::string(mean) + "', must be a finite number") != std::string::npos);
  CHECK(parse_error("best_of_poisson:-1").find("best_of_poisson: mean is -1") != std::string::npos);
}

TEST_CASE("what is wrong in a list of numbers and probabilities is said") {
  const auto says = [](const char* list, const char* what) {
    return parse_error(std::string("best_of_random:") + list).find(what) != std::string::npos;
  };
  CHECK(says("", "'' must be of the form N=P"));
  CHECK(says("2", "'2' must be of the form N=P"));
  CHECK(says("2=0.5,", "'' must be of the form N=P"));
  CHECK(says("2=0.5;8=0.5", "P is '0.5;8=0.5', must be a finite number"));
  CHECK(says("2=0.5,8=0.25", "sum of probabilities is 0.75"));
  CHECK(says("2=nan", "P is 'nan'"));
  CHECK(says("2.0=1", "N is '2.0'"));
  CHECK(says("0=1", "distribution[0].n is 0"));
}
