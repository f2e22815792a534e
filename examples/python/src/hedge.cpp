// SPDX-License-Identifier: Apache-2.0
#include <infalign/evaluation/expected_transform.hpp>
#include <infalign/evaluation/hedge.hpp>
#include <infalign/evaluation/transform_estimators.hpp>

#include <string_view>

#include "views.hpp"

namespace infalign_python::baseline {

void proxy_curve(const ia::executor& run, const proxy_request& request) {
  const ia::rows<double> out = as_rows<double>().out(request.out);
  const as_ragged<double> view;
  with_backend(run, [&](ia::simd& on) {
    if (request.of_win_rates) return ia::proxy_win_rate_curve(on, view(request.proxy), view(request.truth), out);
    ia::proxy_reward_curve(on, view(request.proxy), view(request.truth), out);
  });
}

void soft_best_of_curve(const ia::executor& run, const proxy_request& request) {
  const as_ragged<double> view;
  with_backend(run, [&](ia::simd& on) {
    ia::soft_best_of_curve(on, view(request.proxy), view(request.truth), request.samples,
                           ia::span<const double>(request.lambdas, request.out.columns), as_rows<double>().out(request.out));
  });
}

void best_of_poisson_curve(const ia::executor& run, const groups& curve, const double* means, const groups& out) {
  with_backend(run, [&](ia::simd& on) {
    ia::best_of_poisson_curve(on, as_rows<double>()(curve), ia::span<const double>(means, out.columns),
                              as_rows<double>().out(out));
  });
}

void corrected_transform(const ia::executor& run, const corrected_request& request) {
  const as_ragged<double> view;
  const auto estimate = [&](const auto& estimator) {
    with_backend(run, [&](ia::simd& on) {
      if (request.errors == nullptr)
        return ia::corrected_transform(on, view(request.references), view(request.rewards), estimator, view.out(request.out));
      ia::corrected_transform(on, view(request.references), view(request.rewards), estimator, view.out(request.out),
                              view.out(*request.errors));
    });
  };
  const std::string_view method = request.method;
  if (request.transform == nullptr)
    return estimate(ia::unbiased_polynomial(ia::span<const double>(request.coefficients, request.terms)));
  if (method == "jackknife") return estimate(ia::jackknife_corrected{*request.transform});
  if (method == "series") return estimate(ia::series_corrected{*request.transform});
  ia::expects<ia::domain_error>(method == "unbiased", "corrected_transform", "method is '", method,
                                "', must be unbiased, jackknife or series");
  request.transform->visit([&]<class Phi>(const Phi& phi) {
    if constexpr (std::same_as<Phi, ia::exponential>) return estimate(ia::unbiased_exponential(phi.t));
    if constexpr (std::same_as<Phi, ia::identity>) {
      const double line[] = {0, 1};
      return estimate(ia::unbiased_polynomial(ia::span<const double>(line, 2)));
    }
    ia::expects<ia::domain_error>(false, "corrected_transform", "transform is ", phi.name(),
                                  ", of which no unbiased estimate is known: take jackknife, or coefficients of a polynomial");
  });
}

}  // namespace infalign_python::baseline
