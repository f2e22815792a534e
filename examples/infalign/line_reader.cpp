// SPDX-License-Identifier: Apache-2.0
#include "line_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "failure.hpp"

namespace command {

namespace {
constexpr std::size_t block = std::size_t{1} << 19;
}

line_reader::line_reader(std::string path)
    : standard_(path == "-"),
      file_(standard_ ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)),
      buffer_(block + padding) {
  const int code = errno;
  name_ = standard_ ? "standard input" : std::move(path);
  if (file_ < 0) fail("{}: cannot open: {}", name_, system_message(code));
  struct stat about {};
  if (fstat(file_, &about) == 0 && S_ISREG(about.st_mode)) total_bytes_ = static_cast<std::uint64_t>(about.st_size);
}

line_reader::~line_reader() {
  if (!standard_) close(file_);
}

/// Reads what fits behind the line that has begun; false at the end of the file.
bool line_reader::fill() {
  const std::size_t kept = end_ - begin_;
  if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
  begin_ = 0;
  end_ = kept;
  if (end_ + padding + block / 2 > buffer_.size()) buffer_.resize(2 * buffer_.size());
  ssize_t got = 0;
  do got = read(file_, buffer_.data() + end_, buffer_.size() - padding - end_);
  while (got < 0 && errno == EINTR);
  if (got < 0) fail("{}: cannot read: {}", name_, system_message(errno));
  end_ += static_cast<std::size_t>(got);
  std::memset(buffer_.data() + end_, 0, padding);  // no string or number goes on behind the end
  bytes_read_ += static_cast<std::uint64_t>(got);
  return got > 0;
}

bool line_reader::next() {
  std::size_t searched = 0;
  const void* feed = nullptr;
  while (feed = std::memchr(buffer_.data() + begin_ + searched, '\n', end_ - begin_ - searched), feed == nullptr) {
    searched = end_ - begin_;
    if (!fill()) break;
  }
  if (feed == nullptr && begin_ == end_) return false;
  const char* const first = buffer_.data() + begin_;
  const auto size = feed == nullptr ? end_ - begin_ : static_cast<std::size_t>(static_cast<const char*>(feed) - first);
  unfinished_ = feed == nullptr;
  line_ = {first, size};
  begin_ += size + (unfinished_ ? 0 : 1);
  ++number_;
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (number_ == 1 && line_.substr(0, 3) == byte_order_mark) line_.remove_prefix(3);
  return true;
}

}  // namespace command
