// SPDX-License-Identifier: Apache-2.0
/// \file
/// Win rates of small prompts: the library's, on vectors of the test, and the procedures that are tried.
#pragma once

#include <cstdint>
#include <vector>

#include "infalign/evaluation/procedure_win_rate.hpp"
#include "infalign/procedure/best_of.hpp"
#include "infalign/procedure/standard.hpp"
#include "infalign/procedure/worst_of.hpp"
#include "support/samples.hpp"

namespace infalign::test {

template <class T>
using groups = std::vector<std::vector<T>>;

template <class T>
std::vector<T> packed(const groups<T>& prompts) {
  std::vector<T> values;
  for (const auto& p : prompts) values.insert(values.end(), p.begin(), p.end());
  return values;
}

template <class T>
std::vector<index_t> offsets(const groups<T>& prompts) {
  std::vector<index_t> sizes;
  for (const auto& p : prompts) sizes.push_back(static_cast<index_t>(p.size()));
  return offsets_of(sizes);
}

/// The library's win rates of ragged prompts.
template <class C, class Procedure, class BaseProcedure>
std::vector<double> ragged_win_rate(const groups<typename C::value>& policy, const groups<typename C::value>& base,
                                    const Procedure& procedure, const BaseProcedure& base_procedure, rank_algorithm algorithm) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  typename C::template array<T> y(packed(policy)), z(packed(base));
  typename C::template array<index_t> y_offsets(offsets(policy)), z_offsets(offsets(base));
  typename C::template array<double> out(static_cast<index_t>(policy.size()), -1.0);
  procedure_win_rate(on, y.ragged(y_offsets), z.ragged(z_offsets), procedure, base_procedure, out.span(), algorithm);
  return out.host();
}

/// The same for prompts with equally many samples.
template <class C, class Procedure, class BaseProcedure>
std::vector<double> dense_win_rate(const groups<typename C::value>& policy, const groups<typename C::value>& base,
                                   const Procedure& procedure, const BaseProcedure& base_procedure, rank_algorithm algorithm) {
  using T = typename C::value;
  typename C::backend on = C::make_backend();
  const auto prompts = static_cast<index_t>(policy.size());
  typename C::template array<T> y(packed(policy)), z(packed(base));
  typename C::template array<double> out(prompts, -1.0);
  procedure_win_rate(on, y.rows(prompts, static_cast<index_t>(policy[0].size())),
                     z.rows(prompts, static_cast<index_t>(base[0].size())), procedure, base_procedure, out.span(), algorithm);
  return out.host();
}

template <class T>
groups<T> tied_prompts(const std::vector<index_t>& sizes, std::uint64_t seed, int levels) {
  groups<T> prompts;
  for (const index_t n : sizes) prompts.push_back(tied_values<T>(n, seed++, levels));
  return prompts;
}

template <class Use>
void for_each_pair_of_procedures(Use&& use) {
  use(standard{}, standard{});
  for (const index_t n : {1, 2, 3, 4}) {
    use(best_of(n), best_of(n));
    use(worst_of(n), worst_of(n));
    use(best_of(n), standard{});
    use(standard{}, worst_of(n));
  }
  use(best_of(4), best_of(2));
  use(best_of(3), worst_of(2));
}

inline constexpr rank_algorithm both[] = {rank_algorithm::counting, rank_algorithm::sorting};

}  // namespace infalign::test
