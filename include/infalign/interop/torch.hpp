// SPDX-License-Identifier: Apache-2.0
/// \file
/// LibTorch tensors as views, without a copy; PyTorch's threads as an executor; its errors. For tensors on the CPU.
///
/// \code
/// void loss(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages, const at::Tensor& gradient) {
///   infalign::torch_errors([&] {
///     infalign::with_element_type(logits, [&]<class T>(std::type_identity<T>) {
///       infalign::simd on(infalign::torch_threads{});
///       policy_gradient(on, infalign::reinforce{},
///                       infalign::token_logits<T>{infalign::as_token_rows<const T>(logits), {}, infalign::as_token_ids(tokens)},
///                       infalign::as_token_span<const float>(advantages), {}, infalign::token_statistics<float>{},
///                       infalign::as_token_rows<T>(gradient));
///     });
///   });
/// }
/// \endcode
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "infalign/backend/executor.hpp"
#include "infalign/core/storage.hpp"
#include "infalign/interop/detail/strided_tensor.hpp"
#include "infalign/logits/token_ids.hpp"

namespace infalign {

namespace detail {

template <class T>
constexpr c10::ScalarType torch_type_of() {
  if constexpr (std::same_as<T, bfloat16>)
    return c10::ScalarType::BFloat16;
  else if constexpr (std::same_as<T, half>)
    return c10::ScalarType::Half;
  else
    return c10::CppTypeToScalarType<T>::value;
}

template <class T>
strided_tensor strided_tensor_of(std::string_view function, const at::Tensor& t, int fewest, int most) {
  using value = std::remove_const_t<T>;
  expects<domain_error>(t.defined(), function, "the tensor is undefined");
  expects<domain_error>(t.device().is_cpu() && t.layout() == at::kStrided, function, "the tensor lies on ", t.device().str(),
                        t.layout() == at::kStrided ? "" : " and is not strided", ", must be a strided tensor on cpu");
  expects<domain_error>(t.scalar_type() == torch_type_of<value>(), function, "the tensor has type ",
                        c10::toString(t.scalar_type()), ", must be ", c10::toString(torch_type_of<value>()));
  expects<domain_error>(!t.is_neg() && !t.is_conj(), function, "the tensor is a lazy negative or conjugate, resolve it first");
  void* const data = std::is_const_v<T> ? const_cast<void*>(t.const_data_ptr()) : t.mutable_data_ptr();
  return strided_tensor_of(
      function, data, t.dim(), fewest, most, [&](int d) { return t.size(d); }, [&](int d) { return t.stride(d); });
}

/// Values of tokens: `[T]`, or `[B, L]` without gaps.
template <class T>
span<T> torch_token_span(std::string_view function, const at::Tensor& t) {
  const strided_tensor tensor = strided_tensor_of<T>(function, t, 1, 2);
  expects<shape_error>(t.is_contiguous(), function, "the tensor is not contiguous");
  return {static_cast<T*>(tensor.data), t.numel()};
}

}  // namespace detail

/// A tensor of one dimension, of type `T` or `const T`: `float`, `double`, `bfloat16`, `half`, or an integer. Nothing is converted.
/// Writing through a view does not tell autograd.
/// Errors: `domain_error` (type; a tensor that is not on the CPU, strided and materialised), `shape_error` (dimensions; values that do
/// not lie next to each other).
template <class T>
span<T> as_span(const at::Tensor& values) {
  return detail::span_of<T, host_memory>(detail::strided_tensor_of<T>("as_span", values, 1, 1));
}

/// The rows of a matrix as groups, at any distance: one prompt a row. Errors: as `as_span`, and rows that overlap (`expand`).
template <class T>
rows<T> as_rows(const at::Tensor& matrix) {
  return detail::rows_of<T, host_memory>("as_rows", detail::strided_tensor_of<T>("as_rows", matrix, 2, 2));
}

/// The rows of a matrix or of a batch `[B, L, V]`, such as `logits.slice(1, prompt - 1, -1)`, for `token_logits` and its gradient:
/// row `b·L + t`. Errors: as `as_rows`.
template <class T>
any_rows<T> as_token_rows(const at::Tensor& batch) {
  return detail::any_rows_of<T, host_memory>("as_token_rows", detail::strided_tensor_of<T>("as_token_rows", batch, 2, 3));
}

/// One value a token, `[T]` or contiguous `[B, L]`, in the order of `as_token_rows`. Errors: as `as_span`.
template <class T>
span<T> as_token_span(const at::Tensor& values) {
  return detail::torch_token_span<T>("as_token_span", values);
}

/// Ids of tokens, `int64` or `int32`, `[T]` or contiguous `[B, L]`. Errors: as `as_span`.
inline token_ids<> as_token_ids(const at::Tensor& ids) {
  if (ids.defined() && ids.scalar_type() == c10::ScalarType::Int)
    return detail::torch_token_span<const std::int32_t>("as_token_ids", ids);
  return detail::torch_token_span<const std::int64_t>("as_token_ids", ids);
}

/// `use(std::type_identity<T>{})` with `T` the type of the elements: `float`, `double`, `bfloat16` or `half`. Errors: `domain_error`.
template <class Use>
decltype(auto) with_element_type(const at::Tensor& tensor, Use&& use) {
  switch (tensor.scalar_type()) {
    case c10::ScalarType::Float: return use(std::type_identity<float>{});
    case c10::ScalarType::Double: return use(std::type_identity<double>{});
    case c10::ScalarType::BFloat16: return use(std::type_identity<bfloat16>{});
    case c10::ScalarType::Half: return use(std::type_identity<half>{});
    default:
      raise<domain_error>("with_element_type", "the tensor has type ", c10::toString(tensor.scalar_type()),
                          ", must be Float, Double, BFloat16 or Half");
  }
}

/// An executor: `at::parallel_for` with as many threads as `at::set_num_threads` allows. It is serial in a source that is compiled without
/// OpenMP (`-fopenmp`), as everything that includes `ATen/Parallel.h` is.
struct torch_threads {
  void operator()(std::size_t tasks, task_ref task) const {
    at::parallel_for(0, static_cast<std::int64_t>(tasks), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) task(static_cast<std::size_t>(i));
    });
  }
};

/// `call()`, with the errors of this library as `c10::ValueError`, which is Python's `ValueError`.
template <class Call>
decltype(auto) torch_errors(Call&& call) {
  try {
    return call();
  } catch (const error& e) {
    TORCH_CHECK_VALUE(false, e.what());
  }
}

}  // namespace infalign
