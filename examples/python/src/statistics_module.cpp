// SPDX-License-Identifier: Apache-2.0
/// \file
/// Estimates, summaries and off-policy evaluation for Python.
#include <cmath>
#include <optional>
#include <vector>

#include <nanobind/stl/string_view.h>

#include <infalign/statistics/bootstrap.hpp>
#include <infalign/statistics/clustered_mean.hpp>
#include <infalign/statistics/sign_flip.hpp>
#include <infalign/statistics/summary.hpp>

#include "arrays.hpp"
#include "modules.hpp"
#include "names.hpp"
#include "states.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

ia::summary summary_of(std::string_view function, const vector_argument& values) {
  ia::summary all;
  const auto x = values.get<double>();
  for (index_t i = 0; i < x.size(); ++i) {
    if (!(x[i] - x[i] == 0))
      raise_value_error(function, "values[" + std::to_string(i) + "] is " + std::to_string(x[i]) + ", must be finite");
    all.add(x[i]);
  }
  return all;
}

ia::estimate summarize(nb::handle values, nb::handle clusters, double lowest, double highest) {
  const vector_argument x("summarize", "values", values, 'd');
  const ia::quantity_range range{lowest, highest};
  if (!clusters.is_none())
    return ia::clustered_mean(x.get<double>(), vector_argument("summarize", "clusters", clusters, 'q').get<index_t>(), range);
  if (x.size() == 0) raise_value_error("summarize", "values is empty");
  return ia::estimate_of(summary_of("summarize", x), range);
}

double sign_flip(nb::handle differences, nb::handle clusters, std::uint64_t seed) {
  const vector_argument d("compare", "differences", differences, 'd');
  if (clusters.is_none()) return ia::sign_flip_p_value(d.get<double>(), seed);
  const vector_argument of("compare", "clusters", clusters, 'q');
  const std::vector<double> sums = ia::cluster_sums(d.get<double>(), of.get<index_t>());
  return ia::sign_flip_p_value(sums, seed);
}

nb::tuple as_tuple(const ia::bootstrap_estimate& e) {
  return nb::make_tuple(e.value, e.standard_error, e.bias, as_pair(e.interval), e.units);
}

nb::tuple bootstrap(nb::handle values, nb::handle statistic, nb::handle clusters, index_t resamples, std::uint64_t seed,
                    double level, bool percentile, int threads) {
  constexpr std::string_view function = "bootstrap";
  ia::bootstrap_options options{.resamples = resamples, .seed = seed, .level = level};
  if (percentile) options.interval = ia::bootstrap_interval::percentile;
  if (!statistic.is_none()) {
    const groups_argument columns(function, "values", values);
    const groups& c = columns.get();
    if (c.offsets != nullptr || c.type != scalar::float64)
      raise_type_error(function, "values must be an array of float64, a row for each mean");
    return as_tuple(ia::bootstrap(ia::rows<const double>(static_cast<const double*>(c.data), c.size, c.columns, c.stride),
                                  statistic_argument{statistic, c.size}, options));
  }
  const vector_argument x(function, "values", values, 'd');
  std::optional<vector_argument> of;
  if (!clusters.is_none()) of.emplace(function, "clusters", clusters, 'q');
  if (x.size() == 0) raise_value_error(function, "values is empty");
  ia::bootstrap_estimate found;
  without_gil(function, threads, [&](const ia::executor& run) {
    options.run = run;
    found = ia::bootstrap_mean(x.get<double>(), of ? of->get<index_t>() : ia::span<const index_t>(), options);
  });
  return as_tuple(found);
}

nb::object evaluate(nb::handle rewards, nb::handle transform, double beta, nb::handle procedure, nb::handle base_procedure,
                    bool prompts, int threads) {
  constexpr std::string_view function = "evaluate";
  std::optional<transform_argument> phi;
  if (!transform.is_none()) phi.emplace("transform", transform);
  const procedure_argument of_policy("procedure", procedure),
      of_base("procedure", base_procedure.is_none() ? procedure : base_procedure);
  const groups_argument r(function, "rewards", rewards);
  off_policy_request request{r.get(), phi ? phi->get() : nullptr, beta, of_policy.get(), of_base.get(), {}};
  nb::list columns;
  for (double*& data : request.prompts) {
    if (!prompts) continue;
    const column made = new_column(r.get().size);
    data = static_cast<double*>(made.data);
    columns.append(made.array);
  }
  ia::off_policy_evaluation result;
  without_gil(function, threads, [&](const ia::executor& run) { result = baseline::evaluate_off_policy(run, request); });
  return nb::make_tuple(result, columns);
}

nb::tuple tilted_win_rate(nb::handle rewards, double beta, nb::handle procedure, nb::handle base_procedure, int threads) {
  constexpr std::string_view function = "tilted_win_rate";
  const procedure_argument of_policy("procedure", procedure),
      of_base("procedure", base_procedure.is_none() ? procedure : base_procedure);
  const groups_argument r(function, "rewards", rewards);
  const column_argument wins(function, nb::none(), r.get().size), kl(function, nb::none(), r.get().size);
  const off_policy_request request{r.get(), nullptr, beta, of_policy.get(), of_base.get(), {kl.data(), nullptr, wins.data()}};
  without_gil(function, threads, [&](const ia::executor& run) { baseline::tilted_win_rate(run, request); });
  return nb::make_tuple(wins.result(rewards), kl.result(rewards));
}

}  // namespace

void define_statistics(nb::module_& m) {
  nb::class_<ia::estimate>(m, "Estimate")
      .def(
          "__init__",
          [](ia::estimate* self, double value, double standard_error, index_t count, double lowest, double highest) {
            constexpr const char* function = "Estimate";
            ia::expects<ia::domain_error>(count >= 0, function, "count is ", count, ", must not be negative");
            ia::expects<ia::domain_error>(!(standard_error < 0), function, "standard_error is ", standard_error,
                                          ", must not be negative");
            const ia::quantity_range range = range_of(function, lowest, highest);
            new (self) ia::estimate{value, standard_error, count, range.lowest, range.highest};
          },
          nb::arg("value"), nb::arg("standard_error"), nb::arg("count"), nb::arg("lowest") = -ia::infinity<double>,
          nb::arg("highest") = ia::infinity<double>)
      .def_ro("value", &ia::estimate::value)
      .def_ro("standard_error", &ia::estimate::standard_error)
      .def_ro("count", &ia::estimate::count)
      .def_ro("lowest", &ia::estimate::lowest)
      .def_ro("highest", &ia::estimate::highest)
      .def(
          "interval", [](const ia::estimate& e, double level) { return as_pair(e.interval(level)); }, nb::arg("level") = 0.95);
  nb::class_<ia::summary> summary(m, "Summary");
  summary.def(nb::init<>())
      .def(
          "__init__",
          [](ia::summary* self, index_t count, double mean, double m2) {
            ia::expects<ia::domain_error>(count >= 0, "Summary", "count is ", count, ", must not be negative");
            ia::expects<ia::domain_error>(!(m2 < 0), "Summary", "m2 is ", m2, ", must not be negative");
            new (self) ia::summary{count, mean, m2};
          },
          nb::arg("count"), nb::arg("mean"), nb::arg("m2"))
      .def_ro("count", &ia::summary::count)
      .def_ro("mean", &ia::summary::mean)
      .def_ro("m2", &ia::summary::m2)
      .def(
          "add",
          [](ia::summary& s, double x) {
            ia::expects<ia::domain_error>(std::isfinite(x), "Summary.add", "x is ", x, ", must be finite");
            s.add(x);
          },
          nb::arg("x"))
      .def(
          "estimate",
          [](const ia::summary& s, double lowest, double highest) {
            return ia::estimate_of(s, range_of("Summary.estimate", lowest, highest));
          },
          nb::arg("lowest") = -ia::infinity<double>, nb::arg("highest") = ia::infinity<double>);
  define_state_members(summary);
  m.def("summary_of",
        [](nb::handle values) { return summary_of("Summary", vector_argument("Summary", "values", values, 'd')); });
  m.def("summarize", summarize, nb::arg("values"), nb::arg("clusters").none(), nb::arg("lowest"), nb::arg("highest"));
  m.def("bootstrap", bootstrap, nb::arg("values"), nb::arg("statistic").none(), nb::arg("clusters").none(),
        nb::arg("resamples"), nb::arg("seed"), nb::arg("level"), nb::arg("percentile"), nb::arg("threads"));
  m.def("sign_flip_p_value", sign_flip, nb::arg("differences"), nb::arg("clusters").none(), nb::arg("seed"));

  nb::class_<ia::off_policy_value>(m, "OffPolicyValue")
      .def_ro("corrected", &ia::off_policy_value::corrected)
      .def_ro("plug_in", &ia::off_policy_value::plug_in)
      .def_prop_ro("value", [](const ia::off_policy_value& v) { return v.corrected.value; })
      .def_prop_ro("bias", &ia::off_policy_value::bias)
      .def(
          "interval", [](const ia::off_policy_value& v, double level) { return as_pair(v.interval(level)); },
          nb::arg("level") = 0.95);
  nb::class_<ia::off_policy_evaluation>(m, "OffPolicyEvaluation")
      .def_ro("kl", &ia::off_policy_evaluation::kl)
      .def_ro("standard_win_rate", &ia::off_policy_evaluation::standard_win_rate)
      .def_ro("inference_win_rate", &ia::off_policy_evaluation::inference_win_rate)
      .def_ro("effective_samples", &ia::off_policy_evaluation::effective_samples)
      .def_ro("thin_prompts", &ia::off_policy_evaluation::thin_prompts)
      .def_prop_ro("reliable", &ia::off_policy_evaluation::reliable)
      .def_prop_ro("doubt", &ia::off_policy_evaluation::doubt);
  m.def("evaluate", evaluate, nb::arg("rewards"), nb::arg("transform").none(), nb::arg("beta"), nb::arg("procedure"),
        nb::arg("base_procedure").none(), nb::arg("prompts"), nb::arg("threads"));
  m.def("tilted_win_rate", tilted_win_rate, nb::arg("rewards"), nb::arg("beta"), nb::arg("procedure"),
        nb::arg("base_procedure").none(), nb::arg("threads"));
}

}  // namespace infalign_python
