// SPDX-License-Identifier: Apache-2.0
/// \file
/// Plans, optimal transforms and how far a proxy may be optimised, for Python.
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <infalign/serving/any_served_procedure.hpp>
#include <infalign/theory.hpp>

#include "arrays.hpp"
#include "modules.hpp"
#include "names.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

ia::matchup matchup_of(nb::handle procedure, nb::handle base_procedure) {
  return {served_procedure_of(procedure), served_procedure_of(base_procedure.is_none() ? procedure : base_procedure)};
}

const char* text_of(ia::optimality proof) {
  switch (proof) {
    case ia::optimality::proved_global: return "proved global";
    case ia::optimality::best_stationary_point: return "best stationary point";
    case ia::optimality::within_bound: return "within a bound";
  }
  return "";
}

nb::tuple row_of(const ia::plan_row& row) {
  nb::object reached = nb::none();
  if (row.reached) {
    const ia::tradeoff_point& p = *row.reached;
    reached = nb::make_tuple(p.beta, p.kl, p.inference_win_rate, p.standard_win_rate);
  }
  return nb::make_tuple(row.transform, reached, row.largest_kl, row.price, row.price_is_bound, row.scaled_beta);
}

/// The table as nested tuples, of which the package makes its classes.
nb::tuple tuple_of(const ia::plan_table& table) {
  nb::list sections;
  for (const ia::plan_section& section : table.sections) {
    nb::list rows;
    for (const ia::plan_row& row : section.rows) rows.append(row_of(row));
    sections.append(nb::make_tuple(section.wanted, rows, section.bound, section.bound_proved, section.gain,
                                   std::string(text_of(section.proof))));
  }
  return nb::make_tuple(sections, table.recommended, table.price, table.price_is_bound, std::string(text_of(table.proof)));
}

nb::tuple plan(nb::handle procedure, nb::handle base_procedure, const std::vector<double>& kl, std::optional<double> beta,
               const std::optional<std::vector<ia::any_transform>>& transforms, double forgo) {
  const ia::matchup played = matchup_of(procedure, base_procedure);
  const std::vector<ia::any_transform> tried = transforms ? *transforms : ia::customary_transforms();
  const std::vector<ia::kl_budget> budgets(kl.begin(), kl.end());
  std::optional<ia::plan_table> table;
  {
    nb::gil_scoped_release released;
    table = beta ? ia::plan(played, ia::kl_weight(*beta), tried, forgo) : ia::plan(played, budgets, tried, forgo);
  }
  return tuple_of(*table);
}

ia::optimal_transform optimum(nb::handle procedure, nb::handle base_procedure, std::optional<double> kl,
                              std::optional<double> beta) {
  const ia::matchup played = matchup_of(procedure, base_procedure);
  nb::gil_scoped_release released;
  if (beta) return {played, ia::kl_weight(*beta)};
  const ia::budget_optimum best = ia::optimal_within(played, ia::kl_budget(*kl));
  if (!best.found) throw ia::optimum_not_found("optimal_transform: there is no solution for a KL of " + std::to_string(*kl));
  return *best.found;
}

/// A function of the quantile, of Python. It is called once for each quantile, as a search integrates over the same ones every time.
class true_reward {
 public:
  true_reward(std::string_view function, nb::handle of) : function_(function), of_(of) {
    if (PyCallable_Check(of.ptr()) == 0) raise_type_error(function, "true_reward must be a function of a number");
  }
  double operator()(double u) const {
    const auto [place, is_new] = seen_.try_emplace(u, 0.0);
    if (is_new) place->second = ask(u);
    return place->second;
  }

 private:
  [[nodiscard]] double ask(double u) const {
    const auto message = [&](const std::string& is, const char* must) {
      return "true_reward(" + std::string(nb::str(nb::float_(u)).c_str()) + ") is " + is + ", must be " + must;
    };
    const nb::object answer = of_(u);
    double value = 0;
    if (!nb::try_cast(answer, value)) raise_type_error(function_, message(nb::str(nb::repr(answer)).c_str(), "a number"));
    if (!std::isfinite(value)) raise_value_error(function_, message(nb::str(nb::float_(value)).c_str(), "finite"));
    return value;
  }

  std::string_view function_;
  nb::handle of_;
  mutable std::unordered_map<double, double> seen_;
};

nb::tuple as_tuple(const ia::hedged& found) {
  return nb::make_tuple(found.parameter, found.value, found.kl);
}

void define_hedge(nb::module_& m) {
  m.def(
      "hedge_best_of",
      [](nb::handle g, double most) { return as_tuple(ia::hedge_best_of(true_reward("hedge_best_of", g), most)); },
      nb::arg("true_reward"), nb::arg("most"));
  m.def(
      "hedge_best_of_poisson",
      [](nb::handle g, double most) {
        return as_tuple(ia::hedge_best_of_poisson(true_reward("hedge_best_of_poisson", g), most));
      },
      nb::arg("true_reward"), nb::arg("most"));
  m.def(
      "served_value",
      [](nb::handle g, nb::handle procedure) {
        return ia::served_value(true_reward("served_value", g), *procedure_argument("procedure", procedure));
      },
      nb::arg("true_reward"), nb::arg("procedure"));
  m.def(
      "procedure_kl", [](nb::handle procedure) { return ia::procedure_kl(*procedure_argument("procedure", procedure)); },
      nb::arg("procedure"));
}

}  // namespace

void define_theory(nb::module_& m) {
  m.def("plan", plan, nb::arg("procedure"), nb::arg("base_procedure").none(), nb::arg("kl"), nb::arg("beta").none(),
        nb::arg("transforms").none(), nb::arg("forgo"));
  nb::class_<ia::optimal_transform>(m, "OptimalTransform")
      .def_prop_ro("beta", &ia::optimal_transform::beta)
      .def_prop_ro("kl", &ia::optimal_transform::kl)
      .def_prop_ro("win_rate", [](const ia::optimal_transform& o) { return o.win_rate(); })
      .def_prop_ro("standard_win_rate", &ia::optimal_transform::standard_win_rate)
      .def_prop_ro("proof", [](const ia::optimal_transform& o) { return std::string(text_of(o.proof())); })
      .def(
          "__call__", [](const ia::optimal_transform& o, double u) { return o(u); }, nb::arg("u"))
      .def("density", &ia::optimal_transform::density, nb::arg("u"))
      .def("cdf", &ia::optimal_transform::cdf, nb::arg("u"))
      .def(
          "table", [](const ia::optimal_transform& o, double tolerance) { return ia::any_transform(o.table(tolerance)); },
          nb::arg("tolerance") = 1e-6);
  m.def("optimal_transform", optimum, nb::arg("procedure"), nb::arg("base_procedure").none(), nb::arg("kl").none(),
        nb::arg("beta").none());
  define_hedge(m);
}

}  // namespace infalign_python
