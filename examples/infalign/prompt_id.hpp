// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "json_text.hpp"
#include "printable.hpp"

namespace command {

/// `"prompt_id"`: an integer or a string. The integer 7 and the string "7" are different prompts.
struct prompt_id {
  bool is_text;
  std::string_view bytes;  ///< the string itself, or the digits of the integer

  [[nodiscard]] bool is_there() const { return bytes.data() != nullptr; }
};

/// The id as JSON: `7` or `"seven"`.
inline std::string json(const prompt_id& id) {
  return id.is_text ? json_string(id.bytes) : std::string(id.bytes);
}

/// The id in a message: the beginning of its JSON.
inline std::string shown(const prompt_id& id) {
  constexpr std::size_t enough = 400;  // bytes, of which the characters shown are a part
  return excerpt(json({id.is_text, id.bytes.substr(0, enough)}));
}

}  // namespace command
