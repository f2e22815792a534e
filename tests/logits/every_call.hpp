// SPDX-License-Identifier: Apache-2.0
/// \file
/// Every pass over logits, called once: see support/call_data.hpp.
#pragma once

#include <cstdint>

#include "infalign/logits/token_statistics.hpp"
#include "support/call_data.hpp"

namespace infalign::test {

template <class C>
class logits_calls {
 public:
  using T = typename C::value;

  template <class B>
  void run(B& on) {
    const token_logits<T, space> batch{logits_.rows(tokens, vocabulary), base_.rows(tokens, vocabulary), ids_.span()};
    compute_token_statistics(
        on, batch, token_statistics<T, space>{{}, statistics_[0].span(), statistics_[1].span(), statistics_[2].span()});
    read_logits(on, batch, {.kl = true, .entropy = true}, states_.span());
    compute_token_statistics(on, batch.scaled(0.8).soft_capped(1.5),
                             token_statistics<T, space>{{}, {}, statistics_[3].span(), {}});
    compute_token_statistics(on, batch.keeping(kept_.span(), kept_offsets_.span()),
                             token_statistics<T, space>{{}, {}, statistics_[4].span(), {}});
    finish_rows(on, {.kl = true, .entropy = true}, states_.span(), rows_.span());
    write_logit_gradient(on, batch, rows_.span(), coefficients_.span(), gradient_.rows(tokens, vocabulary));
  }
  [[nodiscard]] call_results results() const {
    call_results all{result_of(gradient_)};
    for (const auto& a : statistics_) all.push_back(result_of(a));
    call_result rows{all.front().unit, {}};
    for (const row_statistics& r : rows_.host()) rows.values.insert(rows.values.end(), {r.log_prob(), r.kl, r.entropy});
    all.push_back(rows);
    return all;
  }

 private:
  template <class U>
  using array = typename C::template array<U>;
  using space = typename C::backend::memory_space;
  static constexpr index_t tokens = 12, vocabulary = 5003;

  static std::vector<std::int32_t> token_ids() {
    std::vector<std::int32_t> ids;
    for (index_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>(t * 997 % vocabulary));
    return ids;
  }

  /// Each token's own id and the one behind it.
  static std::vector<std::int32_t> ids_to_keep() {
    std::vector<std::int32_t> kept;
    for (const std::int32_t id : token_ids()) kept.insert(kept.end(), {id, id + 1});
    return kept;
  }

  array<T> logits_{normal_values<T>(tokens * vocabulary, 5)}, base_{normal_values<T>(tokens * vocabulary, 6)};
  array<std::int32_t> ids_{token_ids()}, kept_{ids_to_keep()};
  array<index_t> kept_offsets_{equal_offsets(tokens, 2)};
  std::vector<array<T>> statistics_ = std::vector<array<T>>(5, array<T>(tokens));
  array<row_state> states_ = array<row_state>(tokens);
  array<row_statistics> rows_ = array<row_statistics>(tokens);
  array<row_coefficients> coefficients_ = array<row_coefficients>(tokens, row_coefficients{0.7, 0.1, -0.2});
  array<T> gradient_ = array<T>(tokens * vocabulary);
};

}  // namespace infalign::test
