// SPDX-License-Identifier: Apache-2.0
/// \file
/// `coverage_table [GROUP…]`: how often 95 % intervals hold the truth, as the rows of a Markdown table. Bold is what is
/// below 0.94; in brackets the share of data sets that were refused or marked as unreliable, which are not counted. Ends with 1 where
/// an interval holds the truth less often than it is to.
#include <cstdio>
#include <cstring>
#include <utility>

#include "coverage/measure.hpp"

namespace infalign::coverage {

namespace {

struct cell {
  int held = 0, refused = 0;
  [[nodiscard]] double of_answered() const { return static_cast<double>(held) / (table::data_sets - refused); }
  [[nodiscard]] double held_or_refused() const { return static_cast<double>(held + refused) / table::data_sets; }
  void print() const {
    if (refused > 0.99 * table::data_sets) return static_cast<void>(std::printf(" all refused |"));
    std::printf(of_answered() < at_least ? " **%.3f**" : " %.3f", of_answered());
    if (refused > 0) std::printf(" (%.1f %%)", 100.0 * refused / table::data_sets);
    std::printf(" |");
  }
};

}  // namespace

void table::add(const std::string& data, const std::vector<promise>& estimators, const trial& one, int most) {
  std::vector<std::vector<cell>> found(estimators.size());
  std::vector<outcome> outcomes(estimators.size());
  for (const int prompts : sizes) {
    if (prompts > most) break;
    random_stream random(static_cast<std::uint64_t>(prompts) + 1);
    for (auto& row : found) row.emplace_back();
    for (int r = 0; r < data_sets; ++r) {
      one(random, prompts, outcomes);
      for (std::size_t i = 0; i < outcomes.size(); ++i) {
        found[i].back().held += outcomes[i] == outcome::held ? 1 : 0;
        found[i].back().refused += outcomes[i] == outcome::refused ? 1 : 0;
      }
    }
  }
  for (std::size_t i = 0; i < estimators.size(); ++i) {
    const promise& of = estimators[i];
    std::printf("| %s | %s |", of.estimator.c_str(), data.c_str());
    for (std::size_t k = 0; k < found[i].size(); ++k) {
      found[i][k].print();
      if (sizes[k] < of.from || found[i][k].held_or_refused() >= of.least) continue;
      ++broken_;
      std::fprintf(stderr, "%s, %s, %d prompts: %.4f, less than %.4f\n", of.estimator.c_str(), data.c_str(), sizes[k],
                   found[i][k].held_or_refused(), of.least);
    }
    std::printf(most < sizes[3] ? " |\n" : "\n");
  }
  std::fflush(stdout);
}

}  // namespace infalign::coverage

int main(int count, char** arguments) {
  using namespace infalign::coverage;
  constexpr std::pair<const char*, void (*)(table&)> groups[] = {{"means_in_a_range", means_in_a_range},
                                                                 {"means_without_a_range", means_without_a_range},
                                                                 {"functions_of_means", functions_of_means},
                                                                 {"judgments", judgments},
                                                                 {"samples", samples},
                                                                 {"off_policy", off_policy},
                                                                 {"success_rates", success_rates},
                                                                 {"sequences", sequences}};
  table of;
  std::printf("| estimator | data | P = 5 | 20 | 200 | 2000 |\n|---|---|---|---|---|---|\n");
  for (const auto& [name, group] : groups) {
    bool wanted = count == 1;
    for (int i = 1; i < count; ++i) wanted = wanted || std::strcmp(arguments[i], name) == 0;
    if (wanted) group(of);
  }
  return of.kept() ? 0 : 1;
}
