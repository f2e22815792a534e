// SPDX-License-Identifier: Apache-2.0
#include <infalign/calibration/calibrate.hpp>
#include <infalign/transform/apply.hpp>

#include "views.hpp"

namespace infalign_python::INFALIGN_PYTHON_ISA {

namespace {

/// The transform over what was calibrated, which lies in [0, 1]. A pass of its own, so that calibration is not compiled anew for every
/// transform; the numbers are those of `calibrate_transform`.
template <class T>
void apply_to(ia::simd& on, const ia::any_transform& transform, const groups& out) {
  auto trusting = on.unchecked();
  transform.visit([&](const auto& phi) {
    const auto whole = [&](index_t first, index_t n) {
      const ia::span<T> values(static_cast<T*>(out.data) + first, n);
      ia::apply(trusting, phi, ia::span<const T>(values), values);
    };
    if (out.offsets != nullptr || out.stride == out.columns || out.size <= 1) return whole(0, out.total);
    for (index_t g = 0; g < out.size; ++g) whole(g * out.stride, out.columns);
  });
}

}  // namespace

void calibrate(const ia::executor& run, const calibration_request& request) {
  with_backend(run, [&](ia::simd& on) {
    const ia::calibration_options options{.ties = request.ties};
    with_view(request.rewards, [&]<class T>(T, auto view) {
      if (request.leave_one_out)
        ia::calibrate_leave_one_out(on, view(request.rewards), view.out(request.out), options);
      else if (request.weights != nullptr)
        ia::calibrate_weighted(on, view(request.references), view(*request.weights), view(request.rewards),
                               view.out(request.out), options);
      else
        ia::calibrate(on, view(request.references), view(request.rewards), view.out(request.out), options);
    });
    if (request.transform != nullptr)
      with_type(request.out.type, [&]<class T>(T) { apply_to<T>(on, *request.transform, request.out); });
  });
}

void apply(const ia::executor& run, const ia::any_transform& transform, scalar type, const void* in, void* out, index_t n) {
  with_backend(run, [&](ia::simd& on) {
    with_type(type, [&]<class T>(T) {
      transform.visit([&](const auto& phi) {
        ia::apply(on, phi, ia::span<const T>(static_cast<const T*>(in), n), ia::span<T>(static_cast<T*>(out), n));
      });
    });
  });
}

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
