// SPDX-License-Identifier: Apache-2.0
/// \file
/// An inference-time procedure that is chosen while the program runs. Names of procedures are read here.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "infalign/core/names.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/procedure/procedures.hpp"

namespace infalign {

namespace detail {
template <class... Procedures>
std::variant<Procedures...> procedure_variant(type_list<Procedures...>);
}  // namespace detail

/// Any procedure of the table, as a value. It is a procedure itself and has the values of the one that it holds. It works wherever a
/// procedure does on host memory. In a loop, it is faster to visit it once and to work with the type:
///
/// \code
/// const infalign::any_procedure chosen = infalign::parse_procedure("best_of:4");
/// chosen.visit([&](const auto& procedure) { infalign::procedure_win_rate(on, policy, base, procedure, out); });
/// \endcode
class any_procedure {
 public:
  using alternatives = decltype(detail::procedure_variant(detail::procedure_list()));

  template <class Procedure>
    requires(!std::same_as<Procedure, any_procedure> &&
             std::constructible_from<alternatives, std::in_place_type_t<Procedure>, Procedure>)
  any_procedure(Procedure procedure) : held_(std::in_place_type<Procedure>, std::move(procedure)) {}

  /// `f(procedure)` with the procedure in its own type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), held_);
  }

  [[nodiscard]] INFALIGN_KEYED double distortion(double q) const {
    return visit([q](const auto& procedure) { return procedure.distortion(q); });
  }
  [[nodiscard]] INFALIGN_KEYED double density(double q) const {
    return visit([q](const auto& procedure) { return procedure.density(q); });
  }
  /// The unbiased share where the procedure has one, else the plug-in `G(count/samples)`.
  [[nodiscard]] INFALIGN_KEYED double from_count(index_t count, index_t samples) const {
    return visit([=](const auto& procedure) { return detail::served_share(procedure, count, samples); });
  }
  [[nodiscard]] INFALIGN_KEYED index_t samples_needed() const {
    return visit([](const auto& procedure) { return detail::samples_needed(procedure); });
  }
  [[nodiscard]] INFALIGN_KEYED double steepest_fall() const {
    return visit([](const auto& procedure) { return procedure.steepest_fall(); });
  }
  [[nodiscard]] long density_cost() const {
    return visit([]<class Held>(const Held& procedure) -> long {
      if constexpr (requires { procedure.density_cost(); })
        return procedure.density_cost();
      else
        return 1;
    });
  }
  /// Reads back by `parse_procedure`.
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    return visit([](const auto& procedure) { return procedure.name(); });
  }

 private:
  alternatives held_;
};

/// The syntax of every name that `parse_procedure` reads, with an example and a line of explanation each.
[[nodiscard]] constexpr auto procedure_names() {
  return detail::name_entries(detail::procedure_list());
}

/// The procedure that `text` names, all of it, for example `best_of:4`; `procedure_names()` lists what there is. The inverse of
/// `name()`, in any locale. Errors: `domain_error` with the text and what is wrong in it. For an unknown name it lists the known ones.
[[nodiscard]] INFALIGN_KEYED inline any_procedure parse_procedure(std::string_view text) {
  static constexpr auto table = detail::name_table<any_procedure>(detail::procedure_list());
  return detail::parse_name<any_procedure>("parse_procedure", "procedure", text, table);
}

}  // namespace infalign
