// SPDX-License-Identifier: Apache-2.0
/// \file
/// A fitted calibrator: the reference rewards of every prompt, sorted once and queried many times.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>
#include <utility>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/detail/copy_formula.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/calibration/detail/tie_counts.hpp"
#include "infalign/calibration/tie_rule.hpp"
#include "infalign/core/bisect.hpp"
#include "infalign/core/math.hpp"

namespace infalign {

/// The calibration of one prompt: a view of its sorted reference rewards, small enough to be passed by value into a kernel.
template <class T>
class prompt_cdf {
 public:
  INFALIGN_HD prompt_cdf(const T* sorted, index_t references) : sorted_(sorted), references_(references) {}

  /// The calibrated reward of `x`: `(#{z < x} + ½·#{z = x}) / K`, for a scalar or a SIMD batch; NaN for NaN. O(log K) a lane.
  template <class V>
  INFALIGN_HD V cdf(V x) const {
    return lanewise(mid_rank{*this}, x);
  }

  /// The left-continuous inverse of the empirical CDF: the smallest reference `z` with `#{z' <= z} / K >= u`. The quotient is
  /// rounded to the type of `u`, so `quantile(k / K)` is the k-th smallest. `u <= 0` gives the smallest reference, `u >= 1` the
  /// largest, NaN gives NaN. For `float`, up to 2^24 references.
  template <class V>
  INFALIGN_HD V quantile(V u) const {
    return lanewise(inverse{*this}, u);
  }

  /// The calibrated reward of one `x` under any tie rule. It equals to the bit what `calibrate` gives a reward at `position` in
  /// reading order. Only `randomized` depends on `position`. O(log K). Errors: `domain_error` for NaN and infinities.
  [[nodiscard]] INFALIGN_KEYED double calibrated(T x, const tie_rule& ties, index_t position = 0) const {
    return ranked("prompt_cdf::calibrated", x, ties, position, 0);
  }

  /// The calibrated reward of an `x` that is one of the references, against the others: what `calibrate_leave_one_out` gives
  /// it. Errors: `domain_error` unless `x` equals a reference and there are at least two.
  [[nodiscard]] INFALIGN_KEYED double calibrated_leave_one_out(T x, const tie_rule& ties, index_t position = 0) const {
    constexpr const char* function = "prompt_cdf::calibrated_leave_one_out";
    expects<domain_error>(references_ >= 2, function, "there is ", references_,
                          " reference, leaving one out needs at least two");
    const double u = ranked(function, x, ties, position, 1);
    expects<domain_error>(std::binary_search(sorted_, sorted_ + references_, x), function, "x is ", x,
                          ", which is none of the references");
    return u;
  }

  [[nodiscard]] INFALIGN_HD index_t references() const { return references_; }

 private:
  [[nodiscard]] double ranked(const char* function, T x, const tie_rule& ties, index_t position, double self) const {
    if (!std::isfinite(x)) raise<domain_error>(function, "x is ", x, ", must be finite");
    const index_t below = count_below(x);
    const bool tied = below < references_ && sorted_[below] == x;
    const value_ranks ranks{below, tied ? count_sorted<true>(sorted_, references_, x) : below};
    return detail::with_tie_count(ties, [&](auto count) {
      double counts[decltype(count)::components];
      count.from_ranks(counts, ranks);
      return count.value(counts, static_cast<double>(references_), self, position);
    });
  }

  /// For few references a count is faster than bisection: compilers vectorise its loop, and no step depends on the one before.
  [[nodiscard]] INFALIGN_KEYED index_t count_below(T x) const {
    constexpr index_t few = 128;
    if (references_ > few) return count_sorted<false>(sorted_, references_, x);
    index_t below = 0;
    for (index_t i = 0; i < references_; ++i) below += sorted_[i] < x ? 1 : 0;
    return below;
  }

  struct mid_rank {
    const prompt_cdf& of;
    template <class X>
    INFALIGN_HD double operator()(X x) const {
      if (x != x) return static_cast<double>(x);
      const value_ranks ranks = ranks_among_sorted(of.sorted_, of.references_, x);
      const double u = static_cast<double>(ranks.below + ranks.at_or_below) / static_cast<double>(2 * of.references_);
      return static_cast<double>(detail::stored_share<X>(u));
    }
  };
  struct inverse {
    const prompt_cdf& of;
    template <class X>
    INFALIGN_HD T operator()(X u) const {
      if (u != u) return static_cast<T>(u);
      const auto last = static_cast<double>(of.references_);
      const double rank = std::ceil(static_cast<double>(u) * last);
      const auto bounded = static_cast<index_t>(rank < 1 ? 1 : rank > last ? last : rank);
      // Rounding alone may have raised u·K above a whole number. Then the rank below is enough.
      const bool enough = bounded > 1 && u < X(1) && static_cast<X>(static_cast<double>(bounded - 1) / last) >= u;
      return of.sorted_[enough ? bounded - 2 : bounded - 1];
    }
  };

  const T* sorted_;
  index_t references_;
};

/// Non-owning view of a fitted calibrator, for a kernel to capture. Trivially copyable.
template <grouped Sorted>
struct calibrator_ref {
  Sorted sorted;

  INFALIGN_HD prompt_cdf<typename Sorted::value_type> operator[](index_t prompt) const {
    const auto group = sorted[prompt];
    return {group.data(), group.size()};
  }
  [[nodiscard]] INFALIGN_HD index_t size() const { return sorted.size(); }
};

/// The sorted reference rewards of all prompts, owned, in the memory of the backend that fitted them.
///
/// \code
/// infalign::calibrator fitted(on, references);        // sorts once: O(K log K) a prompt
/// double u = fitted[prompt].cdf(reward);              // from then on O(log K) a reward; in host memory
/// double z = fitted[prompt].quantile(0.9);
/// auto kernel = [cdf = fitted.ref()](…) { … cdf[prompt].cdf(x) … };  // a kernel of yours, CPU or GPU
/// \endcode
///
/// Values equal those of `calibrate` with the default tie rule to the bit. Errors as for `calibrate`'s references.
template <class Backend, class References>
class calibrator {
 public:
  using value_type = typename References::value_type;
  using memory_space = typename Backend::memory_space;

  template <backend B>
    requires(std::same_as<std::remove_cvref_t<B>, Backend> && reachable_from<B, References>)
  calibrator(B&& on, const References& references)
      : shape_(packed_like<const value_type>(references, nullptr)),
        sorted_(on.template make_array<value_type>(0)),
        offsets_(on.template make_array<index_t>(0)) {
    check(on, references);
    sorted_ = on.template make_array<value_type>(references.total());
    const auto offsets = shape<References>::offsets(references);
    offsets_ = on.template make_array<index_t>(offsets.size());
    if (!offsets.empty())
      on.template map<index_t>(offsets.size(), detail::copy_formula<index_t>{offsets.data(), offsets_.data()});
    on.sort(references, sorted_.data());
  }

  /// Takes references over and sorts them in place, for more of them than fit in memory twice. Group `g` is
  /// `references[offsets[g] … offsets[g+1])`.
  template <backend B>
    requires(std::same_as<std::remove_cvref_t<B>, Backend> && !shape<References>::equal_sizes)
  calibrator(B&& on, typename Backend::template array<value_type> references, typename Backend::template array<index_t> offsets)
      : shape_({nullptr, static_cast<index_t>(references.size())}, {nullptr, static_cast<index_t>(offsets.size())}),
        sorted_(std::move(references)),
        offsets_(std::move(offsets)) {
    check(on, groups());
    on.sort(groups(), sorted_.data());
  }

  /// The view that a kernel captures. Valid while the calibrator lives and is not moved from.
  [[nodiscard]] auto ref() const { return calibrator_ref<packed>{groups()}; }
  prompt_cdf<value_type> operator[](index_t prompt) const
    requires std::same_as<memory_space, host_memory>
  {
    return ref()[prompt];
  }
  /// Number of prompts.
  [[nodiscard]] index_t size() const { return shape_.size(); }

 private:
  using packed = std::remove_const_t<decltype(packed_like<const value_type>(std::declval<References>(), nullptr))>;

  template <class Groups>
  static void check(Backend& on, const Groups& references) {
    constexpr const char* function = "calibrator";
    detail::expects_groups(on, function, "references", references);
    detail::expects_group_sizes(on, function, "references", references, 1, "a prompt needs at least one reference reward");
    detail::expects_finite(on, function, "references", references);
  }

  [[nodiscard]] packed groups() const {
    return shape<packed>::over(sorted_.data(), shape_, {offsets_.data(), static_cast<index_t>(offsets_.size())});
  }

  packed shape_;  // has no values; they lie in sorted_
  typename Backend::template array<value_type> sorted_;
  typename Backend::template array<index_t> offsets_;  // of ragged references
};

template <backend B, grouped References>
calibrator(B&&, const References&) -> calibrator<std::remove_cvref_t<B>, References>;
template <backend B, class Values, class Offsets>
calibrator(B&&, Values, Offsets)
    -> calibrator<std::remove_cvref_t<B>,
                  ragged<const typename Values::value_type, typename std::remove_cvref_t<B>::memory_space>>;

}  // namespace infalign
