// SPDX-License-Identifier: Apache-2.0
#include "infalign/transform/apply.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "support/configurations.hpp"
#include "support/samples.hpp"

using infalign::apply;
using infalign::index_t;
using namespace infalign::test;

TEST_CASE_TEMPLATE("apply is the transform of every value, in registers and tails, also in place", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const index_t n : sizes_around_registers()) {
    const auto u = unit_values<T>(n, 1);
    typename C::template array<T> in(u), out(n + 1, T(-9));
    apply(on, infalign::exponential(4), in.span(), infalign::span<T, typename C::backend::memory_space>(out.span().data(), n));
    apply(on, infalign::exponential(4), in.span(), in.span());
    const auto result = out.host();
    for (std::size_t i = 0; i < u.size(); ++i)
      CHECK(static_cast<double>(result[i]) == doctest::Approx(std::exp(4 * static_cast<double>(u[i])))
                                                  .epsilon(16 * static_cast<double>(std::numeric_limits<T>::epsilon())));
    CHECK(result.back() == T(-9));
    CHECK(same_bits(in.host(), std::vector<T>(result.begin(), result.end() - 1)));
  }
}

TEST_CASE_TEMPLATE("apply refuses what is no calibrated reward, and then writes nothing", C, INFALIGN_CONFIGURATIONS) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  for (const T bad : {T(-0.5), T(1.5), std::numeric_limits<T>::quiet_NaN()}) {
    typename C::template array<T> in(std::vector<T>{0, 1, 0.5, bad, 2}), out(5, T(-9));
    const auto message = message_of<infalign::domain_error>([&] { apply(on, infalign::identity(), in.span(), out.span()); });
    CHECK(message.starts_with("apply: in[3] is "));
    CHECK(out.host() == std::vector<T>(5, T(-9)));
    typename C::backend trusting = on.unchecked();
    CHECK_NOTHROW(apply(trusting, infalign::identity(), in.span(), out.span()));
  }
  typename C::template array<T> in(5, T(0)), out(4, T(0));
  CHECK(message_of<infalign::shape_error>([&] { apply(on, infalign::identity(), in.span(), out.span()); }) ==
        "apply: out has 4 values, but in has 5");
}
