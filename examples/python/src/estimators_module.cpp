// SPDX-License-Identifier: Apache-2.0
/// \file
/// Votes, extrapolated success rates, KL of samples, win rates at equal lengths, and what a proxy is worth, for Python. Their documentation
/// is in the package.
#include <algorithm>
#include <optional>
#include <vector>

#include <infalign/evaluation/answers.hpp>
#include <infalign/evaluation/best_of_kl.hpp>
#include <infalign/evaluation/extrapolate.hpp>
#include <infalign/evaluation/length_controlled.hpp>
#include <infalign/evaluation/sequence_kl.hpp>

#include "modules.hpp"
#include "names.hpp"
#include "states.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

/// One-dimensional input of doubles or whole numbers, or nothing where it is None.
template <class T>
class optional_vector {
 public:
  optional_vector(std::string_view function, std::string_view name, nb::handle given, char format) {
    if (!given.is_none()) held_.emplace(function, name, given, format);
  }
  [[nodiscard]] ia::span<const T> get() const { return held_ ? held_->template get<T>() : ia::span<const T>(); }

 private:
  std::optional<vector_argument> held_;
};

ia::beta_rates fit_beta_rates(nb::handle samples, nb::handle successes) {
  constexpr std::string_view function = "fit_beta_rates";
  const vector_argument n(function, "samples", samples, 'q'), c(function, "successes", successes, 'q');
  const nb::gil_scoped_release released;
  return ia::fit_beta_rates(n.get<index_t>(), c.get<index_t>());
}

nb::tuple length_controlled(nb::handle preferences, nb::handle lengths, nb::handle difficulties, nb::handle clusters,
                            double ridge) {
  constexpr std::string_view function = "length_controlled";
  const vector_argument p(function, "preferences", preferences, 'd'), d(function, "length_differences", lengths, 'd');
  const optional_vector<double> hard(function, "difficulties", difficulties, 'd');
  const optional_vector<index_t> of(function, "clusters", clusters, 'q');
  const ia::length_controlled_fit fit =
      ia::fit_length_controlled(p.get<double>(), d.get<double>(), hard.get(), of.get(), ridge);
  return nb::make_tuple(fit.win_rate, fit.as_alpaca_eval, fit.of_policy, fit.of_length, fit.of_difficulty);
}

/// Groups of float64, one a response.
class responses_argument {
 public:
  responses_argument(std::string_view function, std::string_view name, nb::handle given) : held_(function, name) {
    if (given.is_none()) return;
    held_.read(given);
    if (held_.get().type != scalar::float64) raise_type_error(function, std::string(name) + " is float32, must be float64");
    held_.as_ragged();
  }
  [[nodiscard]] ia::ragged<const double> get() const {
    const groups& g = held_.get();
    return {{static_cast<const double*>(g.data), g.total}, {g.offsets, g.offsets == nullptr ? 0 : g.size + 1}};
  }

 private:
  groups_argument held_;
};

nb::tuple sequence_kl(nb::handle log_probs, nb::handle base, nb::handle token_kls, nb::handle clusters) {
  constexpr std::string_view function = "sequence_kl";
  const responses_argument own(function, "log_probs", log_probs), other(function, "base_log_probs", base),
      exact(function, "token_kls", token_kls);
  const optional_vector<index_t> of(function, "clusters", clusters, 'q');
  const ia::sequence_kl_estimates found = ia::sequence_kl(own.get(), other.get(), exact.get(), of.get());
  return nb::make_tuple(found.k1, found.k2, found.k3, found.rao_blackwell);
}

/// Ragged groups as double, which every float is exactly: what works on them is compiled once.
class widened {
 public:
  explicit widened(groups_argument& from) {
    from.as_ragged();
    groups_ = from.get();
    if (groups_.type == scalar::float64) return;
    values_.assign(static_cast<const float*>(groups_.data), static_cast<const float*>(groups_.data) + groups_.total);
    groups_.data = values_.data();
    groups_.type = scalar::float64;
  }
  [[nodiscard]] const groups& get() const { return groups_; }
  /// Rounds what was written back into an argument of float.
  void narrow(const groups_argument& to) const {
    if (to.get().type == scalar::float32) std::copy(values_.begin(), values_.end(), static_cast<float*>(to.get().data));
  }

 private:
  groups groups_;
  std::vector<double> values_;
};

nb::object proxy_curve(nb::handle proxy, nb::handle truth, index_t n, bool of_win_rates, int threads) {
  const std::string_view function = of_win_rates ? "proxy_win_rate_curve" : "proxy_reward_curve";
  if (n < 1) raise_value_error(function, "n is " + std::to_string(n) + ", must be at least 1");
  groups_argument v(function, "proxy_rewards", proxy), t(function, "true_rewards", truth), out(function, "out");
  t.expects_type_of(v);
  const widened own(v), of_truth(t);
  out.take_or_create_rows(nb::none(), v.get().size, n);
  without_gil(function, threads, [&](const ia::executor& run) {
    baseline::proxy_curve(run, {own.get(), of_truth.get(), out.get(), of_win_rates, 0, nullptr});
  });
  return out.result(v);
}

nb::object soft_best_of_curve(nb::handle proxy, nb::handle truth, index_t samples, nb::handle lambdas, int threads) {
  constexpr std::string_view function = "soft_best_of_curve";
  const vector_argument l(function, "lambdas", lambdas, 'd');
  groups_argument v(function, "proxy_rewards", proxy), t(function, "true_rewards", truth), out(function, "out");
  t.expects_type_of(v);
  const widened own(v), of_truth(t);
  out.take_or_create_rows(nb::none(), v.get().size, l.size());
  without_gil(function, threads, [&](const ia::executor& run) {
    baseline::soft_best_of_curve(run, {own.get(), of_truth.get(), out.get(), false, samples, l.get<double>().data()});
  });
  return out.result(v);
}

nb::object best_of_poisson_curve(nb::handle curve, nb::handle means, int threads) {
  constexpr std::string_view function = "best_of_poisson_curve";
  const vector_argument m(function, "means", means, 'd');
  groups_argument c(function, "curve", curve), out(function, "out");
  if (c.get().offsets != nullptr || c.get().type != scalar::float64)
    raise_type_error(function, "curve must be an array of float64, a row for each prompt");
  out.take_or_create_rows(nb::none(), c.get().size, m.size());
  without_gil(function, threads, [&](const ia::executor& run) {
    baseline::best_of_poisson_curve(run, c.get(), m.get<double>().data(), out.get());
  });
  return out.result(c);
}

nb::object corrected_transform(nb::handle references, nb::handle rewards, nb::handle transform, nb::handle coefficients,
                               const char* method, bool with_errors, int threads) {
  constexpr std::string_view function = "corrected_transform";
  std::optional<transform_argument> phi;
  if (!transform.is_none()) phi.emplace("transform", transform);
  const optional_vector<double> polynomial(function, "coefficients", coefficients, 'd');
  groups_argument z(function, "references", references), y(function, "rewards", rewards), out(function, "out"),
      errors(function, "errors");
  z.expects_type_of(y);
  out.create(y);
  errors.create(y);
  const widened of_references(z), of_rewards(y), found(out), of_errors(errors);
  const corrected_request request{of_references.get(),
                                  of_rewards.get(),
                                  found.get(),
                                  with_errors ? &of_errors.get() : nullptr,
                                  phi ? phi->get() : nullptr,
                                  polynomial.get().data(),
                                  polynomial.get().size(),
                                  method};
  without_gil(function, threads, [&](const ia::executor& run) { baseline::corrected_transform(run, request); });
  found.narrow(out);
  of_errors.narrow(errors);
  if (!with_errors) return out.result(y);
  return nb::make_tuple(out.result(y), errors.result(y));
}

}  // namespace

void define_estimators(nb::module_& m) {
  m.def("majority_at_k", [](nb::handle counts, index_t correct, index_t k) {
    return ia::majority_at_k(vector_argument("majority_at_k", "counts", counts, 'q').get<index_t>(), correct, k);
  });
  m.def("consensus_at_k", ia::consensus_at_k);
  m.def("best_of_kl_bound", ia::best_of_kl_bound);
  m.def("best_of_kl_estimate", ia::best_of_kl_estimate);
  m.def("best_of_kl", [](index_t n, nb::handle probabilities, nb::handle rewards) {
    const vector_argument p("best_of_kl", "probabilities", probabilities, 'd'), r("best_of_kl", "rewards", rewards, 'd');
    return ia::best_of_kl(n, p.get<double>(), r.get<double>());
  });
  nb::class_<ia::extrapolated_rate>(m, "ExtrapolatedRate")
      .def_ro("value", &ia::extrapolated_rate::value)
      .def_ro("log_odds_error", &ia::extrapolated_rate::log_odds_error)
      .def_ro("model_error", &ia::extrapolated_rate::model_error)
      .def_ro("count", &ia::extrapolated_rate::count)
      .def(
          "interval", [](const ia::extrapolated_rate& e, double level) { return as_pair(e.interval(level)); },
          nb::arg("level") = 0.95);
  nb::class_<ia::beta_rates>(m, "BetaRates")
      .def_ro("alpha", &ia::beta_rates::alpha)
      .def_ro("beta", &ia::beta_rates::beta)
      .def_ro("count", &ia::beta_rates::count)
      .def("pass_at", &ia::beta_rates::pass_at, nb::arg("n"));
  m.def("fit_beta_rates", fit_beta_rates);
  m.def("extrapolate_power_law", [](const ia::mean_covariance& curve, nb::handle attempts, double target) {
    const vector_argument n("extrapolate_power_law", "attempts", attempts, 'd');
    return ia::extrapolate_power_law(curve, n.get<double>(), target);
  });
  m.def("length_controlled", length_controlled, nb::arg("preferences"), nb::arg("length_differences"),
        nb::arg("difficulties").none(), nb::arg("clusters").none(), nb::arg("ridge"));
  m.def("sequence_kl", sequence_kl, nb::arg("log_probs"), nb::arg("base_log_probs"), nb::arg("token_kls").none(),
        nb::arg("clusters").none());
  m.def("proxy_curve", proxy_curve);
  m.def("soft_best_of_curve", soft_best_of_curve);
  m.def("best_of_poisson_curve", best_of_poisson_curve);
  m.def("corrected_transform", corrected_transform, nb::arg("references"), nb::arg("rewards"), nb::arg("transform").none(),
        nb::arg("coefficients").none(), nb::arg("method"), nb::arg("with_errors"), nb::arg("threads"));
}

}  // namespace infalign_python
