// SPDX-License-Identifier: Apache-2.0
#include <infalign/calibration/calibrator.hpp>

#include "views.hpp"

namespace infalign_python::baseline {

void sort(const ia::executor& run, const groups& values, void* out) {
  with_backend(run, [&](ia::simd& on) {
    with_view(values, [&]<class T>(T, auto view) {
      ia::detail::expects_groups(on, "Calibrator", "references", view(values));
      ia::detail::expects_group_sizes(on, "Calibrator", "references", view(values), 1,
                                      "a prompt needs at least one reference reward");
      ia::detail::expects_finite(on, "Calibrator", "references", view(values));
      on.sort(view(values), static_cast<T*>(out));
    });
  });
}

void look_up(const lookup_request& request) {
  with_type(request.values.type, [&]<class T>(T) {
    const ia::ragged<const T> sorted = as_ragged<T>()(request.sorted);
    const ia::calibrator_ref<ia::ragged<const T>> fitted{sorted};
    const auto look = [&](const auto& values, const auto& out) {
      ia::detail::expects_same_count("Calibrator", "values", values, "references", sorted);
      for (index_t g = 0; request.quantile && g < values.size(); ++g)
        for (index_t i = 0; i < values[g].size(); ++i)
          ia::expects<ia::domain_error>(values[g][i] >= 0 && values[g][i] <= 1, "Calibrator.quantile", "u[", g, "][", i,
                                        "] is ", values[g][i], ", must be in [0, 1]");
      for (index_t g = 0; g < values.size(); ++g) {
        const auto cdf = fitted[g];
        for (index_t i = 0; i < values[g].size(); ++i)
          out[g][i] = request.quantile
                          ? cdf.quantile(values[g][i])
                          : ia::detail::stored_share<T>(cdf.calibrated(values[g][i], request.ties, values.offset(g) + i));
      }
    };
    if (request.values.offsets == nullptr)
      look(as_rows<T>()(request.values), as_rows<T>().out(request.out));
    else
      look(as_ragged<T>()(request.values), as_ragged<T>().out(request.out));
  });
}

}  // namespace infalign_python::baseline
