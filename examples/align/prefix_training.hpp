// SPDX-License-Identifier: Apache-2.0
/// \file
/// How the prefix scorer is learned, and how good it is on held-out prompts.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "adam.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/calibration/calibrate.hpp"
#include "prefix_scorer.hpp"
#include "random_stream.hpp"
#include "rollout.hpp"
#include "scenario.hpp"
#include "serving_model.hpp"

namespace align {

/// Base samples with their calibrated rewards.
struct scored_rollouts {
  rollouts drawn;
  std::vector<float> calibrated;
};

/// Fresh samples of random training prompts into `out`.
inline void draw_scored(const scenario& from, sampler& sample, random_stream& random, scored_rollouts& out) {
  constexpr std::size_t n_prompts = 64, samples_per_prompt = 8;
  const auto k = static_cast<std::ptrdiff_t>(from.calibration.per_prompt);
  std::vector<word> prefixes;
  std::vector<float> references;
  for (std::size_t i = 0; i < n_prompts; ++i) {
    const std::size_t p = random.below(from.prompts.train.size());
    prefixes.insert(prefixes.end(), samples_per_prompt, from.prompts.train[p].prefix);
    const auto first = from.calibration.values.begin() + static_cast<std::ptrdiff_t>(p) * k;
    references.insert(references.end(), first, first + k);
  }
  sample(from.base, prefixes, random, out.drawn);
  out.calibrated = from.reward(out.drawn.words);
  const infalign::rows<float> u(out.calibrated.data(), n_prompts, samples_per_prompt);
  infalign::calibrate(infalign::scalar(), infalign::rows<const float>(references.data(), n_prompts, k), u, u);
}

/// Learns the scorer by logistic regression of calibrated rewards on the prefixes of fresh base samples, 512 responses a step. The loss
/// is least where the value is the expectation, as that of a squared error is.
inline language_model<float> train_prefix_scorer(const scenario& from, int steps, random_stream random) {
  constexpr double learning_rate = 3e-3;
  language_model<float> values(random);
  adam<float> optimizer(values.parameters().size());
  sampler sample;
  scored_rollouts batch;
  activations<float> at;
  activations<float>::logit_matrix logit_gradient;
  Eigen::VectorXf gradient;
  for (int step = 0; step < steps; ++step) {
    draw_scored(from, sample, random, batch);
    const rollouts& drawn = batch.drawn;
    const Index n = drawn.n_tokens();
    at.reserve(n);
    std::copy_n(drawn.at.features.begin(), n, at.features.begin());
    values.forward(at, 0, n);
    logit_gradient.setZero(logit_columns, n);
    for (std::size_t r = 0; r < drawn.words.size(); ++r)
      for (auto i = static_cast<std::size_t>(drawn.offsets[r]); i < static_cast<std::size_t>(drawn.offsets[r + 1]); ++i) {
        const int token = drawn.tokens[i];
        const Index column = drawn.position[i];
        logit_gradient(token, column) =
            (prefix_scorer::share(at.logits(token, column)) - batch.calibrated[r]) / static_cast<float>(n);
      }
    values.backward(at, logit_gradient, n, gradient);
    optimizer.step(values.parameters(), gradient, learning_rate * (1 - static_cast<double>(step) / steps));
  }
  return values;
}

/// A base sample of each held-out prompt, cut behind a random one of its tokens.
inline std::vector<completion> random_prefixes(const scenario& from, serving_model& base, random_stream& random) {
  std::vector<infalign::sample_request> requests;
  for (std::size_t p = 0; p < from.prompts.held_out.size(); ++p)
    requests.push_back({static_cast<infalign::index_t>(p), 0, random.seed()});
  std::vector<completion> cut = base(infalign::span<const infalign::sample_request>(requests));
  for (completion& c : cut) {
    const auto tokens = static_cast<int>(random.below(static_cast<std::size_t>(token_count(c)))) + 1;
    if (tokens < token_count(c)) c = {c.letters.prefix(prompt_length + tokens)};
  }
  return cut;
}

/// The error on one random prefix for each held-out prompt. The truth is the mean calibrated reward of `n` base completions; what they
/// vary by is subtracted from the squares. 0 where that leaves nothing.
inline scorer_error held_out_error(const scenario& from, const language_model<float>& values, infalign::index_t n,
                                   random_stream random) {
  serving_model base(from.base, from.prompts.held_out);
  const std::vector<completion> cut = random_prefixes(from, base, random);
  const auto prompts = static_cast<infalign::index_t>(cut.size());
  std::vector<infalign::block_request<completion>> requests;
  for (infalign::index_t p = 0; p < prompts; ++p)
    for (infalign::index_t i = 0; i < n; ++i)
      requests.push_back({p, i, 0, most_tokens, random.seed(), &cut[static_cast<std::size_t>(p)]});
  std::vector<float> calibrated;
  for (const completion& c : base(infalign::span<const infalign::block_request<completion>>(requests)))
    calibrated.push_back(from.reward(c.letters));
  const infalign::rows<float> u(calibrated.data(), prompts, n);
  infalign::calibrate(infalign::scalar(), from.closed_form.rows(), u, u);
  const std::vector<float> scored = prefix_scorer(values, from.prompts.held_out)(infalign::span<const completion>(cut));
  double noise = 0, squares = 0, sum = 0, sum_of_squares = 0;
  for (infalign::index_t p = 0; p < prompts; ++p) {
    const Eigen::Map<const Eigen::ArrayXf> of_prefix(u[p].data(), n);
    const double truth = static_cast<double>(of_prefix.mean());
    noise += static_cast<double>((of_prefix - of_prefix.mean()).square().sum()) / static_cast<double>(n * (n - 1));
    squares += std::pow(static_cast<double>(scored[static_cast<std::size_t>(p)]) - truth, 2);
    sum += truth;
    sum_of_squares += truth * truth;
  }
  const auto of = static_cast<double>(prompts);
  const auto root = [&](double total) { return std::sqrt(std::max(0.0, (total - noise) / of)); };
  return {root(squares), root(sum_of_squares - sum * sum / of)};
}

}  // namespace align
