// SPDX-License-Identifier: Apache-2.0
/// \file
/// Curves over N, and scores from judgments of pairs, for Python. Their documentation is in the package.
#include <optional>
#include <string>

#include <infalign/evaluation/bradley_terry.hpp>

#include "arrays.hpp"
#include "modules.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

/// Whether `text` is the second of two words. Errors: `ValueError`.
bool is_second(std::string_view function, const char* what, std::string_view text, const char* first, const char* second) {
  if (text != first && text != second)
    raise_value_error(function, std::string(what) + " is '" + std::string(text) + "', must be " + first + " or " + second);
  return text == second;
}

void expects_columns(std::string_view function, index_t n) {
  if (n < 1) raise_value_error(function, "n is " + std::to_string(n) + ", must be at least 1");
}

nb::object expected_reward_curve(nb::handle rewards, index_t n, const char* served, nb::handle out, int threads) {
  constexpr std::string_view function = "expected_reward_curve";
  const bool worst = is_second(function, "served", served, "best", "worst");
  expects_columns(function, n);
  const groups_argument r(function, "rewards", rewards);
  groups_argument curve(function, "out");
  curve.take_or_create_rows(out, r.get().size, n);
  const curve_request request{r.get(), nullptr, curve.get(), worst, false};
  without_gil(function, threads, [&](const ia::executor& run) { chosen_kernels().curve(run, request); });
  return curve.result(r);
}

nb::object win_rate_curve(nb::handle policy, nb::handle base, index_t n, const char* served, const char* base_serves,
                          nb::handle out, int threads) {
  constexpr std::string_view function = "win_rate_curve";
  const bool worst = is_second(function, "served", served, "best", "worst");
  const bool one_sample = is_second(function, "base_serves", base_serves, "same", "one_sample");
  expects_columns(function, n);
  groups_argument y(function, "policy", policy), z(function, "base", base), curve(function, "out");
  z.expects_type_of(y);
  to_one_shape(y, z);
  curve.take_or_create_rows(out, y.get().size, n);
  const curve_request request{y.get(), &z.get(), curve.get(), worst, one_sample};
  without_gil(function, threads, [&](const ia::executor& run) { chosen_kernels().curve(run, request); });
  return curve.result(y);
}

ia::bradley_terry_fit fit_bradley_terry(index_t policies, nb::handle first, nb::handle second, nb::handle outcomes,
                                        nb::handle clusters, double prior) {
  constexpr std::string_view function = "rank";
  const vector_argument i(function, "first", first, 'q'), j(function, "second", second, 'q'),
      won(function, "outcomes", outcomes, 'd');
  std::optional<vector_argument> of;
  if (!clusters.is_none()) of.emplace(function, "clusters", clusters, 'q');
  const nb::gil_scoped_release released;
  return ia::fit_bradley_terry(policies, i.get<index_t>(), j.get<index_t>(), won.get<double>(),
                               of ? of->get<index_t>() : ia::span<const index_t>(), prior);
}

/// A member of the fit for one policy or two, with a look at their numbers.
template <class Result, class... Indices>
auto checked(Result (ia::bradley_terry_fit::*member)(Indices...) const) {
  return [member](const ia::bradley_terry_fit& fit, Indices... policies) {
    for (const index_t i : {policies...})
      if (i < 0 || i >= fit.policies()) throw nb::index_error("rank: there is no such policy");
    return (fit.*member)(policies...);
  };
}

}  // namespace

void define_curves(nb::module_& m) {
  m.def("expected_reward_curve", expected_reward_curve, nb::arg("rewards"), nb::arg("n"), nb::arg("served"),
        nb::arg("out").none(), nb::arg("threads"));
  m.def("win_rate_curve", win_rate_curve, nb::arg("policy"), nb::arg("base"), nb::arg("n"), nb::arg("served"),
        nb::arg("base_serves"), nb::arg("out").none(), nb::arg("threads"));
  nb::class_<ia::bradley_terry_fit>(m, "BradleyTerry")
      .def_prop_ro("policies", &ia::bradley_terry_fit::policies)
      .def("score", checked(&ia::bradley_terry_fit::score), nb::arg("i"))
      .def("difference", checked(&ia::bradley_terry_fit::difference), nb::arg("i"), nb::arg("j"))
      .def("elo", checked(&ia::bradley_terry_fit::elo), nb::arg("i"))
      .def("win_rate", checked(&ia::bradley_terry_fit::win_rate), nb::arg("i"), nb::arg("j"));
  m.def("fit_bradley_terry", fit_bradley_terry, nb::arg("policies"), nb::arg("first"), nb::arg("second"), nb::arg("outcomes"),
        nb::arg("clusters").none(), nb::arg("prior"));
}

}  // namespace infalign_python
