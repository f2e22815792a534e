// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/core/binomial.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/names.hpp"

namespace infalign {

/// Best of a random number of samples: with probability `p_i` the best of `n_i`. `G(q) = Σ p_i·q^{n_i}`, the generating
/// function of N. It owns its table, so it is for backends on host memory.
class best_of_random {
 public:
  static constexpr name_entry naming{"best_of_random:N=P,N=P,…", "best_of_random:2=0.5,8=0.5",
                                     "the best of N samples, where N is drawn with probability P"};

  struct outcome {
    index_t n;
    double probability;
  };

  static constexpr std::size_t most_outcomes = 256;

  /// Errors: `shape_error` if there is no outcome, or more than `most_outcomes`; `domain_error` for an n below 1, a probability
  /// that is not positive, or probabilities that do not add to 1 within 1e-9 (they are divided by their sum).
  INFALIGN_KEYED explicit best_of_random(std::vector<outcome> distribution) : outcomes_(std::move(distribution)) {
    constexpr const char* function = "best_of_random";
    expects<shape_error>(!outcomes_.empty(), function, "distribution is empty");
    expects<shape_error>(outcomes_.size() <= most_outcomes, function, "distribution has ", outcomes_.size(),
                         " outcomes, the most are ", most_outcomes);
    double sum = 0;
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      const outcome& o = outcomes_[i];
      expects<domain_error>(o.n >= 1, function, "distribution[", i, "].n is ", o.n, ", must be at least 1");
      expects<domain_error>(o.probability > 0, function, "distribution[", i, "].probability is ", o.probability,
                            ", must be positive");
      sum += o.probability;
    }
    expects<domain_error>(std::abs(sum - 1) <= 1e-9, function, "sum of probabilities is ", sum, ", must be 1");
    for (outcome& o : outcomes_) o.probability /= sum;
  }

  [[nodiscard]] INFALIGN_KEYED double distortion(double q) const {
    return sum([q](const outcome& o) { return std::pow(q, static_cast<double>(o.n)); });
  }
  [[nodiscard]] INFALIGN_KEYED double density(double q) const {
    return sum([q](const outcome& o) { return static_cast<double>(o.n) * std::pow(q, static_cast<double>(o.n - 1)); });
  }
  /// The mean of the shares of `best_of`, unbiased for each n.
  [[nodiscard]] INFALIGN_KEYED double from_count(index_t count, index_t samples) const {
    return sum([=](const outcome& o) { return choose_ratio(count, samples, o.n); });
  }
  [[nodiscard]] INFALIGN_KEYED index_t samples_needed() const {
    index_t most = 0;
    for (const outcome& o : outcomes_) most = std::max(most, o.n);
    return most;
  }
  [[nodiscard]] const std::vector<outcome>& outcomes() const { return outcomes_; }
  /// `max(-G'')`: G is convex.
  [[nodiscard]] INFALIGN_KEYED double steepest_fall() const { return 0; }
  [[nodiscard]] long density_cost() const { return 1 + static_cast<long>(outcomes_.size()) / 8; }
  /// For example `best_of_random:2=0.5,8=0.5`.
  [[nodiscard]] INFALIGN_KEYED std::string name() const {
    std::string text = "best_of_random:";
    for (const outcome& o : outcomes_)
      text += (&o == outcomes_.data() ? "" : ",") + std::to_string(o.n) + "=" + detail::format_parameter(o.probability);
    return text;
  }
  static best_of_random read(detail::parameter_reader& in) {
    std::vector<outcome> outcomes;
    std::string_view list = in.rest("the list of N=P");
    for (bool more = true; more;) {
      const std::string_view item = list.substr(0, list.find(','));
      const std::size_t equals = item.find('=');
      if (equals == std::string_view::npos) in.fail("'", item, "' must be of the form N=P");
      outcomes.push_back({in.number<index_t>("N", item.substr(0, equals)), in.number<double>("P", item.substr(equals + 1))});
      more = item.size() < list.size();
      list.remove_prefix(more ? item.size() + 1 : item.size());
    }
    return best_of_random(std::move(outcomes));
  }

 private:
  template <class Term>
  [[nodiscard]] INFALIGN_KEYED double sum(const Term& term) const {
    double total = 0;
    for (const outcome& o : outcomes_) total += o.probability * term(o);
    return total;
  }

  std::vector<outcome> outcomes_;
};

}  // namespace infalign
