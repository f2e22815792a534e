// SPDX-License-Identifier: Apache-2.0
/// \file
/// An inference-time procedure chosen while the program runs, and the one place where names of procedures are read.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "infalign/core/name_syntax.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/best_of_random.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/procedure.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/top_of.hpp"
#include "infalign/procedure/worst_of.hpp"

namespace infalign {

/// Any procedure of the library, as a value. It is a procedure itself, with the values of the one that it holds, and works
/// wherever a procedure does on host memory; what is evaluated in a loop is faster with the type known:
///
/// \code
/// const infalign::any_procedure chosen = infalign::parse_procedure("best_of:4");
/// chosen.visit([&](const auto& procedure) { infalign::procedure_win_rate(on, policy, base, procedure, out); });
/// \endcode
class any_procedure {
 public:
  using alternatives = std::variant<standard, best_of, worst_of, order_statistic, top_of, best_of_random, best_of_poisson>;

  template <class Procedure>
    requires(!std::same_as<Procedure, any_procedure> &&
             std::constructible_from<alternatives, std::in_place_type_t<Procedure>, Procedure>)
  any_procedure(Procedure procedure) : held_(std::in_place_type<Procedure>, std::move(procedure)) {}

  /// `f(procedure)` with the procedure in its own type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), held_);
  }

  [[nodiscard]] double distortion(double q) const {
    return visit([q](const auto& procedure) { return procedure.distortion(q); });
  }
  [[nodiscard]] double density(double q) const {
    return visit([q](const auto& procedure) { return procedure.density(q); });
  }
  /// The unbiased share where the procedure has one, else the plug-in `G(count/samples)`.
  [[nodiscard]] double from_count(index_t count, index_t samples) const {
    return visit([=](const auto& procedure) { return detail::served_share(procedure, count, samples); });
  }
  [[nodiscard]] index_t samples_needed() const {
    return visit([](const auto& procedure) { return detail::samples_needed(procedure); });
  }
  [[nodiscard]] double steepest_fall() const {
    return visit([](const auto& procedure) { return procedure.steepest_fall(); });
  }
  /// Reads back by `parse_procedure`.
  [[nodiscard]] std::string name() const {
    return visit([](const auto& procedure) { return procedure.name(); });
  }

 private:
  alternatives held_;
};

namespace detail {

/// The outcomes `n=p,n=p,…` of `best_of_random`.
inline any_procedure read_best_of_random(parameter_reader& in) {
  std::vector<best_of_random::outcome> outcomes;
  std::string_view list = in.rest("the list of N=P");
  for (bool more = true; more;) {
    const std::string_view item = list.substr(0, list.find(','));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) in.fail("'", item, "' must be of the form N=P");
    outcomes.push_back({in.number<index_t>("N", item.substr(0, equals)), in.number<double>("P", item.substr(equals + 1))});
    more = item.size() < list.size();
    list.remove_prefix(more ? item.size() + 1 : item.size());
  }
  return best_of_random(std::move(outcomes));
}

inline constexpr named_syntax<any_procedure> procedure_names[] = {
    {"standard", [](parameter_reader&) -> any_procedure { return standard{}; }},
    {"best_of:N", [](parameter_reader& in) -> any_procedure { return best_of(in.whole("N")); }},
    {"worst_of:N", [](parameter_reader& in) -> any_procedure { return worst_of(in.whole("N")); }},
    {"order_statistic:M:N",
     [](parameter_reader& in) -> any_procedure {
       const index_t rank = in.whole("M");
       return order_statistic(rank, in.whole("N"));
     }},
    {"top_of:M:N",
     [](parameter_reader& in) -> any_procedure {
       const index_t top = in.whole("M");
       return top_of(top, in.whole("N"));
     }},
    {"best_of_random:N=P,N=P,…", read_best_of_random},
    {"best_of_poisson:MEAN", [](parameter_reader& in) -> any_procedure { return best_of_poisson(in.real("MEAN")); }},
};

}  // namespace detail

/// The procedure that `text` names, all of it: `standard`, `best_of:N`, `worst_of:N`, `order_statistic:M:N` (rank M of N, the
/// worst being 1), `top_of:M:N`, `best_of_random:2=0.5,8=0.5`, `best_of_poisson:MEAN`. The inverse of `name()`, in any locale.
/// Errors: `domain_error` with the text and what is wrong in it; for an unknown name it lists the known ones.
[[nodiscard]] inline any_procedure parse_procedure(std::string_view text) {
  return detail::parse_name<any_procedure>("parse_procedure", "procedure", text, detail::procedure_names);
}

}  // namespace infalign
