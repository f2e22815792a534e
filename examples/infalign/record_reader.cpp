// SPDX-License-Identifier: Apache-2.0
#include "record_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace command {

namespace {

constexpr std::string_view blanks = " \t\r\n";

/// Whether a key can be compared byte by byte with that of a flat record, behind which so many bytes can be read.
bool is_plain(const std::string& key) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; };
  return key.size() + 2 <= text_reader::padding && std::all_of(key.begin(), key.end(), plain);
}

std::string quoted(const std::string& key) {
  return '"' + key + '"';
}

}  // namespace

record_reader::record_reader(const std::string& path, const record_options& options)
    : options_(options), text_(path), any_(options), csv_(options) {
  const bool usual = options.reward_field.empty();
  chosen_ = {quoted(options.prompt_field), quoted(usual ? "reward" : options.reward_field),
             quoted(usual ? "rewards" : options.reward_field),
             options.cluster_field.empty() ? "" : quoted(options.cluster_field)};
  if (!options.second_field.empty() || !options.stratum_field.empty() || !options.answer_field.empty())
    keys_ = flat_keys::none;
  else if (usual && options.prompt_field == "prompt_id" && options.cluster_field.empty())
    keys_ = flat_keys::usual;
  else if (is_plain(options.prompt_field) && is_plain(options.reward_field) && is_plain(options.cluster_field))
    keys_ = flat_keys::chosen;
  else
    keys_ = flat_keys::none;
}

void record_reader::reserve_fields(std::vector<std::string_view> names) {
  reserved_ = std::move(names);
  for (const std::string_view name : reserved_)  // flat records are not searched for reserved names that are read
    if (quoted(std::string(name)) == chosen_.prompt || quoted(std::string(name)) == chosen_.reward) keys_ = flat_keys::none;
}

bool record_reader::read_flat() {
  if (keys_ == flat_keys::none) return false;
  const bool read = keys_ == flat_keys::usual ? flat_.read(text(), flat_record::usual_keys{}, reserved_, record_.rewards)
                                              : flat_.read(text(), chosen_, reserved_, record_.rewards);
  if (!read || (!options_.cluster_field.empty() && !flat_.cluster.is_there())) return false;
  record_.prompt = flat_.prompt;
  record_.cluster = flat_.cluster;
  record_.is_list = flat_.is_list;
  record_.is_count = false;
  return true;
}

/// Chooses the format, and reads the header of CSV.
void record_reader::begin() {
  const char first = text_.first();
  if (options_.format == "json" || (options_.format == "auto" && first == '['))
    format_ = record_format::json_array;
  else if (options_.format == "csv" || (options_.format == "auto" && first != '{' && first != '\0'))
    format_ = record_format::csv;
  records_ = format_ == record_format::json_lines   ? split_lines(text_)
             : format_ == record_format::json_array ? split_array(text_)
                                                    : split_rows(text_);
  if (format_ != record_format::csv || first == '\0') return;
  do records_->next();
  while (text().find_first_not_of(blanks) == std::string_view::npos);
  try {
    csv_.read_header(text(), reserved_);
  } catch (const failure& wrong) {
    fail_here("{}", wrong.what());
  }
  header_ = text();
}

void record_reader::read_any() {
  try {
    if (format_ == record_format::csv)
      csv_.read(text(), record_);
    else
      any_.read(text(), records_->unfinished(), reserved_, record_);
  } catch (const failure& wrong) {
    fail_here("{}", wrong.what());
  }
  for (const double reward : record_.rewards) missing_ += std::isnan(reward);
}

bool record_reader::next() {
  if (records_ == nullptr) begin();
  while (records_->next()) {
    if (format_ != record_format::csv && read_flat()) return true;
    if (text().find_first_not_of(blanks) == std::string_view::npos) continue;
    read_any();
    return true;
  }
  return false;
}

}  // namespace command
