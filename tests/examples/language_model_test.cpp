// SPDX-License-Identifier: Apache-2.0
// The hand-written gradients of the example against central finite differences, and its optimiser and sampler against what
// they are defined to do.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "adam.hpp"
#include "language_model.hpp"
#include "policy_training.hpp"
#include "reward_model.hpp"
#include "rollout.hpp"

namespace {

align::word word_of(const std::string& text) {
  align::word w;
  for (const char c : text) w.append(c - 'a');
  return w;
}

using double_model = align::language_model<double>;

/// Contexts of several lengths, two of them equal so that gradients must add up in shared table columns.
align::activations<double> some_contexts() {
  const std::vector<std::string> texts = {"abc", "abc", "abca", "thermo", "overcompensat", "zzzzz"};
  align::activations<double> at;
  at.reserve(static_cast<align::Index>(texts.size()));
  for (std::size_t i = 0; i < texts.size(); ++i) at.features[i] = align::context_features(word_of(texts[i]));
  return at;
}

/// A smooth function of the real logits, with weights that differ everywhere.
double logit_loss(const align::activations<double>& at, double_model::logit_matrix* gradient) {
  double loss = 0;
  if (gradient != nullptr) gradient->setZero(align::logit_columns, at.logits.cols());
  for (align::Index j = 0; j < at.logits.cols(); ++j)
    for (align::Index i = 0; i < align::vocabulary; ++i) {
      const double weight = std::sin(static_cast<double>(3 * i + 7 * j) + 1.0);
      loss += weight * std::sin(at.logits(i, j));
      if (gradient != nullptr) (*gradient)(i, j) = weight * std::cos(at.logits(i, j));
    }
  return loss;
}

/// A model of which every block is active: the direct table and the biases start at zero otherwise.
double_model random_model() {
  align::random_stream random(5);
  double_model model(random);
  for (double& p : model.parameters()) p += 0.1 * (random.uniform() - 0.5);
  return model;
}

}  // namespace

TEST_CASE("language model: backward pass equals central finite differences") {
  double_model model = random_model();
  align::activations<double> at = some_contexts();
  const align::Index n = at.logits.cols();
  double_model::logit_matrix d_logits;
  double_model::vector gradient;
  model.forward(at, 0, n);
  logit_loss(at, &d_logits);
  model.backward(at, d_logits, n, gradient);

  const double step = 1e-6;
  int nonzero = 0;
  for (align::Index i = 0; i < model.parameters().size(); ++i) {
    // Every parameter that any context touches, and some of the many that none does.
    if (gradient[i] == 0 && i % 997 != 0) continue;
    nonzero += gradient[i] != 0;
    if (gradient[i] != 0 && i % 7 != 0) continue;
    const double kept = model.parameters()[i];
    model.parameters()[i] = kept + step;
    model.forward(at, 0, n);
    const double above = logit_loss(at, nullptr);
    model.parameters()[i] = kept - step;
    model.forward(at, 0, n);
    const double below = logit_loss(at, nullptr);
    model.parameters()[i] = kept;
    // Truncation is O(step²); rounding of a loss of size 10 leaves about 1e-15·10/step = 1e-8.
    CHECK(std::abs((above - below) / (2 * step) - gradient[i]) <= 2e-8 + 1e-7 * std::abs(gradient[i]));
  }
  CHECK(nonzero > 3000);
}

TEST_CASE("language model: a block of contexts gets the logits that it gets alone, and masked columns stay masked") {
  const double_model model = random_model();
  align::activations<double> at = some_contexts();
  const align::Index n = at.logits.cols();
  model.forward(at, 0, n);
  const double_model::logit_matrix together = at.logits;
  model.forward(at, 2, n - 2);
  CHECK(at.logits.topRows(align::vocabulary).isApprox(together.topRows(align::vocabulary), 1e-13));
  CHECK((at.logits.bottomRows(align::logit_columns - align::vocabulary).array() == -std::numeric_limits<double>::infinity())
            .all());
  CHECK(together.col(0) == together.col(1));
}

TEST_CASE("adam: first steps equal the published update") {
  Eigen::VectorXd parameters(2), gradient(2);
  parameters << 1, -2;
  gradient << 0.5, -4;
  const double epsilon = 1e-3, rate = 0.1;
  align::adam<double> optimizer(2, epsilon);
  optimizer.step(parameters, gradient, rate);
  // After one step the corrected moments are g and g².
  CHECK(parameters[0] == doctest::Approx(1 - rate * 0.5 / (0.5 + epsilon)).epsilon(1e-12));
  CHECK(parameters[1] == doctest::Approx(-2 + rate * 4 / (4 + epsilon)).epsilon(1e-12));
  const double before = parameters[0];
  gradient[0] = -1;
  optimizer.step(parameters, gradient, rate);
  const double mean = (0.9 * 0.1 * 0.5 + 0.1 * -1) / (1 - 0.81);
  const double square = (0.999 * 0.001 * 0.25 + 0.001 * 1) / (1 - 0.998001);
  CHECK(parameters[0] == doctest::Approx(before - rate * mean / (std::sqrt(square) + epsilon)).epsilon(1e-9));
}

TEST_CASE("reward model: gradient of the preference loss equals central finite differences") {
  align::reward_model<double> reward;
  align::random_stream random(3);
  for (double& w : reward.weights()) w = random.uniform() - 0.5;
  const std::vector<align::word> preferred = {word_of("abacus"), word_of("banana"), word_of("tree")};
  const std::vector<align::word> other = {word_of("abacux"), word_of("banan"), word_of("abacus")};
  Eigen::VectorXd gradient = Eigen::VectorXd::Zero(reward.weights().size());
  reward.loss(preferred, other, gradient);
  const double step = 1e-5;
  int nonzero = 0;
  for (Eigen::Index i = 0; i < gradient.size(); ++i) {
    if (gradient[i] == 0 && i % 101 != 0) continue;
    nonzero += gradient[i] != 0;
    Eigen::VectorXd ignored = gradient;
    const double kept = reward.weights()[i];
    reward.weights()[i] = kept + step;
    const double above = reward.loss(preferred, other, ignored);
    reward.weights()[i] = kept - step;
    const double below = reward.loss(preferred, other, ignored);
    reward.weights()[i] = kept;
    CHECK((above - below) / (2 * step) == doctest::Approx(gradient[i]).epsilon(1e-7));
  }
  CHECK(nonzero > 20);
}

TEST_CASE("reward model: n-grams are counted between the boundary marks") {
  // ^ a b c $ has 5 + 4 + 3 + 2 n-grams of length 1 to 4.
  CHECK(align::ngram_features(word_of("abc")).count == 14);
  const align::ngram_features longest(word_of("abcdefghijklmn"));
  CHECK(longest.count == 16 + 15 + 14 + 13);
}

TEST_CASE("sampler: responses keep their prefix, end once, and follow the model's probabilities") {
  align::random_stream random(11);
  const align::language_model<float> model(random);
  const align::word prefix = word_of("con");
  const std::vector<align::word> prefixes(4000, prefix);
  align::sampler sample;
  align::rollouts drawn;
  sample(model, prefixes, random, drawn);
  REQUIRE(drawn.words.size() == prefixes.size());
  REQUIRE(drawn.offsets.back() == drawn.n_tokens());

  std::vector<double> count(align::vocabulary, 0.0);
  for (std::size_t r = 0; r < drawn.words.size(); ++r) {
    const align::word& w = drawn.words[r];
    CHECK(w.prefix(align::prompt_length).text() == "con");
    const auto begin = static_cast<std::size_t>(drawn.offsets[r]);
    const auto end = static_cast<std::size_t>(drawn.offsets[r + 1]);
    const bool chose_to_end = drawn.tokens[end - 1] == align::end_of_word;
    CHECK(chose_to_end != w.full());
    const std::size_t letters = end - begin - (chose_to_end ? 1 : 0);
    REQUIRE(static_cast<std::size_t>(w.length) == align::prompt_length + letters);
    for (std::size_t i = 0; i < letters; ++i) CHECK(drawn.tokens[begin + i] == w[align::prompt_length + static_cast<int>(i)]);
    count[static_cast<std::size_t>(drawn.tokens[begin])] += 1;
  }
  // First tokens against softmax of the logits: a multinomial, each count within 5 standard deviations.
  Eigen::ArrayXd p = drawn.at.logits.col(0).head(align::vocabulary).cast<double>().array().exp();
  p /= p.sum();
  for (Eigen::Index a = 0; a < p.size(); ++a) {
    const double expected = 4000 * p[a];
    CHECK(std::abs(count[static_cast<std::size_t>(a)] - expected) <= 5 * std::sqrt(expected * (1 - p[a])) + 1);
  }
}

TEST_CASE("sampler: positions pair every token with the context it was drawn in") {
  align::random_stream random(12);
  const align::language_model<float> model(random);
  align::sampler sample;
  align::rollouts drawn;
  sample(model, std::vector<align::word>(50, word_of("pre")), random, drawn);
  for (std::size_t r = 0; r < drawn.words.size(); ++r)
    for (auto i = drawn.offsets[r]; i < drawn.offsets[r + 1]; ++i) {
      const int letters = align::prompt_length + static_cast<int>(i - drawn.offsets[r]);
      const align::context_features expected(drawn.words[r].prefix(letters));
      const auto column = static_cast<std::size_t>(drawn.position[static_cast<std::size_t>(i)]);
      CHECK(drawn.at.features[column].active == expected.active);
    }
}
