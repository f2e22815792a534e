// SPDX-License-Identifier: Apache-2.0
/// \file
/// How procedures that pick by rank are run: `standard`, `best_of`, `worst_of`, `best_of_poisson`, `best_of_random`,
/// `order_statistic`, `top_of`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/best_of_poisson.hpp"
#include "infalign/procedure/best_of_random.hpp"
#include "infalign/procedure/order_statistic.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/top_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "infalign/serving/serve.hpp"

namespace infalign {

namespace detail {

/// Keeps the sample with the largest (`sign` 1) or smallest (-1) score, the first of several.
template <class Response, int sign>
class INFALIGN_KEYED extreme_rule {
 public:
  static constexpr bool stops_early = false;
  explicit extreme_rule(index_t most) : most_(most) {}
  [[nodiscard]] index_t most() const { return most_; }
  bool take(scored_response<Response>&& next) {
    if (!kept_ || sign * next.score > sign * kept_->score) kept_.emplace(std::move(next));
    return false;
  }
  scored_response<Response> choose() { return std::move(*kept_); }

 private:
  index_t most_;
  std::optional<scored_response<Response>> kept_;
};

/// Keeps all, and picks the one of rank m, the smallest score having rank 1.
template <class Response>
class INFALIGN_KEYED rank_rule {
 public:
  static constexpr bool stops_early = false;
  rank_rule(index_t rank, index_t most) : rank_(rank), most_(most) {}
  [[nodiscard]] index_t most() const { return most_; }
  bool take(scored_response<Response>&& next) {
    all_.push_back(std::move(next));
    return false;
  }
  scored_response<Response> choose() {
    std::vector<std::size_t> order(all_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto at = order.begin() + (rank_ - 1);
    std::nth_element(order.begin(), at, order.end(), [&](std::size_t i, std::size_t j) {
      return all_[i].score != all_[j].score ? all_[i].score < all_[j].score : i < j;
    });
    return std::move(all_[*at]);
  }

 private:
  index_t rank_, most_;
  std::vector<scored_response<Response>> all_;
};

/// `1 + Poisson(mean)`: one more than the arrivals before `mean` of a process with exponential gaps.
INFALIGN_KEYED inline index_t poisson_samples(double mean, const prompt_random& random) {
  index_t n = 1;
  for (double at = 0; n <= most_served_samples; ++n)
    if ((at -= std::log(random.uniform(random_use::count, n - 1))) > mean) break;
  return n;
}

INFALIGN_KEYED inline index_t random_samples(const best_of_random& procedure, const prompt_random& random) {
  double left = random.uniform(random_use::count);
  for (const auto& outcome : procedure.outcomes())
    if ((left -= outcome.probability) < 0) return outcome.n;
  return procedure.outcomes().back().n;
}

}  // namespace detail

template <class Response>
struct serving_rule<standard, Response> : detail::extreme_rule<Response, 1> {
  serving_rule(const standard&, index_t, const prompt_random&) : detail::extreme_rule<Response, 1>(1) {}
};
template <class Response>
struct serving_rule<best_of, Response> : detail::extreme_rule<Response, 1> {
  serving_rule(const best_of& procedure, index_t, const prompt_random&) : detail::extreme_rule<Response, 1>(procedure.n) {}
};
template <class Response>
struct serving_rule<worst_of, Response> : detail::extreme_rule<Response, -1> {
  serving_rule(const worst_of& procedure, index_t, const prompt_random&) : detail::extreme_rule<Response, -1>(procedure.n) {}
};
template <class Response>
struct serving_rule<best_of_poisson, Response> : detail::extreme_rule<Response, 1> {
  serving_rule(const best_of_poisson& procedure, index_t, const prompt_random& random)
      : detail::extreme_rule<Response, 1>(detail::poisson_samples(procedure.mean, random)) {}
};
template <class Response>
struct serving_rule<best_of_random, Response> : detail::extreme_rule<Response, 1> {
  serving_rule(const best_of_random& procedure, index_t, const prompt_random& random)
      : detail::extreme_rule<Response, 1>(detail::random_samples(procedure, random)) {}
};
template <class Response>
struct serving_rule<order_statistic, Response> : detail::rank_rule<Response> {
  serving_rule(const order_statistic& procedure, index_t, const prompt_random&)
      : detail::rank_rule<Response>(procedure.rank, procedure.n) {}
};
template <class Response>
struct serving_rule<top_of, Response> : detail::rank_rule<Response> {
  serving_rule(const top_of& procedure, index_t, const prompt_random& random)
      : detail::rank_rule<Response>(procedure.n - random.below(procedure.top, random_use::choice), procedure.n) {}
};

}  // namespace infalign
