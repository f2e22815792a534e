// SPDX-License-Identifier: Apache-2.0
/// \file
/// From the plain data of `kernels.hpp` to views and a backend, in the sources that are compiled for each instruction set. All of it
/// lies in a namespace with the name of that set.
#pragma once

#include <infalign/backend/simd.hpp>
#include <infalign/core/views.hpp>

#include "kernels.hpp"

namespace infalign_python::INFALIGN_PYTHON_ISA {

namespace ia = infalign;

void calibrate(const ia::executor& run, const calibration_request& request);
void apply(const ia::executor& run, const ia::any_transform& transform, scalar type, const void* in, void* out, index_t n);
void win_rate(const ia::executor& run, const win_rate_request& request);
void expected_reward(const ia::executor& run, const groups& rewards, const ia::any_procedure& procedure, double* out);
void curve(const ia::executor& run, const curve_request& request);
double policy_loss(const ia::executor& run, const policy_loss_request& request);
void read_shard(const ia::executor& run, const policy_loss_request& request, bool entropy, ia::row_state* states);
void shard_gradient(const ia::executor& run, const policy_loss_request& request, const ia::row_statistics* statistics,
                    const ia::row_coefficients* coefficients);

/// The backend of this thread. It keeps its scratch memory between calls.
inline ia::simd& serial_backend() {
  static thread_local ia::simd on;
  return on;
}
/// `f(on)` with a backend that runs by `run`, or on this thread where that is empty.
template <class F>
decltype(auto) with_backend(const ia::executor& run, const F& f) {
  if (!run) return f(serial_backend());
  ia::simd on(run);
  return f(on);
}

/// `f(T())` with the type of the values.
template <class F>
decltype(auto) with_type(scalar type, const F& f) {
  return type == scalar::float32 ? f(float()) : f(double());
}

template <class T>
struct as_rows {
  ia::rows<const T> operator()(const groups& g) const { return {static_cast<const T*>(g.data), g.size, g.columns, g.stride}; }
  ia::rows<T> out(const groups& g) const { return {static_cast<T*>(g.data), g.size, g.columns, g.stride}; }
};
template <class T>
struct as_ragged {
  ia::ragged<const T> operator()(const groups& g) const {
    return {{static_cast<const T*>(g.data), g.total}, {g.offsets, g.offsets == nullptr ? 0 : g.size + 1}};
  }
  ia::ragged<T> out(const groups& g) const {
    return {{static_cast<T*>(g.data), g.total}, {g.offsets, g.offsets == nullptr ? 0 : g.size + 1}};
  }
};

/// `f(T(), view)`, where `view(groups)` makes rows or ragged of `T`, as `like` is. All groups of a call have one shape.
template <class F>
decltype(auto) with_view(const groups& like, const F& f) {
  return with_type(like.type, [&]<class T>(T) {
    if (like.offsets == nullptr) return f(T(), as_rows<T>());
    return f(T(), as_ragged<T>());
  });
}

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
