// SPDX-License-Identifier: Apache-2.0
/// \file
/// The task: complete a word. A prompt is the first three letters, a response is the rest of the word and the end mark.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "random_stream.hpp"

namespace align {

inline constexpr int n_letters = 26;
inline constexpr int end_of_word = 26;
inline constexpr int vocabulary = 27;  ///< 26 letters and the end mark
inline constexpr int prompt_length = 3;
inline constexpr int longest_word = 14;

/// A word or the beginning of one, letters as 0 … 25.
struct word {
  std::array<std::uint8_t, longest_word> letter{};
  int length = 0;

  void append(int token) { letter[static_cast<std::size_t>(length++)] = static_cast<std::uint8_t>(token); }
  /// Letter at `position`; a negative position counts from the end (-1 is the last letter).
  [[nodiscard]] int operator[](int position) const {
    return letter[static_cast<std::size_t>(position < 0 ? length + position : position)];
  }
  [[nodiscard]] bool full() const { return length == longest_word; }
  [[nodiscard]] word prefix(int n) const {
    word begin;
    for (int i = 0; i < n; ++i) begin.append((*this)[i]);
    return begin;
  }
  [[nodiscard]] std::string text() const {
    std::string characters;
    for (int i = 0; i < length; ++i) characters += static_cast<char>('a' + (*this)[i]);
    return characters;
  }
};

/// Three letters and the dictionary words that begin with them.
struct prompt {
  word prefix;
  std::vector<word> dictionary;
};

/// Prompts that training may use, and those that every reported figure comes from.
struct prompt_split {
  std::vector<prompt> train;
  std::vector<prompt> held_out;
};

/// Lower-case words of 4 to 14 letters, in the order of the file. Throws `std::runtime_error` if there are none.
inline std::vector<word> read_words(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read the word list '" + path + "' (Debian package: wamerican)");
  std::vector<word> words;
  for (std::string line; std::getline(file, line);) {
    const bool lower_case = std::all_of(line.begin(), line.end(), [](char c) { return c >= 'a' && c <= 'z'; });
    if (!lower_case || line.size() <= prompt_length || line.size() > longest_word) continue;
    words.emplace_back();
    for (const char c : line) words.back().append(c - 'a');
  }
  if (words.empty()) throw std::runtime_error("no lower-case words of 4 to 14 letters in '" + path + "'");
  return words;
}

/// Every three-letter prefix of a word, `held_out_share` of them held out at random.
/// Throws `std::runtime_error` if that is none.
inline prompt_split split_prompts(const std::vector<word>& words, double held_out_share, random_stream& random) {
  std::map<std::string, prompt> by_prefix;
  for (const word& w : words) {
    prompt& p = by_prefix[w.prefix(prompt_length).text()];
    p.prefix = w.prefix(prompt_length);
    p.dictionary.push_back(w);
  }
  std::vector<prompt> prompts;
  for (auto& [text, p] : by_prefix) prompts.push_back(std::move(p));
  random.shuffle(prompts);
  const auto n_held_out = static_cast<std::ptrdiff_t>(held_out_share * static_cast<double>(prompts.size()));
  if (n_held_out == 0)
    throw std::runtime_error("the word list has only " + std::to_string(prompts.size()) +
                             " different beginnings, too few to hold any out");
  prompt_split split;
  split.held_out.assign(prompts.begin(), prompts.begin() + n_held_out);
  split.train.assign(prompts.begin() + n_held_out, prompts.end());
  return split;
}

}  // namespace align
