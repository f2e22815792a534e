// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is estimated from several samples a prompt: win rates and rewards of procedures, votes, transforms, the KL of responses.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>

#include "coverage/measure.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/evaluation/answers.hpp"
#include "infalign/evaluation/expected_reward.hpp"
#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/evaluation/sequence_kl.hpp"
#include "infalign/evaluation/transform_estimators.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "infalign/statistics/summarize.hpp"
#include "infalign/transform/exponential.hpp"

namespace infalign::coverage {
namespace {

constexpr int per_prompt = 8;

/// The win rate of best-of-N on both sides, from eight samples of either.
template <class Draw>
void win_rate(table& to, const char* data, double truth, int best, const Draw& draw) {
  simd on;
  std::vector<double> policy, base, out;
  to.add(data, {{"`procedure_win_rate`, `best_of(" + std::to_string(best) + ")`"}},
         [&](random_stream& random, int prompts, std::vector<outcome>& outcomes) {
           policy.clear(), base.clear();
           for (int p = 0; p < prompts; ++p) draw(random, policy, base);
           out.resize(static_cast<std::size_t>(prompts));
           procedure_win_rate(on, rows<const double>(policy.data(), prompts, per_prompt),
                              rows<const double>(base.data(), prompts, per_prompt), best_of(best), out);
           outcomes[0] = holds(summarize(on, out, win_rate_range), truth);
         });
}

/// That of levels with these probabilities.
double win_rate_of_levels(const std::array<double, 3>& policy, const std::array<double, 3>& base, int best) {
  double won = 0, own = 0, other = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const double below = std::pow(own, best), base_below = std::pow(other, best);
    own += policy[i], other += base[i];
    won += (std::pow(own, best) - below) * 0.5 * (base_below + std::pow(other, best));
  }
  return won;
}

double level_of(random_stream& random, const std::array<double, 3>& probabilities) {
  const double u = random.uniform();
  return u < probabilities[0] ? 0 : u < probabilities[0] + probabilities[1] ? 1 : 2;
}

void win_rates(table& to) {
  // A policy with the CDF x^θ against a uniform one wins θ/(θ + 1), by best-of-N too.
  win_rate(to, "continuous, four strengths", (1.0 / 3 + 1.0 / 2 + 2.0 / 3 + 4.0 / 5) / 4, 4,
           [](random_stream& random, std::vector<double>& policy, std::vector<double>& base) {
             constexpr double strengths[] = {0.5, 1, 2, 4};
             const double strength = strengths[static_cast<int>(4 * random.uniform())];
             for (int i = 0; i < per_prompt; ++i)
               policy.push_back(std::pow(random.uniform(), 1 / strength)), base.push_back(random.uniform());
           });
  const auto levels = [&](const char* data, const std::array<double, 3>& p, const std::array<double, 3>& q, int best) {
    win_rate(to, data, win_rate_of_levels(p, q, best), best,
             [&](random_stream& random, std::vector<double>& policy, std::vector<double>& base) {
               for (int i = 0; i < per_prompt; ++i) policy.push_back(level_of(random, p)), base.push_back(level_of(random, q));
             });
  };
  levels("three levels, tied", {0.2, 0.3, 0.5}, {0.5, 0.3, 0.2}, 4);
  levels("three levels, near 1", {0, 0.2, 0.8}, {0.9, 0.09, 0.01}, 8);
}

void rewards_of_procedures(table& to) {
  simd on;
  std::vector<double> samples, out;
  const auto add = [&](const char* data, double truth, const auto& procedure, const char* name, int from, quantity_range range,
                       const auto& draw) {
    const double least = range.highest < infinity<double> ? at_least : in_the_limit;
    to.add(data, {{name, from, least}}, [&, truth, range](random_stream& random, int prompts, std::vector<outcome>& outcomes) {
      samples.clear();
      for (int p = 0; p < prompts; ++p) draw(random);
      out.resize(static_cast<std::size_t>(prompts));
      expected_reward(on, rows<const double>(samples.data(), prompts, per_prompt), procedure, out);
      outcomes[0] = holds(summarize(on, out, range), truth);
    });
  };
  // The expected largest of four normal values.
  add("normal rewards", 1.0293753730039641, best_of(4), "`expected_reward`, `best_of(4)`", 200, {}, [&](random_stream& random) {
    for (int i = 0; i < per_prompt; ++i) samples.push_back(random.normal());
  });
  add("normal rewards", -1.0293753730039641, worst_of(4), "`expected_reward`, `worst_of(4)`", 200, {},
      [&](random_stream& random) {
        for (int i = 0; i < per_prompt; ++i) samples.push_back(random.normal());
      });
  // Rates of Beta(1, 5): E[(1 - p)^4] = 5/9. Rates u^200, of which E[p^k] = 1/(200k + 1): hardly any pass.
  const auto passes = [&](double power) {
    return [&, power](random_stream& random) {
      const double rate = power > 0 ? std::pow(random.uniform(), power) : 1 - std::pow(random.uniform(), 0.2);
      for (int i = 0; i < per_prompt; ++i) samples.push_back(random.wins(rate, 1));
    };
  };
  add("rates of Beta(1, 5)", 4.0 / 9, best_of(4), "pass@4 (`expected_reward`, `pass_at_k`)", 5, win_rate_range, passes(0));
  add("rates near 0, pass@4 is 0.010", 4.0 / 201 - 6.0 / 401 + 4.0 / 601 - 1.0 / 801, best_of(4),
      "pass@4 (`expected_reward`, `pass_at_k`)", 5, win_rate_range, passes(200));
}

/// maj@5 and cons@5 from eight answers, of which there are three kinds.
void votes(table& to) {
  const std::array<double, 3> rates{0.5, 0.3, 0.2};
  double truth = 0, agreed = 0;
  for (int code = 0; code < 3 * 3 * 3 * 3 * 3; ++code) {
    int given[3] = {};
    double probability = 1;
    for (int i = 0, rest = code; i < 5; ++i, rest /= 3)
      ++given[rest % 3], probability *= rates[static_cast<std::size_t>(rest % 3)];
    const int most = std::max({given[0], given[1], given[2]});
    const int tied = (given[0] == most ? 1 : 0) + (given[1] == most ? 1 : 0) + (given[2] == most ? 1 : 0);
    truth += given[0] == most ? probability / tied : 0;
    agreed += given[0] >= 3 ? probability : 0;
  }
  std::map<std::array<index_t, 3>, std::array<double, 2>> known;
  to.add("answers of rates 0.5, 0.3, 0.2", {{"`majority_at_k`"}, {"`consensus_at_k`"}},
         [&](random_stream& random, int prompts, std::vector<outcome>& out) {
           summary majority, consensus;
           for (int p = 0; p < prompts; ++p) {
             std::array<index_t, 3> counts{};
             for (int i = 0; i < per_prompt; ++i) ++counts[static_cast<std::size_t>(level_of(random, rates))];
             auto place = known.find(counts);
             if (place == known.end())
               place = known
                           .emplace(counts, std::array<double, 2>{majority_at_k(counts, 0, 5),
                                                                  consensus_at_k(per_prompt, counts[0], 5, 3)})
                           .first;
             majority.add(place->second[0]);
             consensus.add(place->second[1]);
           }
           out[0] = holds(estimate_of(majority, win_rate_range), truth);
           out[1] = holds(estimate_of(consensus, win_rate_range), agreed);
         });
}

/// `E[Φ(C)]` under the base policy from 16 references, for Φ = e^{5u}: the integral over [0, 1].
void transforms(table& to) {
  const exponential steep(5);
  const unbiased_exponential unbiased(5);
  const jackknife_corrected<exponential> jackknife{steep};
  const series_corrected<exponential> series{steep};
  const double truth = (std::exp(5.0) - 1) / 5;
  to.add("e^{5u}, 16 references",
         {{"`unbiased_exponential`", 200, in_the_limit},
          {"`jackknife_corrected`", 200, in_the_limit},
          {"`series_corrected`", 200, in_the_limit},
          {"plug-in", never}},
         [&](random_stream& random, int prompts, std::vector<outcome>& out) {
           summary of[4];
           for (int p = 0; p < prompts; ++p) {
             const double u = random.uniform();
             reference_counts counts{0, 0, 16};
             for (int i = 0; i < 16; ++i) counts.wins += random.uniform() < u ? 1 : 0;
             of[0].add(unbiased(counts));
             of[1].add(jackknife(counts));
             of[2].add(series(counts));
             of[3].add(steep(counts.quantile()));
           }
           for (std::size_t i = 0; i < 4; ++i) out[i] = holds(estimate_of(of[i]), truth);
         });
}

/// Responses of up to eight tokens, two kinds of them; the third ends a response. Four of each prompt.
void kls(table& to, const char* data, const std::array<double, 3>& own, const std::array<double, 3>& base, int from_k3) {
  double token = 0, length = 0, alive = 1;
  for (std::size_t a = 0; a < 3; ++a) token += own[a] * std::log(own[a] / base[a]);
  for (int t = 0; t < per_prompt; ++t) length += alive, alive *= 1 - own[2];
  const double truth = token * length;
  std::vector<double> logs, base_logs, kl;
  std::vector<index_t> offsets, clusters;
  to.add(data,
         {{"`sequence_kl`, `k1`", 200, in_the_limit},
          {"`sequence_kl`, `k2`", never},
          {"`sequence_kl`, `k3`", from_k3, in_the_limit},
          {"`sequence_kl`, `rao_blackwell`", 200, in_the_limit}},
         [&](random_stream& random, int prompts, std::vector<outcome>& out) {
           logs.clear(), base_logs.clear(), kl.clear(), clusters.clear();
           offsets.assign(1, 0);
           for (index_t r = 0; r < 4 * prompts; ++r) {
             for (int t = 0; t < per_prompt; ++t) {
               const auto a = static_cast<std::size_t>(level_of(random, own));
               logs.push_back(std::log(own[a])), base_logs.push_back(std::log(base[a])), kl.push_back(token);
               if (a == 2) break;
             }
             offsets.push_back(static_cast<index_t>(logs.size()));
             clusters.push_back(r / 4);
           }
           const ragged<const double> x(logs, offsets), y(base_logs, offsets), z(kl, offsets);
           const auto found = sequence_kl(x, y, z, clusters);
           std::size_t i = 0;
           for (const estimate* e : {&found.k1, &found.k2, &found.k3, &found.rao_blackwell}) out[i++] = holds(*e, truth);
         });
}

}  // namespace

void samples(table& to) {
  win_rates(to);
  rewards_of_procedures(to);
  votes(to);
  transforms(to);
  kls(to, "policies close to each other", {0.45, 0.4, 0.15}, {0.5, 0.35, 0.15}, 200);
  kls(to, "policies far apart", {0.8, 0.1, 0.1}, {0.3, 0.5, 0.2}, never);
}

}  // namespace infalign::coverage
