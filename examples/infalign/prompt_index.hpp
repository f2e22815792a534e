// SPDX-License-Identifier: Apache-2.0
/// \file
/// Prompts by their ids: 0, 1, 2 … in the order in which they were first seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prompt_id.hpp"

namespace command {

/// A hash table with open addressing over ids that lie one after another in one array: about 20 bytes a prompt beside its id.
class prompt_index {
 public:
  [[nodiscard]] std::size_t size() const { return ends_.size(); }

  [[nodiscard]] std::optional<std::uint32_t> find(const prompt_id& id) const {
    if (slots_.empty()) return std::nullopt;
    const std::uint32_t found = slots_[slot_of(id)];
    return found == empty ? std::nullopt : std::optional(found);
  }

  std::uint32_t find_or_add(const prompt_id& id) {
    if (2 * (size() + 1) > slots_.size()) grow();
    std::uint32_t& slot = slots_[slot_of(id)];
    if (slot == empty) {
      slot = static_cast<std::uint32_t>(size());
      append(id);
    }
    return slot;
  }

  [[nodiscard]] prompt_id id(std::size_t prompt) const {
    const std::size_t begin = prompt == 0 ? 0 : ends_[prompt - 1];
    return {bytes_[begin] == '"', {bytes_.data() + begin + 1, ends_[prompt] - begin - 1}};
  }
  /// The id as JSON: `7` or `"seven"`.
  [[nodiscard]] std::string json(std::size_t prompt) const { return command::json(id(prompt)); }
  /// The id in a message.
  [[nodiscard]] std::string shown(std::size_t prompt) const { return command::shown(id(prompt)); }

 private:
  static constexpr std::uint32_t empty = 0xFFFFFFFFu;

  /// Where `id` is, or the free place where it would be.
  [[nodiscard]] std::size_t slot_of(const prompt_id& id) const {
    const std::size_t mask = slots_.size() - 1;
    if (last_ < size() && same(last_, id)) return last_slot_;
    std::size_t at = (std::hash<std::string_view>{}(id.bytes) + (id.is_text ? 1 : 0)) & mask;
    while (slots_[at] != empty && !same(slots_[at], id)) at = (at + 1) & mask;
    last_ = slots_[at];
    last_slot_ = at;
    return at;
  }
  [[nodiscard]] bool same(std::uint32_t prompt, const prompt_id& other) const {
    const prompt_id own = id(prompt);
    return own.is_text == other.is_text && own.bytes == other.bytes;
  }
  void append(const prompt_id& id) {
    bytes_ += id.is_text ? '"' : '#';
    bytes_ += id.bytes;
    ends_.push_back(bytes_.size());
  }
  void grow() {
    slots_.assign(slots_.empty() ? 1024 : 2 * slots_.size(), empty);
    last_ = empty;
    for (std::size_t p = 0; p < size(); ++p) slots_[slot_of(id(p))] = static_cast<std::uint32_t>(p);
  }

  std::string bytes_;  ///< of every prompt, the kind of its id and the id
  std::vector<std::size_t> ends_;
  std::vector<std::uint32_t> slots_;
  mutable std::uint32_t last_ = empty;  ///< the prompt found last, kept because the next record is often of the same
  mutable std::size_t last_slot_ = 0;
};

}  // namespace command
