// SPDX-License-Identifier: Apache-2.0
/// \file
/// States that merge, and means of more than one kind of prompt, for Python. Their documentation is in the package.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <nanobind/stl/vector.h>

#include <infalign/statistics/choose_on_curve.hpp>
#include <infalign/statistics/multiple_tests.hpp>
#include <infalign/statistics/stratified.hpp>
#include <infalign/theory/sampling_plan.hpp>

#include "modules.hpp"
#include "states.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

constexpr double everything = ia::infinity<double>;

/// The summary of every prompt's samples in turn.
template <class T>
void add_groups(ia::variance_split& to, const groups& g) {
  for (index_t p = 0; p < g.size; ++p) {
    const index_t first = g.offsets == nullptr ? p * g.stride : g.offsets[p];
    const index_t end = g.offsets == nullptr ? first + g.columns : g.offsets[p + 1];
    ia::summary samples;
    for (index_t i = first; i < end; ++i) {
      const double x = static_cast<const T*>(g.data)[i];
      if (!(x - x == 0))
        raise_value_error("VarianceSplit", "rewards[" + std::to_string(p) + "][" + std::to_string(i - first) + "] is " +
                                               std::to_string(x) + ", must be finite");
      samples.add(x);
    }
    to.add(samples);
  }
}

ia::variance_split split_of(nb::handle rewards) {
  const groups_argument r("VarianceSplit", "rewards", rewards);
  ia::variance_split all;
  r.get().type == scalar::float32 ? add_groups<float>(all, r.get()) : add_groups<double>(all, r.get());
  return all;
}

/// A row for each value of a unit, a column for each unit.
ia::mean_covariance covariance_of(nb::handle columns) {
  constexpr std::string_view function = "MeanCovariance";
  const groups_argument c(function, "columns", columns);
  const groups& g = c.get();
  if (g.offsets != nullptr || g.type != scalar::float64)
    raise_type_error(function, "columns must be an array of float64, a row for each value");
  ia::mean_covariance all(g.size);
  std::vector<double> unit(static_cast<std::size_t>(g.size));
  for (index_t u = 0; u < g.columns; ++u) {
    for (index_t i = 0; i < g.size; ++i)
      unit[static_cast<std::size_t>(i)] = static_cast<const double*>(g.data)[i * g.stride + u];
    all.add(unit);
  }
  return all;
}

void check_place(const ia::mean_covariance& of, index_t i) {
  if (i < 0 || i >= of.values()) throw nb::index_error("MeanCovariance: there is no such value");
}

template <class Sequence>
void define_sequence(nb::module_& m, const char* name) {
  nb::class_<Sequence> of(m, name);
  of.def(
        "__init__",
        [](Sequence* self, double level, double lowest, double highest) {
          new (self) Sequence(level, ia::quantity_range{lowest, highest});
        },
        nb::arg("level") = 0.95, nb::arg("lowest") = 0.0, nb::arg("highest") = 1.0)
      .def("add", &Sequence::add, nb::arg("value"))
      .def("extend",
           [](Sequence& s, nb::handle values) {
             const vector_argument x("extend", "values", values, 'd');
             Sequence longer = s;  // of a value that is refused, those before it are not added either
             for (const double value : x.get<double>()) longer.add(value);
             s = std::move(longer);
           })
      .def("interval", [](const Sequence& s) { return as_pair(s.interval()); })
      .def_prop_ro("count", &Sequence::count)
      .def_prop_ro("level", &Sequence::level);
  define_state_members(of);
}

ia::estimate jackknife(nb::handle values, nb::handle statistic, double lowest, double highest) {
  constexpr std::string_view function = "jackknife";
  groups_argument columns(function, "values", values);
  const groups& c = columns.get();
  if (c.offsets != nullptr || c.type != scalar::float64)
    raise_type_error(function, "values must be an array of float64, a row for each mean");
  return ia::jackknife(ia::rows<const double>(static_cast<const double*>(c.data), c.size, c.columns, c.stride),
                       statistic_argument{statistic, c.size}, ia::quantity_range{lowest, highest});
}

nb::tuple choose_on_curve(nb::handle curve, double level, double lowest, double highest, nb::handle clusters) {
  constexpr std::string_view function = "choose_on_curve";
  groups_argument rows(function, "curve", curve);
  const groups& c = rows.get();
  if (c.offsets != nullptr || c.type != scalar::float64)
    raise_type_error(function, "curve must be an array of float64, a row for each prompt");
  std::optional<vector_argument> of;
  if (!clusters.is_none()) of.emplace(function, "clusters", clusters, 'q');
  const ia::curve_choice found =
      ia::choose_on_curve(ia::rows<const double>(static_cast<const double*>(c.data), c.size, c.columns, c.stride), level,
                          ia::quantity_range{lowest, highest}, of ? of->get<index_t>() : ia::span<const index_t>());
  return nb::make_tuple(found.step, found.value, found.candidates, found.curve);
}

}  // namespace

double statistic_argument::operator()(const double* means) const {
  const column given = new_column(n);
  std::copy_n(means, n, static_cast<double*>(given.data));
  const nb::object found = function(given.array);
  const double value = PyFloat_AsDouble(found.ptr());
  if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return value;
}

void define_states(nb::module_& m) {
  nb::class_<ia::variance_split> split(m, "VarianceSplit");
  split.def(nb::init<>())
      .def("add", &ia::variance_split::add, nb::arg("samples"))
      .def_prop_ro("prompts", [](const ia::variance_split& s) { return s.means.count; })
      .def_prop_ro("within", &ia::variance_split::within)
      .def_prop_ro("of_sampling", &ia::variance_split::of_sampling)
      .def_prop_ro("between", &ia::variance_split::between)
      .def_prop_ro("sampling_share", &ia::variance_split::sampling_share)
      .def(
          "mean",
          [](const ia::variance_split& s, double lowest, double highest) {
            return s.mean(range_of("VarianceSplit.mean", lowest, highest));
          },
          nb::arg("lowest") = -everything, nb::arg("highest") = everything);
  define_state_members(split);
  m.def("variance_split_of", split_of);
  m.def("plan_sampling",
        [](double error, double between, double within, double prompt, double sample, index_t least, index_t most) {
          const ia::sampling_plan found = ia::plan_sampling(error, {between, within}, {prompt, sample}, {least, most});
          return nb::make_tuple(found.prompts, found.samples, found.cost);
        });

  nb::class_<ia::mean_covariance> covariance(m, "MeanCovariance");
  covariance.def(nb::init<index_t>(), nb::arg("values"))
      .def("add", [](ia::mean_covariance& s,
                     nb::handle unit) { s.add(vector_argument("MeanCovariance.add", "unit", unit, 'd').get<double>()); })
      .def_prop_ro("count", &ia::mean_covariance::count)
      .def_prop_ro("values", &ia::mean_covariance::values)
      .def(
          "mean",
          [](const ia::mean_covariance& s, index_t i) {
            check_place(s, i);
            return s.mean(i);
          },
          nb::arg("i"))
      .def(
          "covariance",
          [](const ia::mean_covariance& s, index_t i, index_t j) {
            check_place(s, i), check_place(s, j);
            return s.covariance(i, j);
          },
          nb::arg("i"), nb::arg("j"))
      .def(
          "combined",
          [](const ia::mean_covariance& s, nb::handle weights, double lowest, double highest) {
            constexpr const char* function = "MeanCovariance.combined";
            const vector_argument w(function, "weights", weights, 'd');
            for (index_t i = 0; i < w.size(); ++i)
              ia::expects<ia::domain_error>(std::isfinite(w.get<double>()[i]), function, "weights[", i, "] is ",
                                            w.get<double>()[i], ", must be finite");
            return s.combined(w.get<double>(), range_of(function, lowest, highest));
          },
          nb::arg("weights"), nb::arg("lowest") = -everything, nb::arg("highest") = everything)
      .def(
          "delta_method",
          [](const ia::mean_covariance& s, nb::handle statistic, double lowest, double highest) {
            return ia::delta_method(s, statistic_argument{statistic, s.values()},
                                    range_of("MeanCovariance.delta_method", lowest, highest));
          },
          nb::arg("statistic"), nb::arg("lowest") = -everything, nb::arg("highest") = everything);
  define_state_members(covariance);
  m.def("mean_covariance_of", covariance_of);
  m.def("jackknife", jackknife);
  m.def("choose_on_curve", choose_on_curve, nb::arg("curve"), nb::arg("level"), nb::arg("lowest"), nb::arg("highest"),
        nb::arg("clusters").none());

  define_sequence<ia::empirical_bernstein_sequence>(m, "EmpiricalBernstein");
  define_sequence<ia::betting_sequence>(m, "Betting");

  m.def("stratified_mean", [](const std::vector<ia::summary>& strata, nb::handle weights, double lowest, double highest) {
    return ia::stratified_mean(strata, vector_argument("stratified_mean", "weights", weights, 'd').get<double>(),
                               {lowest, highest});
  });
  m.def("holm_adjusted", [](nb::handle p_values) {
    return ia::holm_adjusted(vector_argument("holm_adjusted", "p_values", p_values, 'd').get<double>());
  });
}

}  // namespace infalign_python
