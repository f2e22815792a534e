// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include <cstdint>
#include <limits>

#include "failure.hpp"

namespace command {

namespace {

int count_of(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    fail("a rank has {} bytes for another, at most {} can be sent; use more ranks", bytes, std::numeric_limits<int>::max());
  return static_cast<int>(bytes);
}

struct name_header {
  std::uint64_t is_text;
  std::uint64_t bytes;
};

}  // namespace

void put_name(std::string& to, const prompt_id& id) {
  const name_header header{id.is_text ? 1u : 0u, id.bytes.size()};
  put(to, &header, 1);
  put(to, id.bytes.data(), id.bytes.size());
}

const char* get_name(const char* from, prompt_id& id) {
  name_header header{};
  from = get(from, &header, 1);
  id = {header.is_text != 0, {from, header.bytes}};
  return from + header.bytes;
}

message swapped(std::vector<std::string> parts, MPI_Comm all) {
  const std::size_t n = parts.size();
  std::vector<int> sent(n), sent_at(n), received_at(n);
  message in{{}, std::vector<int>(n)};
  std::string out;
  for (std::size_t r = 0; r < n; ++r) {
    sent[r] = count_of(parts[r].size());
    sent_at[r] = count_of(out.size());
    out.empty() ? out.swap(parts[r]) : void(out += parts[r]);
    std::string().swap(parts[r]);
  }
  MPI_Alltoall(sent.data(), 1, MPI_INT, in.sizes.data(), 1, MPI_INT, all);
  std::size_t total = 0;
  for (std::size_t r = 0; r < n; ++r) {
    received_at[r] = count_of(total);
    total += static_cast<std::size_t>(in.sizes[r]);
  }
  in.text.resize(total);
  MPI_Alltoallv(out.data(), sent.data(), sent_at.data(), MPI_BYTE, in.text.data(), in.sizes.data(), received_at.data(),
                MPI_BYTE, all);
  return in;
}

}  // namespace command
