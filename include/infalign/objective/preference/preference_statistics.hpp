// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "infalign/backend/overlap.hpp"
#include "infalign/backend/validate.hpp"
#include "infalign/logits/passes.hpp"

namespace infalign {

/// Where the statistics of P pairs of R responses go. An empty span is not written.
template <class T, class Space = host_memory>
struct preference_statistics {
  using memory_space = Space;
  span<T, Space> loss{};       ///< one a pair; of a loss of single responses, one a response. Not multiplied by `scale`
  span<T, Space> margin{};     ///< one a pair: `h`. The pair is ranked rightly if it is positive; trainers log `β·h`
  span<T, Space> log_prob{};   ///< one a response
  span<T, Space> log_ratio{};  ///< one a response: its log-ratio to the base policy. Trainers log `β` times it as the reward
};

namespace detail {

template <class T>
struct preference_pointers {
  T* loss;
  T* margin;
  T* log_prob;
  T* log_ratio;
};

template <class T, class Space>
INFALIGN_KEYED preference_pointers<T> pointers(const preference_statistics<T, Space>& s) {
  return {s.loss.data(), s.margin.data(), s.log_prob.data(), s.log_ratio.data()};
}

/// `each(name, span, size)` for the statistics that are wanted.
template <class T, class Space, class Each>
INFALIGN_KEYED void for_each_wanted(const preference_statistics<T, Space>& statistics, index_t losses, index_t responses,
                                    const Each& each) {
  const auto one = [&](std::string_view name, const span<T, Space>& values, index_t size) {
    if (!values.empty()) each(name, values, size);
  };
  one("statistics.loss", statistics.loss, losses);
  one("statistics.margin", statistics.margin, losses);
  one("statistics.log_prob", statistics.log_prob, responses);
  one("statistics.log_ratio", statistics.log_ratio, responses);
}

/// The right sizes, apart from each other and from the other result.
template <class T, class Space, class Out>
INFALIGN_KEYED void check_statistics(std::string_view function, const preference_statistics<T, Space>& statistics,
                                     index_t losses, index_t responses, std::string_view out_name, const Out& out) {
  for_each_wanted(statistics, losses, responses, [&](std::string_view name, const auto& values, index_t size) {
    expects_span(function, name, values);
    expects<shape_error>(values.size() == size, function, name, " has ", values.size(), " values, must have ", size);
    expects_apart(function, name, values, out_name, out);
    for_each_wanted(statistics, losses, responses, [&](std::string_view other_name, const auto& other, index_t) {
      if (name < other_name) expects_apart(function, name, values, other_name, other);
    });
  });
}

}  // namespace detail

}  // namespace infalign
