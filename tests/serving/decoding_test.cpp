// SPDX-License-Identifier: Apache-2.0
/// Controlled decoding on a small Markov chain: probabilities of whole responses against enumeration.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <infalign/serving.hpp>
#include <map>
#include <string>
#include <vector>

#include "serving/finite_policy.hpp"

using namespace infalign;

namespace {

constexpr index_t decoded_prompts = test::draws(40'000);

/// Tokens a, b and '.', which ends: the next one's probability depends on the last.
std::vector<double> next_probabilities(const std::string& prefix) {
  if (prefix.empty()) return {0.5, 0.3, 0.2};
  return prefix.back() == 'a' ? std::vector<double>{0.2, 0.7, 0.1} : std::vector<double>{0.6, 0.15, 0.25};
}
bool ended(const std::string& text) {
  return text.ends_with('.');
}
/// A prefix score without ties among different texts of a length: each b counts by its place, an end a little.
double prefix_value(const std::string& text) {
  double value = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    value += text[i] == 'b'   ? 1 / (1.0 + static_cast<double>(i * i))
             : text[i] == '.' ? 0.37 / (1.0 + static_cast<double>(i))
                              : 0;
  return value;
}

/// All ways to extend `prefix` by at most `length` tokens, with their probabilities.
void for_each_block(const std::string& prefix, index_t length, double p,
                    const std::function<void(const std::string&, double)>& visit) {
  if (length == 0 || ended(prefix)) return visit(prefix, p);
  const auto next = next_probabilities(prefix);
  for (std::size_t z = 0; z < 3; ++z) for_each_block(prefix + "ab."[z], length - 1, p * next[z], visit);
}

/// Probabilities of whole responses under best-of-K blocks: a block wins if no other scores more, `G(F(v)) - G(F(v⁻))` with `G = q^K`.
void enumerate_blocks(const std::string& prefix, index_t left, const best_of_blocks& procedure, double p,
                      std::map<std::string, double>& out) {
  if (left == 0 || ended(prefix)) return static_cast<void>(out[prefix] += p);
  std::map<double, std::pair<std::string, double>> blocks;
  const index_t length = std::min(left, procedure.length);
  for_each_block(prefix, length, 1, [&](const std::string& text, double share) { blocks[prefix_value(text)] = {text, share}; });
  double below = 0;
  for (const auto& [value, block] : blocks) {
    const auto k = static_cast<double>(procedure.candidates);
    const double wins = std::pow(below + block.second, k) - std::pow(below, k);
    below += block.second;
    const auto used = static_cast<index_t>(block.first.size() - prefix.size());
    enumerate_blocks(block.first, left - used, procedure, p * wins, out);
  }
  CHECK(below == doctest::Approx(1));  // no two blocks share a score
}

std::vector<std::string> extend_texts(span<const block_request<std::string>> requests) {
  std::vector<std::string> extended;
  for (const auto& r : requests) {
    std::string text = *r.prefix;
    for (index_t i = 0; i < r.length && !ended(text); ++i)
      text += "ab."[test::outcome_of(next_probabilities(text), uniform_at(r.seed, static_cast<std::uint64_t>(i)))];
    extended.push_back(text);
  }
  return extended;
}
std::vector<double> score_texts(span<const block_request<std::string>>, span<const std::string> texts) {
  std::vector<double> values;
  for (const std::string& text : texts) values.push_back(prefix_value(text));
  return values;
}

template <class Count>
void check_texts(const std::map<std::string, double>& expected, const Count& counts) {
  double sum = 0;
  for (const auto& one : expected) {
    const std::string& text = one.first;
    const double p = one.second;
    const auto found = counts.find(text);
    const double share = found == counts.end() ? 0 : static_cast<double>(found->second) / static_cast<double>(decoded_prompts);
    CAPTURE(text);
    CAPTURE(share);
    CAPTURE(p);
    // Rare texts are not normal: a few counts more.
    CHECK(std::abs(share - p) <= 4 * std::sqrt(p * (1 - p) / decoded_prompts) + 4.0 / decoded_prompts);
    sum += share;
  }
  CHECK(sum == doctest::Approx(1));  // nothing else was served
}

}  // namespace

TEST_CASE("best of K blocks: every response against enumeration, costs to the token") {
  for (const auto& procedure :
       {best_of_blocks(1, 2, 5), best_of_blocks(2, 2, 5), best_of_blocks(3, 1, 4), best_of_blocks(2, 10, 4)}) {
    std::map<std::string, double> expected;
    enumerate_blocks("", procedure.most_tokens, procedure, 1, expected);
    index_t tokens = 0, calls = 0;
    const auto counted = [&](span<const block_request<std::string>> requests) {
      ++calls;
      auto extended = extend_texts(requests);
      for (index_t i = 0; i < requests.size(); ++i)
        tokens += static_cast<index_t>(extended[static_cast<std::size_t>(i)].size() - requests[i].prefix->size());
      return extended;
    };
    const auto result =
        serve_blocks(procedure, counted, score_texts, ended, std::vector<std::string>(decoded_prompts), decoded_prompts, 1);
    std::map<std::string, index_t> counts;
    for (const auto& prompt : result.prompts) ++counts[prompt.response];
    check_texts(expected, counts);
    CHECK(result.cost.tokens == tokens);
    CHECK(result.cost.samples == result.cost.scores);
    CHECK(result.sampler_calls == calls);
    CHECK(calls == (procedure.most_tokens + procedure.length - 1) / procedure.length);
    CHECK(result.prompts[0].score == prefix_value(result.prompts[0].response));
  }
}

TEST_CASE("blocks: a start is extended, a finished one costs nothing; any order of prompts") {
  const best_of_blocks procedure(3, 2, 4);
  const std::vector<std::string> starts{"ab", "b.", "", "a"};
  const auto result = serve_blocks(procedure, extend_texts, score_texts, ended, starts, 4, 5);
  CHECK(result.prompts[1].response == "b.");
  CHECK(result.prompts[1].cost == serving_cost{});
  CHECK(result.prompts[0].response.starts_with("ab"));
  CHECK(result.prompts[0].response.size() <= 6);
  CHECK(result.prompts[0].cost.samples % 3 == 0);
  const std::vector<std::uint64_t> numbers{3, 0};
  const auto turned =
      serve_blocks(procedure, extend_texts, score_texts, ended, std::vector<std::string>{"a", "ab"}, numbers, 5);
  CHECK(turned.prompts[0].response == result.prompts[3].response);
  CHECK(turned.prompts[1].response == result.prompts[0].response);
  CHECK(serve_blocks(procedure, extend_texts, score_texts, ended, std::vector<std::string>(), 0).sampler_calls == 0);
}

TEST_CASE("blocks: of equal candidates the first") {
  const auto extend = [](span<const block_request<std::string>> requests) {
    std::vector<std::string> extended;
    for (const auto& r : requests) extended.push_back(*r.prefix + static_cast<char>('0' + r.attempt));
    return extended;
  };
  const auto flat = [](span<const block_request<std::string>> requests, span<const std::string>) {
    return std::vector<float>(static_cast<std::size_t>(requests.size()), 1);
  };
  const auto result = serve_blocks(best_of_blocks(3, 1, 4), extend, flat, ended, std::vector<std::string>(1), 1);
  CHECK(result.prompts[0].response == "0000");
  CHECK(result.prompts[0].attempt == 0);
}

TEST_CASE("tokens tilted by a prefix scorer: every response against enumeration") {
  const auto text_of = [](span<const index_t> tokens) {
    std::string text;
    for (const index_t z : tokens) text += "ab."[z];
    return text;
  };
  const auto logits = [&](span<const token_request> requests) {
    std::vector<float> rows_of;
    for (const auto& r : requests)
      for (const double p : next_probabilities(text_of(r.response))) rows_of.push_back(static_cast<float>(std::log(p)) + 100);
    return rows_of;
  };
  const auto values = [&](span<const token_request> requests) {
    std::vector<double> rows_of;
    for (const auto& r : requests)
      for (const char z : {'a', 'b', '.'}) rows_of.push_back(prefix_value(text_of(r.response) + z));
    return rows_of;
  };
  for (const double beta : {0.5, 1e6, 1e-3}) {
    CAPTURE(beta);
    std::map<std::string, double> expected;
    const std::function<void(const std::string&, double)> walk = [&](const std::string& prefix, double p) {
      if (prefix.size() == 4 || ended(prefix)) return static_cast<void>(expected[prefix] += p);
      const auto next = next_probabilities(prefix);
      double total = 0, tilted[3];
      for (std::size_t z = 0; z < 3; ++z)
        total += tilted[z] = next[z] * std::exp((prefix_value(prefix + "ab."[z]) - prefix_value(prefix + 'b')) / beta);
      for (std::size_t z = 0; z < 3; ++z) walk(prefix + "ab."[z], p * tilted[z] / total);
    };
    walk("", 1);
    const auto result = serve_tokens(tilted_tokens(kl_weight(beta), 3, 2, 4), logits, values, decoded_prompts, 6);
    std::map<std::string, index_t> counts;
    index_t tokens = 0;
    for (const auto& prompt : result.prompts) {
      ++counts[text_of(prompt.response)];
      tokens += static_cast<index_t>(prompt.response.size());
    }
    check_texts(expected, counts);
    CHECK(result.cost == serving_cost{tokens, 3 * tokens, tokens});
    CHECK(result.sampler_calls == 4);
    CHECK(result.prompts[0].score == prefix_value(text_of(result.prompts[0].response)));
  }
}

TEST_CASE("tokens: a masked token never comes, a lone one always does, no end") {
  const auto masked = [](span<const token_request> requests) {
    std::vector<double> rows_of;
    for (index_t i = 0; i < requests.size(); ++i) rows_of.insert(rows_of.end(), {-INFINITY, 3, -INFINITY});
    return rows_of;
  };
  const auto values = [](span<const token_request> requests) {
    return std::vector<float>(static_cast<std::size_t>(3 * requests.size()), 1e30f);
  };
  const auto result = serve_tokens(tilted_tokens(kl_weight(1), 3, -1, 5), masked, values, 20);
  for (const auto& prompt : result.prompts) CHECK(prompt.response == std::vector<index_t>(5, 1));
  CHECK(serve_tokens(tilted_tokens(kl_weight(1), 3, -1, 5), masked, values, 0).sampler_calls == 0);
  std::vector<double> tilted{0, -INFINITY};
  CHECK(detail::pick_token(tilted, 0, 1) == 0);  // as rounding of the sum may have it
}
