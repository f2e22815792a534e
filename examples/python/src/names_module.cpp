// SPDX-License-Identifier: Apache-2.0
/// \file
/// Transforms and procedures as objects of Python.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "modules.hpp"
#include "names.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

/// What a pickle holds of a transform: its name, or the points of a table, in which all its values are.
nb::tuple state_of(const ia::any_transform& transform) {
  return transform.visit([](const auto& held) -> nb::tuple {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(held)>, ia::tabulated>) {
      const ia::tabulated_ref table = held.ref();
      const auto list = [&](const double* values) { return std::vector<double>(values, values + table.size); };
      return nb::make_tuple(list(table.u), list(table.value), list(table.slope));
    } else {
      return nb::make_tuple(held.name());
    }
  });
}

ia::tabulated table_of(std::vector<double> u, std::vector<double> values, const std::optional<std::vector<double>>& slopes) {
  if (!slopes) return {std::move(u), std::move(values)};
  const bool falls = std::adjacent_find(values.begin(), values.end(), std::greater()) != values.end();
  return falls ? ia::tabulated::hermite(std::move(u), std::move(values), *slopes)
               : ia::tabulated(std::move(u), std::move(values), *slopes);
}

/// Single numbers are checked as arrays are.
double in_unit(const char* function, const char* name, double x) {
  ia::expects<ia::domain_error>(x >= 0 && x <= 1, function, name, " is ", x, ", must be in [0, 1]");
  return x;
}

template <class Names>
nb::list help_of(const Names& names) {
  nb::list lines;
  for (const ia::name_entry& entry : names)
    lines.append(nb::make_tuple(std::string(entry.syntax), std::string(entry.example), std::string(entry.summary)));
  return lines;
}

}  // namespace

void define_names(nb::module_& m) {
  nb::class_<ia::any_transform>(m, "Transform")
      .def_prop_ro("name", &ia::any_transform::name)
      .def(
          "value", [](const ia::any_transform& t, double u) { return t(in_unit("Transform.value", "u", u)); }, nb::arg("u"))
      .def(
          "derivative",
          [](const ia::any_transform& t, double u) { return t.derivative(in_unit("Transform.derivative", "u", u)); },
          nb::arg("u"))
      .def("kinks", &ia::any_transform::kinks)
      .def("_state", state_of);
  m.def(
      "parse_transform", [](const std::string& name) { return ia::parse_transform(name); }, nb::arg("name"));
  m.def(
      "tabulated",
      [](std::vector<double> u, std::vector<double> values, const std::optional<std::vector<double>>& slopes) {
        return ia::any_transform(table_of(std::move(u), std::move(values), slopes));
      },
      nb::arg("u"), nb::arg("values"), nb::arg("slopes").none());
  m.def("transform_names", [] { return help_of(ia::transform_names()); });

  nb::class_<ia::any_procedure>(m, "Procedure")
      .def_prop_ro("name", &ia::any_procedure::name)
      .def_prop_ro("samples_needed", &ia::any_procedure::samples_needed)
      .def(
          "distortion",
          [](const ia::any_procedure& p, double q) { return p.distortion(in_unit("Procedure.distortion", "q", q)); },
          nb::arg("q"))
      .def(
          "density", [](const ia::any_procedure& p, double q) { return p.density(in_unit("Procedure.density", "q", q)); },
          nb::arg("q"));
  m.def(
      "parse_procedure", [](const std::string& name) { return ia::parse_procedure(name); }, nb::arg("name"));
  m.def("procedure_names", [] { return help_of(ia::procedure_names()); });
}

}  // namespace infalign_python
