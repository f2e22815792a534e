// SPDX-License-Identifier: Apache-2.0
#include "decompressor.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include "failure.hpp"

#ifdef INFALIGN_COMMAND_ZLIB
#include <zlib.h>
#endif
#ifdef INFALIGN_COMMAND_ZSTD
#include <zstd.h>
#endif

namespace command {

namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b", zstd_magic = "\x28\xb5\x2f\xfd";

#ifdef INFALIGN_COMMAND_ZLIB
class gzip_decompressor : public decompressor {
 public:
  gzip_decompressor() {
    constexpr int largest_window = 15, of_gzip = 16;
    if (inflateInit2(&state_, largest_window + of_gzip) != Z_OK) throw std::bad_alloc();
  }
  ~gzip_decompressor() override { inflateEnd(&state_); }

  progress run(std::span<const char> in, std::span<char> out) override {
    if (in.empty() && complete_) return {0, 0, true};
    if (complete_) inflateReset(&state_);  // another member follows
    complete_ = false;
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    state_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));  // zlib does not write to it
    state_.avail_in = static_cast<uInt>(std::min(in.size(), most));
    state_.next_out = reinterpret_cast<Bytef*>(out.data());
    state_.avail_out = static_cast<uInt>(std::min(out.size(), most));
    const uInt given = state_.avail_in, room = state_.avail_out;
    const int status = inflate(&state_, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      fail("the gzip data is damaged ({})", state_.msg != nullptr ? state_.msg : "it needs a dictionary");
    complete_ = status == Z_STREAM_END;
    return {given - state_.avail_in, room - state_.avail_out, complete_};
  }

 private:
  z_stream state_{};
  bool complete_ = false;
};
#endif

#ifdef INFALIGN_COMMAND_ZSTD
class zstd_decompressor : public decompressor {
 public:
  zstd_decompressor() : state_(ZSTD_createDStream()) {
    if (state_ == nullptr) throw std::bad_alloc();
  }
  ~zstd_decompressor() override { ZSTD_freeDStream(state_); }

  progress run(std::span<const char> in, std::span<char> out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_decompressStream(state_, &to, &from);
    if (ZSTD_isError(left)) fail("the zstd data is damaged or needs too much memory ({})", ZSTD_getErrorName(left));
    if (from.pos > 0 || to.pos > 0) complete_ = left == 0;
    return {from.pos, to.pos, complete_};
  }

 private:
  ZSTD_DStream* state_;
  bool complete_ = false;
};
#endif

}  // namespace

std::unique_ptr<decompressor> decompressor_for(std::string_view beginning) {
  if (beginning.substr(0, gzip_magic.size()) == gzip_magic) {
#ifdef INFALIGN_COMMAND_ZLIB
    return std::make_unique<gzip_decompressor>();
#else
    fail("this is gzip, and the program was built without zlib; gzip -dc FILE | infalign … - reads it");
#endif
  }
  if (beginning.substr(0, zstd_magic.size()) == zstd_magic) {
#ifdef INFALIGN_COMMAND_ZSTD
    return std::make_unique<zstd_decompressor>();
#else
    fail("this is zstd, and the program was built without libzstd; zstd -dc FILE | infalign … - reads it");
#endif
  }
  return nullptr;
}

}  // namespace command
