// SPDX-License-Identifier: Apache-2.0
/// \file
/// Bytes between ranks: what is packed for each rank goes to all of them at once.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "prompt_id.hpp"

namespace command {

template <class T>
void put(std::string& to, const T* values, std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>);
  to.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}
template <class T>
const char* get(const char* from, T* values, std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(values, from, n * sizeof(T));
  return from + n * sizeof(T);
}

/// An id with its length before it.
void put_name(std::string& to, const prompt_id& id);
/// Where the bytes behind it begin. The id lies in the message.
const char* get_name(const char* from, prompt_id& id);

/// What all ranks sent to this one, in their order, and how many bytes of each.
struct message {
  std::string text;
  std::vector<int> sizes;
};

/// Sends `parts[r]` to rank r. Collective. Throws `failure` for more than 2 GiB, as MPI counts bytes in `int`.
message swapped(std::vector<std::string> parts, MPI_Comm all);

}  // namespace command
