// SPDX-License-Identifier: Apache-2.0
#include "json_record.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <optional>
#include <string>

#include "marked_numbers.hpp"
#include "printable.hpp"
#include "text_reader.hpp"

namespace command {

namespace dom = simdjson::dom;

static_assert(text_reader::padding >= simdjson::SIMDJSON_PADDING);

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool is_nan(std::string_view word) {
  return word == "NaN" || word == "nan";
}

/// Calls `use` with every value that `path` leads to: a key of this name, or `b` within `a` for `a.b`.
template <class Use>
void for_each_match(std::string_view key, dom::element value, std::string_view path, Use&& use) {
  if (key == path) return use(value);
  dom::object inner;
  if (path.size() <= key.size() || path[key.size()] != '.' || path.substr(0, key.size()) != key ||
      value.get(inner) != simdjson::SUCCESS)
    return;
  for (const dom::key_value_pair& field : inner) for_each_match(field.key, field.value, path.substr(key.size() + 1), use);
}

}  // namespace

struct json_record::parser {
  record_options options;
  dom::parser json;
  char digits[3][24];  ///< of the ids of prompt, cluster and stratum
  std::optional<dom::element> samples, successes;
  bool has_marks = false;
  bool found = false;  ///< whether a field with rewards is there, though perhaps empty

  std::optional<std::string_view> marked(dom::element value) const;
  std::string shown(dom::element value) const;
  dom::element parse(std::string_view text, bool unfinished);
  void read_field(const dom::key_value_pair& field, record& into);
  void read_id(const std::string& name, dom::element value, char (&buffer)[24], prompt_id& into) const;
  void read_rewards(std::string_view name, dom::element value, bool may_be_list, bool may_be_single, record& into);
  void read_answers(dom::element value, record& into) const;
  void match_answers(std::string_view text, record& into) const;
  double reward(const std::string& name, dom::element value);
  void read_counts(record& into);
  [[noreturn]] void fail_missing(const std::string& what) const;
};

json_record::json_record(const record_options& options) : parser_(std::make_unique<parser>()) {
  parser_->options = options;
}
json_record::~json_record() = default;

/// The number as it was written, if `value` stands for one that the parser does not take.
std::optional<std::string_view> json_record::parser::marked(dom::element value) const {
  std::string_view text;
  if (!has_marks || value.get(text) != simdjson::SUCCESS || text.empty() || text.front() != number_mark) return std::nullopt;
  return text.substr(1);
}

std::string json_record::parser::shown(dom::element value) const {
  if (const auto number = marked(value)) return excerpt(*number);
  return excerpt(simdjson::minify(value));
}

dom::element json_record::parser::parse(std::string_view text, bool unfinished) {
  dom::element root;
  const auto attempt = [&](std::string_view from, bool copy) {
    if (from.size() > json.capacity() && json.allocate(std::max<std::size_t>(2 * from.size(), 4096)) != simdjson::SUCCESS)
      fail("a record of {} bytes is too long", from.size());
    return json.parse(from.data(), from.size(), copy).get(root);
  };
  auto error = attempt(text, false);
  has_marks = false;
  if (error != simdjson::SUCCESS)
    if (const std::string mended = with_marked_numbers(text); mended.size() != text.size()) {
      error = attempt(mended, true);
      has_marks = true;
    }
  if (error != simdjson::SUCCESS && text.find_first_not_of(" \t\r{") == std::string_view::npos)
    fail("an object that goes on in the next line; write one a line (jq -c), or all of them as an array (jq -s)");
  if (error != simdjson::SUCCESS && unfinished) fail("the file ends within a record: {}", excerpt(text));
  if (error != simdjson::SUCCESS)
    fail("not a JSON object ({}): {}",
         error == simdjson::TAPE_ERROR ? "commas, braces or values are wrong" : simdjson::error_message(error), excerpt(text));
  if (!root.is_object()) fail("not a JSON object (it is something else): {}", excerpt(text));
  return root;
}

void json_record::parser::fail_missing(const std::string& what) const {
  fail("{} (--missing skip leaves it out)", what);
}

void json_record::parser::read_id(const std::string& name, dom::element value, char (&buffer)[24], prompt_id& into) const {
  if (into.is_there()) fail("{} is there twice", name);
  const auto integer = [&](auto number) {
    const char* const end = std::to_chars(std::begin(buffer), std::end(buffer), number).ptr;
    into = {false, {std::begin(buffer), static_cast<std::size_t>(end - std::begin(buffer))}};
  };
  if (const auto number = marked(value); number && number->find_first_not_of("-0123456789") == std::string_view::npos)
    fail("{} is {}, beyond the range of 64-bit integers", name, excerpt(*number));
  if (value.is_string() && !marked(value))
    into = {true, value.get_string().value_unsafe()};
  else if (value.is_int64())
    integer(value.get_int64().value_unsafe());
  else if (value.is_uint64())
    integer(value.get_uint64().value_unsafe());
  else
    fail("{} is {}, must be a string or an integer", name, shown(value));
}

/// NaN if it is missing.
double json_record::parser::reward(const std::string& name, dom::element value) {
  if (value.is_bool()) return value.get_bool().value_unsafe() ? 1 : 0;
  if (value.is_number()) return value.get_double().value_unsafe();
  const auto number = marked(value);
  if (std::string_view text; !number && !options.words.empty() && value.get(text) == simdjson::SUCCESS) {
    if (const auto word = options.of_word(text)) return *word;
    fail("{} is {}, must be {}", name, shown(value), options.reward_kind("a number"));
  }
  if (value.is_null() || (number && is_nan(*number))) {
    if (options.skips_missing()) return nan;
    fail_missing(fmt::format("{} is {}, must be a {}number", name, shown(value), number ? "finite " : ""));
  }
  if (!number) fail("{} is {}, must be a number", name, shown(value));
  const double parsed = std::strtod(std::string(*number).c_str(), nullptr);
  if (std::isfinite(parsed)) return parsed;
  const bool by_name = number->find_first_of("0123456789") == std::string_view::npos;
  fail("{} is {}, {}", name, excerpt(*number), by_name ? "must be a finite number" : "beyond the range of double precision");
}

void json_record::parser::read_rewards(std::string_view name, dom::element value, bool may_be_list, bool may_be_single,
                                       record& into) {
  if (found) fail("{} is a second one, the rewards must be there once", name);
  found = true;
  dom::array list;
  if (!may_be_list || value.get(list) != simdjson::SUCCESS) {
    if (!may_be_single && !value.is_null()) fail("{} is {}, must be a list of numbers", name, shown(value));
    return into.rewards.push_back(reward(std::string(name), value));
  }
  into.is_list = true;
  for (const dom::element each : list) {
    if (each.is_double() || each.is_int64())
      into.rewards.push_back(each.get_double().value_unsafe());
    else
      into.rewards.push_back(reward(fmt::format("{}[{}]", name, into.rewards.size()), each));
  }
  if (into.rewards.empty() && !options.skips_missing())
    fail_missing(fmt::format("{} is [], must hold at least one number", name));
}

/// An answer that is missing is empty.
void json_record::parser::read_answers(dom::element value, record& into) const {
  const std::string& name = options.answer_field;
  if (!into.answers.empty()) fail("{} is there twice", name);
  const auto add = [&](const std::string& each_name, dom::element each) {
    char buffer[24];
    prompt_id answer{};
    if (each.is_null() && !options.skips_missing()) fail_missing(each_name + " is null, must be a string or an integer");
    if (!each.is_null()) read_id(each_name, each, buffer, answer);
    into.answers.push_back(each.is_null() ? "" : command::json(answer));
  };
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS) return add(name, value);
  for (const dom::element each : list) add(fmt::format("{}[{}]", name, into.answers.size()), each);
}

/// As many answers as rewards. A reward without its answer is missing.
void json_record::parser::match_answers(std::string_view text, record& into) const {
  if (into.answers.empty()) {
    if (!options.skips_missing()) fail_missing(fmt::format("{} is missing: {}", options.answer_field, excerpt(text)));
    into.answers.resize(into.rewards.size());
  }
  if (into.answers.size() != into.rewards.size())
    fail("{} has {} element{}, but there are {} rewards", options.answer_field, into.answers.size(),
         into.answers.size() == 1 ? "" : "s", into.rewards.size());
  for (std::size_t i = 0; i < into.rewards.size(); ++i)
    if (into.answers[i].empty()) into.rewards[i] = nan;
}

void json_record::parser::read_field(const dom::key_value_pair& field, record& into) {
  const auto id = [&](const std::string& name, std::size_t place, prompt_id& id_of) {
    if (!name.empty())
      for_each_match(field.key, field.value, name, [&](dom::element value) { read_id(name, value, digits[place], id_of); });
  };
  id(options.prompt_field, 0, into.prompt);
  id(options.cluster_field, 1, into.cluster);
  id(options.stratum_field, 2, into.stratum);
  if (!options.answer_field.empty())
    for_each_match(field.key, field.value, options.answer_field, [&](dom::element value) { read_answers(value, into); });
  if (!options.reward_field.empty()) {
    for (const std::string* name : {&options.reward_field, &options.second_field})
      if (!name->empty())
        for_each_match(field.key, field.value, *name,
                       [&](dom::element value) { read_rewards(*name, value, true, true, into); });
  } else if (field.key == "reward" || field.key == "rewards")
    read_rewards(field.key, field.value, field.key == "rewards", field.key == "reward", into);
  else if (field.key == "n")
    samples = field.value;
  else if (field.key == "successes")
    successes = field.value;
}

/// `n` and `successes`: as many rewards, first those of 1.
void json_record::parser::read_counts(record& into) {
  const auto count = [this](const char* name, dom::element value, std::int64_t least, std::int64_t most) {
    std::int64_t number = 0;
    if (!value.is_int64() || value.get(number) != simdjson::SUCCESS || number < least || number > most)
      fail("{} is {}, must be an integer from {} to {}", name, shown(value), least, most);
    return number;
  };
  const std::int64_t n = count("n", *samples, 1, most_counted);
  into.set_counts(n, count("successes", *successes, 0, n));
}

void json_record::read(std::string_view text, bool unfinished, const std::vector<std::string_view>& reserved, record& into) {
  parser& own = *parser_;
  const dom::object object = own.parse(text, unfinished);
  into.clear();
  own.samples = own.successes = std::nullopt;
  own.found = false;
  for (const dom::key_value_pair& field : object) {
    own.read_field(field, into);
    for (const std::string_view name : reserved)
      if (field.key == name) fail("{} is there already, and would be added a second time", name);
  }
  const record_options& options = own.options;
  const auto expect_id = [&](const std::string& name, const prompt_id& id) {
    if (!name.empty() && !id.is_there()) fail("{} is missing: {}", name, excerpt(text));
  };
  expect_id(options.prompt_field, into.prompt);
  expect_id(options.cluster_field, into.cluster);
  expect_id(options.stratum_field, into.stratum);
  if (!own.found && own.samples && own.successes) {
    if (!options.answer_field.empty()) fail("{} is read, and counts of passes have no answers", options.answer_field);
    return own.read_counts(into);
  }
  if (!own.found && own.successes) fail("successes is there, but n is missing: {}", excerpt(text));
  if (!own.found && !options.skips_missing())
    own.fail_missing(fmt::format("{} is missing: {}", options.reward_name(), excerpt(text)));
  if (into.rewards.empty()) into.rewards.assign(std::max<std::size_t>(1, into.answers.size()), nan), into.is_list = false;
  if (!options.answer_field.empty()) own.match_answers(text, into);
}

}  // namespace command
