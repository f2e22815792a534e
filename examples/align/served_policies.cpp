// SPDX-License-Identifier: Apache-2.0
#include "served_policies.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "infalign/backend/scalar.hpp"
#include "infalign/calibration/calibrator.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/hedge.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/statistics/summarize.hpp"
#include "infalign/theory/rewind_distortion.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/transform/combinators.hpp"
#include "infalign/transform/exponential.hpp"
#include "infalign/transform/identity.hpp"
#include "prefix_scorer.hpp"
#include "prefix_training.hpp"
#include "serving_model.hpp"

namespace align {

namespace {

using infalign::index_t, infalign::span;
using fitted = infalign::calibrator<infalign::scalar, infalign::rows<const float>>;

/// In the order of `served_procedures`.
template <class Use>
void for_each_served_procedure(Use&& use) {
  use(infalign::standard());
  use(infalign::best_of(4));
  use(infalign::worst_of(4));
  use(infalign::best_of_poisson(3));
  use(infalign::soft_best_of(4, 0.2));
  use(infalign::rewind_and_repeat(0.8, 4));
  use(infalign::best_of_blocks(4, 2, most_tokens));
  use(infalign::tilted_tokens(infalign::kl_weight(0.21), vocabulary, end_of_word, most_tokens));
}

/// The reward of a response, or its quantile among the base policy's rewards.
struct response_scorer {
  const reward_model<float>& reward;
  const fitted* references = nullptr;

  std::vector<float> operator()(span<const infalign::sample_request> requests, span<const completion> responses) const {
    std::vector<float> values;
    for (index_t i = 0; i < responses.size(); ++i) {
      const float r = reward(responses[i].letters);
      values.push_back(references ? (*references)[requests[i].prompt].cdf(r) : r);
    }
    return values;
  }
};

/// Runs the procedures on one policy.
class server {
 public:
  server(const language_model<float>& policy, const scenario& from, const language_model<float>& values, std::size_t responses,
         random_stream& random)
      : from_(from),
        model_(policy, from.prompts.held_out),
        scorer_(values, from.prompts.held_out),
        references_(infalign::scalar(), from.closed_form.rows()),
        responses_(responses),
        random_(random) {}

  /// Those that choose among whole responses.
  template <class Procedure>
  served_rewards operator()(const Procedure& procedure) {
    constexpr bool by_quantile =
        std::is_same_v<Procedure, infalign::soft_best_of> || std::is_same_v<Procedure, infalign::rewind_and_repeat>;
    const response_scorer scorer{from_.reward, by_quantile ? &references_ : nullptr};
    return repeat([&](std::uint64_t seed) { return infalign::serve(procedure, model_, scorer, prompts(), {.seed = seed}); },
                  letters);
  }
  served_rewards operator()(const infalign::best_of_blocks& procedure) {
    std::vector<completion> starts;
    for (const prompt& p : from_.prompts.held_out) starts.push_back({p.prefix});
    const auto finished = [](const completion& c) { return c.ended; };
    return repeat(
        [&](std::uint64_t seed) {
          return infalign::serve_blocks(procedure, model_, scorer_, finished, starts, prompts(), seed);
        },
        letters);
  }
  served_rewards operator()(const infalign::tilted_tokens& procedure) {
    return repeat(
        [&](std::uint64_t seed) { return infalign::serve_tokens(procedure, model_, scorer_, prompts(), seed); },
        [&](std::size_t p, const std::vector<index_t>& tokens) { return word_of(from_.prompts.held_out[p].prefix, tokens); });
  }

  [[nodiscard]] const fitted& references() const { return references_; }

 private:
  static const word& letters(std::size_t, const completion& c) { return c.letters; }
  [[nodiscard]] index_t prompts() const { return static_cast<index_t>(from_.prompts.held_out.size()); }

  /// Serves every prompt several times, each with another seed.
  template <class Serve, class WordOf>
  served_rewards repeat(const Serve& serve_once, const WordOf& word_of_response) {
    served_rewards found{{std::vector<float>(from_.prompts.held_out.size() * responses_), responses_}, {}, {}};
    for (std::size_t i = 0; i < responses_; ++i) {
      const auto result = serve_once(random_.seed());
      for (std::size_t p = 0; p < result.prompts.size(); ++p)
        found.rewards.values[p * responses_ + i] = from_.reward(word_of_response(p, result.prompts[p].response));
      found.cost += result.cost;
    }
    return found;
  }

  const scenario& from_;
  serving_model model_;
  prefix_scorer scorer_;
  fitted references_;
  std::size_t responses_;
  random_stream& random_;
};

std::vector<double> quantiles(const fitted& references, const reward_table& of) {
  std::vector<double> u;
  const auto rewards = of.rows();
  for (index_t p = 0; p < rewards.size(); ++p)
    for (const float r : rewards[p]) u.push_back(static_cast<double>(references[p].cdf(r)));
  return u;
}

/// Win rates against one plain sample of the base policy, from plain samples of the policy: the value of a response is its win rate
/// `wins`, and what the procedure looks at its reward, or its quantile `u` among the references.
class foretold_win_rates {
 public:
  foretold_win_rates(const reward_table& plain, const fitted& opponents, const fitted& references)
      : n_(static_cast<index_t>(plain.per_prompt)),
        prompts_(static_cast<index_t>(plain.prompts())),
        wins_(quantiles(opponents, plain)),
        u_(quantiles(references, plain)) {}

  /// Wins grow with the reward: an expected reward under the procedure.
  template <class Procedure>
  std::vector<double> operator()(const Procedure& procedure) {
    std::vector<double> out(static_cast<std::size_t>(prompts_));
    infalign::expected_reward(on_, rows_of(wins_), procedure, out);
    return out;
  }
  std::vector<double> operator()(const infalign::soft_best_of& procedure) {
    std::vector<double> out(static_cast<std::size_t>(prompts_));
    infalign::soft_best_of_curve(on_, rows_of(u_), rows_of(wins_), procedure.n, span(&procedure.lambda, 1),
                                 infalign::rows<double>(out.data(), prompts_, 1));
    return out;
  }
  /// Every prompt has a distortion of its own, by its share of samples that do not pass.
  std::vector<double> operator()(const infalign::rewind_and_repeat& procedure) {
    std::vector<double> out(static_cast<std::size_t>(prompts_));
    for (index_t p = 0; p < prompts_; ++p) {
      const auto u = rows_of(u_)[p];
      const auto below = std::count_if(u.begin(), u.end(), [&](double x) { return x <= procedure.threshold; });
      const infalign::rewind_distortion distortion(procedure, static_cast<double>(below) / static_cast<double>(n_));
      infalign::expected_reward(on_, infalign::rows<const double>(rows_of(wins_)[p].data(), 1, n_), distortion,
                                span(&out[static_cast<std::size_t>(p)], 1));
    }
    return out;
  }
  std::vector<double> operator()(const infalign::best_of_blocks&) { return {}; }
  std::vector<double> operator()(const infalign::tilted_tokens&) { return {}; }

 private:
  [[nodiscard]] infalign::rows<const double> rows_of(const std::vector<double>& values) const {
    return {values.data(), prompts_, n_};
  }

  infalign::scalar on_;
  index_t n_, prompts_;
  std::vector<double> wins_, u_;
};

/// Where a procedure has a formula, by theory alone.
template <class Transform>
void add_optimum(const Transform& transform, double beta, std::vector<served_rewards>& served) {
  const infalign::tilted_density density(transform, infalign::kl_weight(beta));
  std::size_t next = 0;
  for_each_served_procedure([&](const auto& procedure) {
    served_rewards& here = served[next++];
    if constexpr (requires { density.win_rate(procedure, infalign::standard()); })
      here.optimum = density.win_rate(procedure, infalign::standard());
  });
}

}  // namespace

learned_scorer learn_prefix_scorer(const scenario& from, const serving_plan& plan, random_stream random) {
  language_model<float> values = train_prefix_scorer(from, plan.scorer_steps, random.child(1));
  const scorer_error off = held_out_error(from, values, plan.completions, random.child(2));
  return {std::move(values), off};
}

std::vector<served_rewards> serve_policy(const served_policy& of, const scenario& from, const learned_scorer& scorer,
                                         const serving_plan& plan, random_stream random) {
  server serve(of.policy, from, scorer.values, plan.responses, random);
  const fitted opponents(infalign::scalar(), from.evaluation.rows());
  foretold_win_rates foretell(
      sample_rewards(of.policy, from.reward, from.prompts.held_out, plan.plain_samples, random.child(1)), opponents,
      serve.references());
  std::vector<served_rewards> found;
  const auto play = [&](const auto& procedure) {
    found.push_back(serve(procedure));
    found.back().foretold = foretell(procedure);
  };
  for_each_served_procedure(play);
  // Uniform quantiles are those of a policy that may not move.
  if (of.method == "base") add_optimum(infalign::identity(), 1e12, found);
  if (of.method == "identity") add_optimum(infalign::identity(), of.beta, found);
  if (of.method == "exponential:10") add_optimum(infalign::scaled(infalign::exponential(10), std::exp(-10)), of.beta, found);
  return found;
}

std::vector<served_result> summarize_served(const served_policy& of, const std::vector<served_rewards>& policy,
                                            const std::vector<served_rewards>& base, const scenario& from) {
  infalign::scalar on;
  std::vector<served_result> results;
  std::vector<double> wins(from.prompts.held_out.size());
  for (std::size_t i = 0; i < policy.size(); ++i) {
    served_result found{of.name, of.beta, i};
    infalign::standard_win_rate(on, policy[i].rewards.rows(), from.evaluation.rows(), wins);
    found.win_rate = infalign::summarize(on, wins, infalign::win_rate_range);
    if (!policy[i].foretold.empty()) {
      found.foretold = infalign::summarize(on, policy[i].foretold, infalign::win_rate_range);
      std::transform(wins.begin(), wins.end(), policy[i].foretold.begin(), wins.begin(), std::minus());
      found.difference = infalign::summarize(on, wins, infalign::win_rate_difference_range);
    }
    found.optimum = policy[i].optimum;
    if (of.method != "base") {
      infalign::standard_win_rate(on, policy[i].rewards.rows(), base[i].rewards.rows(), wins);
      found.same_win_rate = infalign::summarize(on, wins, infalign::win_rate_range);
    }
    const auto responses = static_cast<double>(policy[i].rewards.values.size());
    found.samples = static_cast<double>(policy[i].cost.samples) / responses;
    found.scores = static_cast<double>(policy[i].cost.scores) / responses;
    found.tokens = static_cast<double>(policy[i].cost.tokens) / responses;
    results.push_back(found);
  }
  return results;
}

}  // namespace align
