// SPDX-License-Identifier: Apache-2.0
#include "input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "failure.hpp"

namespace command {

namespace {

constexpr std::size_t block = std::size_t{1} << 18;
constexpr std::size_t longest_magic = 6;

/// Formats that are known only to say what to do with them.
struct other_format {
  std::string_view magic, what;
};
constexpr other_format others[] = {
    {"PAR1",
     "Parquet, which is not read here; python3 -c \"import polars; "
     "polars.read_parquet('IN.parquet').write_ndjson('OUT.jsonl')\" writes it as records (pip install polars)"},
    {"ARROW1",
     "Arrow, which is not read here; python3 -c \"import polars; "
     "polars.read_ipc('IN.arrow').write_ndjson('OUT.jsonl')\" writes it as records (pip install polars)"},
    {"\xFD\x37zXZ", "xz, which is not read here; xz -dc FILE | infalign … - does"},
    {"BZh", "bzip2, which is not read here; bzip2 -dc FILE | infalign … - does"},
    {"PK\x03\x04", "zip, which is not read here; unzip -p FILE | infalign … - does"},
    {"\xFF\xFE", "UTF-16, which is not read here; iconv -f UTF-16 -t UTF-8 FILE | infalign … - does"},
    {"\xFE\xFF", "UTF-16, which is not read here; iconv -f UTF-16 -t UTF-8 FILE | infalign … - does"},
};

}  // namespace

input_file::input_file(std::string path)
    : standard_(path == "-"), file_(standard_ ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  const int code = errno;
  name_ = standard_ ? "standard input" : std::move(path);
  if (file_ < 0) fail("{}: cannot open: {}", name_, system_message(code));
  struct stat about {};
  if (fstat(file_, &about) == 0 && S_ISREG(about.st_mode)) total_bytes_ = static_cast<std::uint64_t>(about.st_size);
}

input_file::~input_file() {
  if (!standard_) close(file_);
}

std::size_t input_file::read_raw(std::span<char> to) {
  ssize_t got = 0;
  do got = ::read(file_, to.data(), to.size());
  while (got < 0 && errno == EINTR);
  if (got < 0) fail("{}: cannot read: {}", name_, system_message(errno));
  bytes_read_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

/// Reads enough to know the format.
std::size_t input_file::read_first(std::span<char> to) {
  std::size_t size = 0, got = 1;
  while (got > 0 && size < longest_magic) size += got = read_raw(to.subspan(size));
  const std::string_view beginning(to.data(), size);
  for (const other_format& other : others)
    if (beginning.substr(0, other.magic.size()) == other.magic) fail("{}: this is {}", name_, other.what);
  try {
    decompressor_ = decompressor_for(beginning);
  } catch (const failure& wrong) {
    fail("{}: {}", name_, wrong.what());
  }
  if (decompressor_ == nullptr) return size;
  compressed_.resize(std::max(block, size));
  std::copy(beginning.begin(), beginning.end(), compressed_.begin());
  rest_ = std::span(compressed_).first(size);
  return decompress(to);
}

std::size_t input_file::decompress(std::span<char> to) {
  for (;;) {
    decompressor::progress made{};
    try {
      made = decompressor_->run(rest_, to);
    } catch (const failure& wrong) {
      fail("{}: {}", name_, wrong.what());
    }
    rest_ = rest_.subspan(made.consumed);
    if (made.produced > 0) return made.produced;
    if (!rest_.empty()) continue;
    rest_ = std::span(compressed_).first(read_raw(compressed_));
    if (rest_.empty() && !made.complete) fail("{}: the file ends within its compressed data", name_);
    if (rest_.empty()) return 0;
  }
}

std::size_t input_file::read(std::span<char> to) {
  if (!std::exchange(begun_, true)) return read_first(to);
  return decompressor_ != nullptr ? decompress(to) : read_raw(to);
}

}  // namespace command
