// SPDX-License-Identifier: Apache-2.0
#include "record_reader.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace command {

namespace dom = simdjson::dom;

static_assert(line_reader::padding >= simdjson::SIMDJSON_PADDING);

/// The JSON parser, which hands the fields of a record to the reader.
struct record_reader::parser {
  dom::parser json;
  char digits[24];

  void read_prompt(record_reader& into, dom::element value);
  static void read_reward(record_reader& into, dom::element value);
  static void read_rewards(record_reader& into, dom::element value);
  void read_field(record_reader& into, const dom::key_value_pair& field);
};

namespace {

constexpr std::string_view blanks = " \t\r";

/// The beginning of a value or line for a message: at most 60 bytes, cut between characters, control characters as blanks.
std::string excerpt(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::size_t size = std::min(text.size(), longest);
  if (size < text.size())
    while (size > 0 && (text[size] & 0xC0) == 0x80) --size;
  std::string out(text.substr(0, size));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return size < text.size() ? out + "…" : out;
}

std::string shown(dom::element value) {
  return excerpt(simdjson::minify(value));
}

/// Calls `use` with every word outside of strings: numbers, literals, and what is neither. Punctuation and blanks separate words.
template <class Use>
void for_each_word(std::string_view line, Use&& use) {
  constexpr std::string_view between = " \t\r{}[],:\"";
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '"') {
      do at += line[at] == '\\' ? 2 : 1;
      while (at < line.size() && line[at] != '"');
      ++at;
    } else {
      const std::size_t end = std::min(line.find_first_of(between, at), line.size());
      if (end > at) use(line.substr(at, end - at));
      at = end > at ? end : at + 1;
    }
  }
}

/// Whether the whole word would be a number of this type if its range were larger.
template <class Number>
bool out_of_range(std::string_view word) {
  Number value{};
  const char* const end = word.data() + word.size();
  const auto [stop, status] = std::from_chars(word.data(), end, value);
  return stop == end && status == std::errc::result_out_of_range;
}

/// What is wrong with a word that was meant as a number, if that can be told. For example, Python writes NaN and Infinity, which are
/// not JSON.
std::optional<std::string_view> wrong_number(std::string_view word) {
  const bool negative = word.front() == '-';
  for (const std::string_view name : {"NaN", "Infinity", "nan", "inf"})
    if (word.substr(negative ? 1 : 0) == name) return "must be a finite number";
  if (negative ? out_of_range<std::int64_t>(word) : out_of_range<std::uint64_t>(word))
    return "beyond the range of 64-bit integers";
  if (out_of_range<double>(word)) return "beyond the range of double precision";
  return std::nullopt;
}

}  // namespace

record_reader::record_reader(const std::string& path) : lines_(path), parser_(std::make_unique<parser>()) {}
record_reader::~record_reader() = default;

bool record_reader::next() {
  while (lines_.next()) {
    if (flat_.read(line(), reserved_, rewards_)) {
      prompt_ = flat_.prompt;
      is_list_ = flat_.is_list;
      return true;
    }
    if (line().find_first_not_of(blanks) == std::string_view::npos) continue;
    parse_any();
    return true;
  }
  return false;
}

void record_reader::fail_malformed(const char* why) const {
  for_each_word(line(), [&](std::string_view word) {
    if (const auto wrong = wrong_number(word)) fail_here("a value is {}, {}", excerpt(word), *wrong);
  });
  if (lines_.unfinished()) fail_here("the file ends within a record: {}", excerpt(line()));
  fail_here("not a JSON object ({}): {}", why, excerpt(line()));
}

void record_reader::parser::read_prompt(record_reader& into, dom::element value) {
  if (into.prompt_.bytes.data() != nullptr) into.fail_here("prompt_id is there twice");
  const auto integer = [&](auto number) {
    const char* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    into.prompt_ = {false, {digits, static_cast<std::size_t>(end - digits)}};
  };
  if (value.is_string())
    into.prompt_ = {true, value.get_string().value_unsafe()};
  else if (value.is_int64())
    integer(value.get_int64().value_unsafe());
  else if (value.is_uint64())
    integer(value.get_uint64().value_unsafe());
  else
    into.fail_here("prompt_id is {}, must be a string or an integer", shown(value));
}

void record_reader::parser::read_reward(record_reader& into, dom::element value) {
  if (!value.is_number()) into.fail_here("reward is {}, must be a number", shown(value));
  into.rewards_.push_back(value.get_double().value_unsafe());
  into.is_list_ = false;
}

void record_reader::parser::read_rewards(record_reader& into, dom::element value) {
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS) into.fail_here("rewards is {}, must be a list of numbers", shown(value));
  for (const dom::element reward : list) {
    if (!reward.is_number()) into.fail_here("rewards[{}] is {}, must be a number", into.rewards_.size(), shown(reward));
    into.rewards_.push_back(reward.get_double().value_unsafe());
  }
  if (into.rewards_.empty()) into.fail_here("rewards is [], must hold at least one number");
  into.is_list_ = true;
}

void record_reader::parser::read_field(record_reader& into, const dom::key_value_pair& field) {
  if (field.key == "prompt_id") return read_prompt(into, field.value);
  if (field.key == "reward" || field.key == "rewards") {
    if (!into.rewards_.empty()) into.fail_here("{} is a second one, reward or rewards must be there once", field.key);
    return field.key == "reward" ? read_reward(into, field.value) : read_rewards(into, field.value);
  }
  for (const std::string_view name : into.reserved_)
    if (field.key == name) into.fail_here("{} is there already, and would be added a second time", name);
}

void record_reader::parse_any() {
  dom::parser& json = parser_->json;
  const std::string_view text = line();
  if (text.size() > json.capacity() && json.allocate(std::max<std::size_t>(2 * text.size(), 4096)) != simdjson::SUCCESS)
    fail_here("a line of {} bytes is too long", text.size());
  dom::element root;
  if (const auto error = json.parse(text.data(), text.size(), false).get(root))
    fail_malformed(error == simdjson::TAPE_ERROR ? "commas, braces or values are wrong" : simdjson::error_message(error));
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) fail_malformed("it is something else");
  prompt_ = {};
  rewards_.clear();
  for (const dom::key_value_pair& field : object) parser_->read_field(*this, field);
  if (prompt_.bytes.data() == nullptr) fail_here("prompt_id is missing: {}", excerpt(text));
  if (rewards_.empty()) fail_here("reward (or rewards) is missing: {}", excerpt(text));
}

}  // namespace command
