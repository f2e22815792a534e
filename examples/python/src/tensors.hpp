// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tensors of a framework, read by their addresses: nothing of the framework is compiled against.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <infalign/core/storage.hpp>

#include "arrays.hpp"

namespace infalign_python {

namespace ia = infalign;

/// The function that messages name unless a tensor says otherwise.
inline constexpr std::string_view policy_loss_name = "policy_loss";

enum class element : int { float32, float64, bfloat16, float16, int64, int32, boolean, none };

/// A tensor on the CPU, or none: where it lies and how, of its first dimensions.
struct tensor {
  static constexpr int most_dimensions = 4;

  std::string_view name;
  element type = element::none;
  char* data = nullptr;
  int dimensions = -1;  ///< -1: it is not given
  std::array<index_t, most_dimensions> sizes{};
  std::array<index_t, most_dimensions> strides{};
  std::string_view function = policy_loss_name;  ///< that messages name

  [[nodiscard]] bool given() const { return dimensions >= 0; }
  [[noreturn]] void refuse_type(const char* allowed) const {
    raise_type_error(function, std::string(name) + " must be of " + allowed);
  }
  [[nodiscard]] std::string shape() const {
    if (dimensions == 0) return "a single number";
    if (dimensions > most_dimensions) return "of " + std::to_string(dimensions) + " dimensions";
    std::string text;
    for (int i = 0; i < dimensions; ++i) text += (i == 0 ? "" : " x ") + std::to_string(sizes[static_cast<std::size_t>(i)]);
    return text;
  }
};

/// Values of every token, `responses` times `length`, in another type. A tensor with one value a response has it for all tokens.
template <class To>
void copy_tokens(const tensor& from, index_t responses, index_t length, std::vector<To>& out) {
  const index_t row = from.dimensions == 2 ? from.strides[0] : responses == 1 && from.sizes[0] == length ? 0 : from.strides[0];
  const index_t step = from.dimensions == 2 ? from.strides[1] : row == 0 ? from.strides[0] : 0;
  const auto copy = [&](auto zero) {
    using From = decltype(zero);
    const auto* const values = reinterpret_cast<const From*>(from.data);
    for (index_t b = 0; b < responses; ++b)
      for (index_t t = 0; t < length; ++t) {
        if constexpr (std::is_class_v<From>)
          out[static_cast<std::size_t>(b * length + t)] = static_cast<To>(static_cast<float>(values[b * row + t * step]));
        else
          out[static_cast<std::size_t>(b * length + t)] = static_cast<To>(values[b * row + t * step]);
      }
  };
  switch (from.type) {
    case element::float32: return copy(float());
    case element::float64: return copy(double());
    case element::bfloat16: return copy(ia::bfloat16());
    case element::float16: return copy(ia::half());
    case element::int64: return copy(std::int64_t());
    case element::int32: return copy(std::int32_t());
    case element::boolean: return copy(static_cast<unsigned char>(0));
    case element::none: from.refuse_type("numbers");
  }
}

/// The batch that a call works on, and its tensors in the library's types.
struct batch {
  index_t responses = 1;
  index_t length = 0;
  std::vector<index_t> tokens;
  std::vector<double> advantages, old_log_prob, base_log_prob, weights;

  /// `tokens` says how many responses and tokens there are: T ids, or B times L.
  explicit batch(const tensor& ids) {
    if (ids.dimensions != 1 && ids.dimensions != 2)
      raise_value_error(ids.function, "tokens is " + ids.shape() + ", must have one dimension or two");
    if (ids.type != element::int64 && ids.type != element::int32) ids.refuse_type("int64 or int32");
    responses = ids.dimensions == 2 ? ids.sizes[0] : 1;
    length = ids.sizes[ids.dimensions == 2 ? 1 : 0];
    tokens.resize(static_cast<std::size_t>(responses * length));
    copy_tokens(ids, responses, length, tokens);
    two_ = ids.dimensions == 2;
  }
  [[nodiscard]] std::size_t size() const { return tokens.size(); }

  /// One value a token.
  void read(const tensor& from, std::vector<double>& out) const {
    if (!from.given()) return;
    const bool fits = two_ ? from.dimensions == 2 && from.sizes[0] == responses && from.sizes[1] == length
                           : from.dimensions == 1 && from.sizes[0] == length;
    if (!fits) refuse(from, "one value a token");
    out.resize(size());
    copy_tokens(from, responses, length, out);
  }
  /// One value a token or a response; for losses of responses, one a response.
  void read_advantages(const tensor& from, bool of_responses) {
    const bool a_response = two_ && from.dimensions == 1 && from.sizes[0] == responses;
    const bool a_token = two_ ? from.dimensions == 2 && from.sizes[0] == responses && from.sizes[1] == length
                              : from.dimensions == 1 && from.sizes[0] == length;
    if (of_responses && !a_response) refuse(from, "one value a response, as the loss is that of responses");
    if (!a_response && !a_token) refuse(from, "one value a token or a response");
    advantages.resize(of_responses ? static_cast<std::size_t>(responses) : size());
    copy_tokens(from, responses, of_responses ? 1 : length, advantages);
  }

 private:
  [[noreturn]] void refuse(const tensor& from, const char* what) const {
    const std::string own = two_ ? std::to_string(responses) + " x " + std::to_string(length) : std::to_string(length);
    raise_value_error(policy_loss_name,
                      std::string(from.name) + " is " + from.shape() + ", but tokens is " + own + ": must be " + what);
  }
  bool two_ = false;
};

inline bool same_type(const tensor& a, const tensor& b) {
  return a.type == b.type;
}

/// Rows of logits of the batch.
inline logit_rows rows_of(const tensor& from, const batch& of, index_t columns) {
  if (!from.given()) return {};
  if (from.dimensions != 2 && from.dimensions != 3)
    raise_value_error(from.function, std::string(from.name) + " is " + from.shape() + ", must have two dimensions or three");
  const bool two = from.dimensions == 2;
  const std::size_t last = two ? 1 : 2;
  const bool fits = two ? of.responses == 1 && from.sizes[0] == of.length
                        : from.dimensions == 3 && from.sizes[0] == of.responses && from.sizes[1] == of.length;
  if (!fits || from.sizes[last] != columns)
    raise_value_error(from.function, std::string(from.name) + " is " + from.shape() + ", but there are " +
                                         std::to_string(of.responses) + " x " + std::to_string(of.length) + " tokens of " +
                                         std::to_string(columns) + " logits");
  if (columns > 1 && from.strides[last] != 1)
    raise_value_error(from.function, "the rows of " + std::string(from.name) + " are not contiguous");
  return {from.data, two ? of.length * from.strides[0] : from.strides[0], from.strides[last - 1]};
}

}  // namespace infalign_python
