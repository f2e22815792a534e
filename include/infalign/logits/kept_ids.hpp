// SPDX-License-Identifier: Apache-2.0
/// \file
/// Which ids a sampler could have drawn, token by token: after top-k, top-p or min-p, probabilities are those among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "infalign/backend/backend.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/core/any_rows.hpp"
#include "infalign/logits/logit_map.hpp"
#include "infalign/logits/token_ids.hpp"

namespace infalign {

/// For token `t` the ids `ids[offsets[t] … offsets[t+1])`, ascending, its own among them; without offsets, every id.
template <class Space = host_memory>
struct kept_ids {
  using memory_space = Space;
  token_ids<Space> ids{};
  span<const index_t, Space> offsets{};
  [[nodiscard]] INFALIGN_HD constexpr bool is_all() const { return offsets.data() == nullptr && ids.empty(); }
};

namespace detail {

/// What kernels read: the rows of a batch, or what is kept of them, packed.
template <class L, class Space>
struct row_batch {
  any_rows<const L, Space> policy;
  any_rows<const L, Space> base;
  token_ids<Space> tokens;
  logit_map map;
  token_weights<Space> thresholds;
  const std::int32_t* columns = nullptr;  ///< of the sampled tokens in packed rows

  INFALIGN_HD const L* base_row(index_t t) const { return base.empty() ? nullptr : base[t].data(); }
  INFALIGN_HD logit_map map_of(index_t t) const {
    logit_map of_row = map;
    if (!thresholds.empty()) of_row.floor = thresholds[t];
    return of_row;
  }
  /// Where the sampled token stands in its row, or -1.
  INFALIGN_HD index_t column(index_t t) const { return columns != nullptr ? columns[t] : tokens[t]; }
};

/// The position of id `token` in the list of token `t`, or -1.
template <class Team, class Space>
INFALIGN_HD index_t position_of(Team& team, const kept_ids<Space>& kept, index_t t, index_t token) {
  const index_t begin = kept.offsets[t];
  const double after = team.sum_items(
      kept.offsets[t + 1] - begin, [&](index_t i) { return kept.ids[begin + i] == token ? static_cast<double>(i + 1) : 0.0; });
  return static_cast<index_t>(after) - 1;
}

/// Packs what is kept of each row.
template <class L, class Space>
struct gather_kernel {
  row_batch<L, Space> from;
  kept_ids<Space> kept;
  token_weights<Space> weights;
  L* policy;
  L* base;
  std::int32_t* columns;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    if (from.tokens.ignores(t) || weights[t] == 0) return;
    const index_t begin = kept.offsets[t];
    const L* const row = from.policy[t].data();
    const L* const base_row = from.base_row(t);
    team.items(kept.offsets[t + 1] - begin, [&](index_t i) {
      const index_t id = kept.ids[begin + i];
      policy[begin + i] = row[id];
      if (base_row != nullptr) base[begin + i] = base_row[id];
    });
    const index_t column = position_of(team, kept, t, from.tokens[t]);
    team.once([&] { columns[t] = static_cast<std::int32_t>(column); });
  }
};

/// What a row that is left out gets.
template <class Team, class G>
INFALIGN_HD void clear_row(Team& team, G* row, index_t columns) {
  using T = compute_t<G>;
  team.template loop<T>(columns, [=](auto at, auto) { at.store(row, typename Team::template vec<T>(T(0))); });
}

/// Spreads packed gradients over rows that are 0 elsewhere.
template <class G, class Space>
struct scatter_kernel {
  kept_ids<Space> kept;
  const G* packed;
  any_rows<G, Space> gradient;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    G* const row = gradient[t].data();
    clear_row(team, row, gradient.columns());
    const index_t begin = kept.offsets[t];
    team.items(kept.offsets[t + 1] - begin, [&](index_t i) { row[kept.ids[begin + i]] = packed[begin + i]; });
  }
};

/// `use(rows)` with what kernels read of a batch.
template <class B, class Batch, class Space, class Use>
void with_kept_rows(B& on, const Batch& batch, const token_weights<Space>& weights, const Use& use) {
  using L = typename Batch::value_type;
  const row_batch<L, Space> whole{batch.policy, batch.base, batch.tokens, batch.map, batch.thresholds};
  if (batch.kept.is_all()) return use(whole);
  auto frame = on.scratch();
  const index_t n = batch.kept.ids.size(), columns = batch.policy.columns();
  const auto packed = [&](const L* values) {
    return any_rows<const L, Space>::packed(span<const L, Space>(values, n), batch.kept.offsets, columns);
  };
  L* const policy = frame.template take<L>(n);
  L* const base = batch.base.empty() ? nullptr : frame.template take<L>(n);
  auto* const positions = frame.template take<std::int32_t>(batch.tokens.size());
  on.groups(batch.tokens.size(), 4 * n, gather_kernel<L, Space>{whole, batch.kept, weights, policy, base, positions});
  use(row_batch<L, Space>{packed(policy), batch.base.empty() ? any_rows<const L, Space>() : packed(base), batch.tokens,
                          batch.map, batch.thresholds, positions});
}

/// `use(rows)` with where kernels write the gradient of such rows.
template <class B, class G, class Space, class Use>
void with_kept_gradient(B& on, const kept_ids<Space>& kept, const any_rows<G, Space>& gradient, const Use& use) {
  if (kept.is_all()) return use(gradient);
  auto frame = on.scratch();
  G* const packed = frame.template take<G>(kept.ids.size());
  use(any_rows<G, Space>::packed(span<G, Space>(packed, kept.ids.size()), kept.offsets, gradient.columns()));
  on.groups(gradient.size(), gradient.total(), scatter_kernel<G, Space>{kept, packed, gradient});
}

/// Flags tokens whose list does not ascend within `[0, columns)`, or does not hold the token, where it must.
template <class Space>
struct check_kept_kernel {
  kept_ids<Space> kept;
  token_ids<Space> tokens;
  token_weights<Space> weights;
  index_t columns;
  bool holds_token;
  double* flags;

  template <class Team>
  INFALIGN_HD void operator()(Team& team, index_t t) const {
    const index_t begin = kept.offsets[t];
    const double bad = team.sum_items(kept.offsets[t + 1] - begin, [&](index_t i) {
      const index_t id = kept.ids[begin + i], below = i == 0 ? -1 : kept.ids[begin + i - 1];
      return id >= 0 && id < columns && id > below ? 0.0 : 1.0;
    });
    const bool reads = holds_token && !tokens.ignores(t) && weights[t] != 0 && tokens[t] >= 0;
    const bool lacks = reads && position_of(team, kept, t, tokens[t]) < 0;
    team.once([&] { flags[t] = bad + (lacks ? 1 : 0); });
  }
};

template <class Space>
INFALIGN_KEYED void check_weights_size(std::string_view function, const token_weights<Space>& weights, index_t tokens) {
  weights.visit([&](const auto& values) {
    expects_span(function, "weights", values);
    expects<shape_error>(values.empty() || values.size() == tokens, function, "weights has ", values.size(),
                         " values, but there are ", tokens, " tokens");
  });
}

/// `name`: of the lists, for messages. `holds_token`: each must hold the token's own id.
template <class B, class Space>
void check_id_lists(B& on, std::string_view function, const std::string& name, const kept_ids<Space>& kept,
                    const token_ids<Space>& of, index_t columns, const token_weights<Space>& weights, bool holds_token) {
  const index_t tokens = of.size();
  expects_span(function, name + ".offsets", kept.offsets);
  expects<shape_error>(kept.offsets.size() == tokens + 1, function, name, ".offsets has ", kept.offsets.size(),
                       " values, but there are ", tokens, " tokens");
  check_weights_size(function, weights, tokens);  // they are read below
  kept.ids.visit([&]<class Id>(const span<const Id, Space>& ids) {
    expects_groups(on, function, name, ragged<const Id, Space>(ids, kept.offsets));
  });
  if (!on.checks_values()) return;
  auto frame = on.scratch();
  double* const flags = frame.template take<double>(tokens);
  on.groups(tokens, 4 * kept.ids.size(), check_kept_kernel<Space>{kept, of, weights, columns, holds_token, flags});
  const index_t t = on.template first<double>(tokens, is_positive{flags});
  if (t == tokens) return;
  const auto id_at = [&](index_t i) {
    return kept.ids.visit([&](const auto& ids) { return static_cast<index_t>(on.read(ids.data() + i)); });
  };
  const index_t begin = on.read(kept.offsets.data() + t), end = on.read(kept.offsets.data() + t + 1);
  for (index_t i = begin; i < end; ++i) {
    const index_t id = id_at(i);
    expects<domain_error>(id >= 0 && id < columns, function, name, ".ids[", i, "] is ", id, ", must be in [0, ", columns - 1,
                          "]");
    expects<domain_error>(i == begin || id_at(i - 1) < id, function, name, ".ids[", i, "] is ", id,
                          ", those of a token must ascend, none twice");
  }
  const index_t token = of.visit([&](const auto& ids) { return static_cast<index_t>(on.read(ids.data() + t)); });
  raise<domain_error>(function, name, ".ids of token ", t, " do not hold its own id, ", token);
}

template <class B, class Batch, class Space>
void check_kept(B& on, std::string_view function, const Batch& batch, const token_weights<Space>& weights) {
  if (!batch.kept.is_all())
    check_id_lists(on, function, "kept", batch.kept, batch.tokens, batch.policy.columns(), weights, true);
}

}  // namespace detail

}  // namespace infalign
