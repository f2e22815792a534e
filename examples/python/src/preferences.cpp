// SPDX-License-Identifier: Apache-2.0
#include <infalign/evaluation/preference_win_rate.hpp>

#include "views.hpp"

namespace infalign_python::baseline {

void preference_win_rate(const ia::executor& run, const groups& preferences, double* out) {
  with_backend(run, [&](ia::simd& on) {
    with_view(preferences, [&](auto, auto view) {
      ia::preference_win_rate(on, view(preferences), ia::span<double>(out, preferences.size));
    });
  });
}

}  // namespace infalign_python::baseline
