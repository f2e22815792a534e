// SPDX-License-Identifier: Apache-2.0
#include "infalign/core/error.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/samples.hpp"

using infalign::test::message_of;

static_assert(std::is_base_of_v<std::runtime_error, infalign::error>);
static_assert(std::is_base_of_v<infalign::error, infalign::shape_error>);
static_assert(std::is_base_of_v<infalign::error, infalign::domain_error>);
static_assert(!std::is_base_of_v<infalign::shape_error, infalign::domain_error>);

TEST_CASE("a message is the function and its parts") {
  CHECK(message_of<infalign::shape_error>([] { infalign::raise<infalign::shape_error>("f", "x has ", 3, " values"); }) ==
        "f: x has 3 values");
  CHECK(message_of<infalign::domain_error>([] { infalign::expects<infalign::domain_error>(false, "g", "bad"); }) == "g: bad");
  CHECK_NOTHROW(infalign::expects<infalign::domain_error>(true, "g", "bad"));
}

TEST_CASE("floating values in a message read back exactly") {
  for (const double value : {0.1, 1.0 / 3, 1e-300, 123456789.123456789}) {
    const std::string text =
        message_of<infalign::domain_error>([&] { infalign::raise<infalign::domain_error>("f", value); }).substr(3);
    CHECK(std::stod(text) == value);
  }
}
