// SPDX-License-Identifier: Apache-2.0
/// \file
/// Files of records, of any bytes: each is read, or refused by one line that names it. Records that are read as JSON lines are the same
/// in an array, compressed, and, made again from what was read, as CSV.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/input.hpp"
#include "record_reader.hpp"

#ifdef INFALIGN_COMMAND_ZLIB
#include <zlib.h>
#endif
#ifdef INFALIGN_COMMAND_ZSTD
#include <zstd.h>
#endif

namespace infalign::fuzz {
namespace {

using command::record_format;

/// A file in memory.
class memory_file {
 public:
  memory_file() : file_(memfd_create("records", 0)), path_("/proc/self/fd/" + std::to_string(file_)) {}
  const std::string& hold(std::string_view text) const {
    if (ftruncate(file_, 0) != 0 || pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      std::abort();
    return path_;
  }

 private:
  int file_;
  std::string path_;
};

struct one_record {
  bool is_text;
  std::string id;
  std::vector<double> rewards;
  std::string text;

  [[nodiscard]] bool same(const one_record& other) const {
    if (is_text != other.is_text || id != other.id || rewards.size() != other.rewards.size()) return false;
    for (std::size_t i = 0; i < rewards.size(); ++i)
      if (rewards[i] != other.rewards[i] && !(std::isnan(rewards[i]) && std::isnan(other.rewards[i]))) return false;
    return true;
  }
};

struct outcome {
  record_format format = record_format::json_lines;
  std::vector<one_record> records;
  std::string error;
};

outcome read(std::string_view text, const command::record_options& options) {
  static const memory_file file;
  const std::string& path = file.hold(text);
  outcome found;
  try {
    command::record_reader in(path, options);
    while (in.next()) {
      found.records.push_back({in.prompt().is_text, std::string(in.prompt().bytes), {}, std::string(in.text())});
      if (in.rewards().empty()) disagree("a record without rewards: ", in.text());
      for (const double reward : in.rewards()) {
        if (std::isinf(reward) || (std::isnan(reward) && !options.skips_missing())) disagree("a reward of ", reward);
        found.records.back().rewards.push_back(reward);
        if (found.records.back().rewards.size() > 100) break;  // of counts
      }
    }
    found.format = in.format();
  } catch (const command::failure& wrong) {
    found.error = wrong.what();
    if (found.error.rfind(path + ":", 0) != 0) disagree("the message does not name the file: ", found.error);
    for (const char c : found.error)
      if (static_cast<unsigned char>(c) < 0x20) disagree("a control character in the message: ", found.error);
  }
  return found;
}

void expect_same(const outcome& expected, const outcome& found, const char* what) {
  if (!found.error.empty()) disagree(what, " is refused: ", found.error);
  if (expected.records.size() != found.records.size())
    disagree(what, " has ", found.records.size(), " records, not ", expected.records.size());
  for (std::size_t i = 0; i < expected.records.size(); ++i)
    if (!expected.records[i].same(found.records[i])) disagree(what, ": record ", i, " differs: ", expected.records[i].text);
}

std::string as_array(const outcome& of, std::string_view between) {
  std::string text = "[";
  for (const one_record& each : of.records) (text += each.text) += &each == &of.records.back() ? "" : between;
  return text + "]";
}

std::string in_quotes(std::string_view field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

/// One row a reward. Only ids that CSV can hold: a text that looks like an integer would become one, and it has no empty text.
outcome as_csv(const outcome& of, std::string& text) {
  outcome rows;
  for (const one_record& each : of.records) {
    if (each.id.empty() || (each.is_text && each.id.find_first_not_of("-0123456789") == std::string::npos)) continue;
    for (const double reward : each.rewards) {
      rows.records.push_back({each.is_text, each.id, {reward}, each.text});
      (text += in_quotes(each.text) + "," + in_quotes(each.id) + ",") += std::isnan(reward) ? "" : command::number(reward);
      text += "\r\n";
    }
  }
  return rows;
}

void check_compressed(std::string_view text, const outcome& expected, const command::record_options& options) {
  const auto check = [&](const std::string& packed, const char* what) {
    const outcome found = read(packed, options);
    if (found.error != expected.error) disagree(what, ": '", found.error, "', and plain '", expected.error, "'");
    if (found.error.empty()) expect_same(expected, found, what);
  };
#ifdef INFALIGN_COMMAND_ZLIB
  std::string packed(compressBound(text.size()) + 100, '\0');
  z_stream state{};
  deflateInit2(&state, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string copy(text);
  state.next_in = reinterpret_cast<Bytef*>(copy.data());
  state.avail_in = static_cast<uInt>(copy.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  deflate(&state, Z_FINISH);
  packed.resize(state.total_out);
  deflateEnd(&state);
  check(packed, "gzip");
#endif
#ifdef INFALIGN_COMMAND_ZSTD
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), 1));
  check(frame, "zstd");
#endif
}

void run(input& in) {
  command::record_options options;
  const std::uint8_t way = in.byte();
  options.missing = (way & 1) != 0 ? "skip" : "error";
  if ((way & 2) != 0) options.prompt_field = "q.id", options.reward_field = "s";
  std::string text;
  while (in.left() > 0) text += static_cast<char>(in.byte());
  const outcome found = read(text, options);
  const bool plain = found.error.find(": this is ") == std::string::npos && text.substr(0, 2) != "\x1f\x8b" &&
                     text.substr(0, 4) != "\x28\xb5\x2f\xfd";
  if (plain && (way & 4) != 0) check_compressed(text, found, options);
  if (!found.error.empty() || found.records.empty() || found.format == record_format::csv) return;
  options.format = "json";
  expect_same(found, read(as_array(found, ","), options), "an array");
  expect_same(found, read(as_array(found, " ,\r\n\t"), options), "a spaced array");
  options.format = "csv";
  std::string rows = "text," + options.prompt_field + "," + ((way & 2) != 0 ? "s" : "reward") + "\n";
  const outcome expected = as_csv(found, rows);
  expect_same(expected, read(rows, options), "CSV");
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  infalign::fuzz::input in(bytes, size);
  infalign::fuzz::run(in);
  return 0;
}
