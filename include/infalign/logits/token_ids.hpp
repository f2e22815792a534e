// SPDX-License-Identifier: Apache-2.0
/// \file
/// What a trainer says of each token in arrays of its own types: ids of 32 or 64 bits, weights of `float` or `double`. The type of the
/// elements is known at run time alone, so that kernels are compiled once.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include "infalign/backend/validate.hpp"
#include "infalign/core/config.hpp"
#include "infalign/core/views.hpp"

namespace infalign {

namespace detail {
template <class Range>
using span_over = decltype(span(std::declval<const Range&>()));
/// What a span in memory `Space` can be made of.
template <class Range, class Space>
concept values_in = std::same_as<typename span_over<Range>::memory_space, Space>;
}  // namespace detail

/// The ids of sampled tokens: a view of integers of 32 bits, or of 64 as PyTorch has them. Tokens with one id, by custom -100, can be
/// left out: `token_ids(ids).ignoring(-100)`. Such a token's logits are not read, its statistics are 0, and its row of the gradient
/// is 0.
template <class Space = host_memory>
class token_ids {
 public:
  using memory_space = Space;

  constexpr token_ids() = default;
  template <std::signed_integral Id>
    requires(sizeof(Id) == 4 || sizeof(Id) == 8)
  constexpr token_ids(const Id* ids, index_t size) : ids_(ids), size_(size), wide_(sizeof(Id) == 8) {}
  /// From a span, or on the host from any contiguous range.
  template <class Ids>
    requires(!std::same_as<Ids, token_ids> && detail::values_in<Ids, Space>)
  constexpr token_ids(const Ids& ids) : token_ids(span(ids).data(), span(ids).size()) {}

  [[nodiscard]] constexpr token_ids ignoring(index_t id) const {
    token_ids same = *this;
    same.ignored_ = id;
    same.ignores_ = true;
    return same;
  }

  /// Those of tokens `begin … begin + n`.
  [[nodiscard]] token_ids part(index_t begin, index_t n) const {
    token_ids some = *this;
    some.ids_ = static_cast<const char*>(ids_) + begin * (wide_ ? 8 : 4);
    some.size_ = n;
    return some;
  }

  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return size_; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return size_ == 0; }
  INFALIGN_HD index_t operator[](index_t t) const {
    return wide_ ? static_cast<index_t>(static_cast<const std::int64_t*>(ids_)[t]) : static_cast<const std::int32_t*>(ids_)[t];
  }
  /// Whether token `t` is left out.
  [[nodiscard]] INFALIGN_HD bool ignores(index_t t) const { return ignores_ && (*this)[t] == ignored_; }
  /// The id of the tokens that are left out, or `otherwise` if there is none.
  [[nodiscard]] INFALIGN_HD constexpr index_t ignored_or(index_t otherwise) const { return ignores_ ? ignored_ : otherwise; }
  /// `f(span)` with the ids as they are.
  template <class F>
  decltype(auto) visit(F&& f) const {
    if (wide_) return f(span<const std::int64_t, Space>(static_cast<const std::int64_t*>(ids_), size_));
    return f(span<const std::int32_t, Space>(static_cast<const std::int32_t*>(ids_), size_));
  }

 private:
  const void* ids_ = nullptr;
  index_t size_ = 0;
  index_t ignored_ = 0;
  bool wide_ = false;
  bool ignores_ = false;
};

/// A weight for each token, of `float` or `double`; the default weighs every token 1.
template <class Space = host_memory>
class token_weights {
 public:
  using memory_space = Space;

  constexpr token_weights() = default;
  template <std::floating_point W>
    requires(sizeof(W) <= 8)
  constexpr token_weights(const W* weights, index_t size) : weights_(weights), size_(size), wide_(sizeof(W) == 8) {}
  /// From a span, or on the host from any contiguous range.
  template <class Weights>
    requires(!std::same_as<Weights, token_weights> && detail::values_in<Weights, Space>)
  constexpr token_weights(const Weights& weights) : token_weights(span(weights).data(), span(weights).size()) {}

  /// Those of tokens `begin … begin + n`.
  [[nodiscard]] token_weights part(index_t begin, index_t n) const {
    if (weights_ == nullptr) return *this;
    token_weights some = *this;
    some.weights_ = static_cast<const char*>(weights_) + begin * (wide_ ? 8 : 4);
    some.size_ = n;
    return some;
  }

  [[nodiscard]] INFALIGN_HD constexpr index_t size() const { return size_; }
  [[nodiscard]] INFALIGN_HD constexpr bool empty() const { return size_ == 0; }
  INFALIGN_HD double operator[](index_t t) const {
    if (weights_ == nullptr) return 1;
    return wide_ ? static_cast<const double*>(weights_)[t] : static_cast<double>(static_cast<const float*>(weights_)[t]);
  }
  /// `f(span)` with the weights as they are.
  template <class F>
  decltype(auto) visit(F&& f) const {
    if (wide_) return f(span<const double, Space>(static_cast<const double*>(weights_), size_));
    return f(span<const float, Space>(static_cast<const float*>(weights_), size_));
  }

 private:
  const void* weights_ = nullptr;
  index_t size_ = 0;
  bool wide_ = false;
};

namespace detail {

/// Neither in `[lowest, highest]` nor `allowed`.
template <class T>
struct is_no_id {
  const T* values;
  T lowest;
  T highest;
  T allowed;
  template <class At>
  INFALIGN_HD auto operator()(At at) const {
    const auto v = at.load(values);
    using V = std::remove_cv_t<decltype(v)>;
    return !(((v >= V(lowest)) & (v <= V(highest))) | (v == V(allowed)));
  }
};

/// Every id that is not left out lies in `[lowest, highest]`. Otherwise an error names position and value.
template <class B, class Space>
void expects_ids(B& on, std::string_view function, std::string_view name, const token_ids<Space>& ids, index_t lowest,
                 index_t highest) {
  ids.visit([&]<class Id>(const span<const Id, Space>& values) {
    if (!on.checks_values()) return;
    // An id to leave out that 32 bits do not hold is none of these.
    const index_t ignored = ids.ignored_or(lowest);
    const Id allowed =
        static_cast<index_t>(static_cast<Id>(ignored)) == ignored ? static_cast<Id>(ignored) : static_cast<Id>(lowest);
    const index_t bad = on.template first<Id>(
        values.size(), is_no_id<Id>{values.data(), static_cast<Id>(lowest), static_cast<Id>(highest), allowed});
    if (bad < values.size())
      raise<domain_error>(function, name, "[", bad, "] is ", static_cast<index_t>(on.read(values.data() + bad)),
                          ", must be in [", lowest, ", ", highest, "]");
  });
}

}  // namespace detail

}  // namespace infalign
