// SPDX-License-Identifier: Apache-2.0
/// \file
/// A procedure that is chosen while the program runs, those included that no distortion describes.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "infalign/core/names.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "infalign/serving/rewind_and_repeat.hpp"
#include "infalign/serving/soft_best_of.hpp"

namespace infalign {

namespace detail {
/// Those that select by rewards and not by ranks alone, so that they have no distortion.
using reward_procedure_list = type_list<soft_best_of, rewind_and_repeat>;

template <class... First, class... Then>
type_list<First..., Then...> joined(type_list<First...>, type_list<Then...>);
using served_procedure_list = decltype(joined(procedure_list(), reward_procedure_list()));
}  // namespace detail

/// Any procedure of `any_procedure`, or `soft_best_of`, or `rewind_and_repeat`. What works on samples takes an `any_procedure`; the
/// theory takes these too, with the calibrated reward as what they select by: `matchup(parse_served_procedure("soft_best_of:4:0.1"))`.
class any_served_procedure {
 public:
  using alternatives = std::variant<any_procedure, soft_best_of, rewind_and_repeat>;

  template <class Procedure>
    requires(!std::same_as<Procedure, any_served_procedure> && std::constructible_from<alternatives, Procedure>)
  any_served_procedure(Procedure procedure) : held_(std::move(procedure)) {}

  /// `f(procedure)` with an `any_procedure`, a `soft_best_of` or a `rewind_and_repeat`.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), held_);
  }
  /// Reads back by `parse_served_procedure`.
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return visit([](const auto& procedure) { return procedure.name(); });
  }

 private:
  alternatives held_;
};

/// The syntax of every name that `parse_served_procedure` reads: those of `procedure_names()`, and two more.
[[nodiscard]] constexpr auto served_procedure_names() {
  return detail::name_entries(detail::served_procedure_list());
}

/// The procedure that `text` names, all of it, as by `parse_procedure`: `soft_best_of:4:0.1` has N = 4 and λ = 0.1,
/// `rewind_and_repeat:0.8:4` a threshold of 0.8 and at most 4 attempts, of which the last is served if none passes; with `:best` behind
/// it, the best. Errors: those of `parse_procedure`.
[[nodiscard]] INFALIGN_KEYED inline any_served_procedure parse_served_procedure(std::string_view text) {
  static constexpr auto table = detail::name_table<any_served_procedure>(detail::served_procedure_list());
  return detail::parse_name<any_served_procedure>("parse_served_procedure", "procedure", text, table);
}

}  // namespace infalign
