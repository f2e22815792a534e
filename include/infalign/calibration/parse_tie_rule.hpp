// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "infalign/calibration/tie_rule.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

namespace detail {
inline constexpr named_syntax<tie_rule> tie_rule_names[] = {
    {"mid_rank", [](parameter_reader&) { return tie_rule::mid_rank(); }},
    {"below", [](parameter_reader&) { return tie_rule::below(); }},
    {"at_or_below", [](parameter_reader&) { return tie_rule::at_or_below(); }},
    {"randomized:SEED",
     [](parameter_reader& in) {
       const index_t seed = in.whole("SEED");
       if (seed < 0) in.fail("SEED is ", seed, ", must not be negative");
       return tie_rule::randomized(static_cast<std::uint64_t>(seed));
     }},
};
}  // namespace detail

/// The tie rule that `text` names, all of it: `mid_rank`, `below`, `at_or_below`, `randomized:SEED`.
/// Errors: `domain_error` with the text and what is wrong in it; for an unknown name it lists the known ones.
[[nodiscard]] inline tie_rule parse_tie_rule(std::string_view text) {
  return detail::parse_name<tie_rule>("parse_tie_rule", "tie rule", text, detail::tie_rule_names);
}

}  // namespace infalign
