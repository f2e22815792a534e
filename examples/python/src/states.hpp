// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the states of the library have in common in Python: they merge, have a byte form, and are pickled by it.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <nanobind/stl/pair.h>

#include <infalign/statistics/bytes.hpp>

#include "arrays.hpp"

namespace infalign_python {

inline std::pair<double, double> as_pair(const infalign::confidence_interval& interval) {
  return {interval.low, interval.high};
}

/// Errors: `domain_error` where the range is empty.
inline infalign::quantity_range range_of(const char* function, double lowest, double highest) {
  infalign::expects<infalign::domain_error>(lowest <= highest, function, "lowest is ", lowest, ", must not be above highest, ",
                                            highest);
  return {lowest, highest};
}

template <class State>
void define_state_members(nb::class_<State>& of) {
  of.def("merge", &State::merge, nb::arg("other"))
      .def("to_bytes",
           [](const State& s) {
             const std::vector<std::byte> state = infalign::to_bytes(s);
             return nb::bytes(state.data(), state.size());
           })
      .def_static(
          "from_bytes",
          [](const nb::bytes& state) {
            const auto* const data = static_cast<const std::byte*>(state.data());
            return infalign::from_bytes<State>({data, static_cast<index_t>(state.size())});
          },
          nb::arg("state"));
}

/// A function of Python's that maps the means of `n` values to a number. It is called from this thread, under the GIL.
struct statistic_argument {
  nb::handle function;
  index_t n;
  double operator()(const double* means) const;
};

}  // namespace infalign_python
