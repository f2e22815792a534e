// SPDX-License-Identifier: Apache-2.0
#include "text_reader.hpp"

#include <cstring>
#include <span>
#include <utility>

#include "failure.hpp"

namespace command {

namespace {
constexpr std::size_t read_size = std::size_t{1} << 19;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
}  // namespace

text_reader::text_reader(std::string path) : file_(std::move(path)), buffer_(read_size + padding) {}

bool text_reader::more() {
  const std::size_t kept = end_ - begin_;
  if (kept > longest_record) fail("{}:{}: a record is longer than {} MiB", name(), line_, longest_record >> 20);
  if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
  begin_ = 0;
  end_ = kept;
  if (end_ + padding + read_size / 2 > buffer_.size()) buffer_.resize(2 * buffer_.size());
  const std::size_t got = file_.read(std::span(buffer_).subspan(end_, buffer_.size() - padding - end_));
  end_ += got;
  std::memset(buffer_.data() + end_, 0, padding);  // no string or number goes on behind the end
  if (!std::exchange(begun_, true)) {
    while (end_ < byte_order_mark.size() && byte_order_mark.substr(0, end_) == ahead() && more()) {
    }
    if (ahead().substr(0, byte_order_mark.size()) == byte_order_mark) begin_ = byte_order_mark.size();
  }
  return got > 0;
}

char text_reader::first() {
  std::size_t at = 0;
  do {
    at = ahead().find_first_not_of(" \t\r\n", at);
    if (at != std::string_view::npos) return ahead()[at];
    at = ahead().size();
  } while (more());
  return '\0';
}

}  // namespace command
