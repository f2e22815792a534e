// SPDX-License-Identifier: Apache-2.0
/// \file
/// What belongs to the names of clusters and strata, over ranks.
#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "exchange.hpp"
#include "message.hpp"

namespace command {

namespace {

template <class Value>
void put_named(std::string& to, const prompt_id& name, const Value& value) {
  put_name(to, name);
  put(to, &value, 1);
}

/// `each(name, value)` for what a message holds.
template <class Value, class Each>
void for_each_named(const std::string& text, const Each& each) {
  for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
    prompt_id name{};
    Value value{};
    at = get(get_name(at, name), &value, 1);
    each(name, value);
  }
}

int size_of(MPI_Comm all) {
  int ranks = 0;
  MPI_Comm_size(all, &ranks);
  return ranks;
}

}  // namespace

std::vector<double> owned_sums(const prompt_index& names, const std::vector<double>& sums, MPI_Comm all) {
  const int ranks = size_of(all);
  std::vector<std::string> parts(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < sums.size(); ++i)
    put_named(parts[static_cast<std::size_t>(owner_of(names.id(i), ranks))], names.id(i), sums[i]);
  prompt_index seen;
  std::vector<double> owned;
  for_each_named<double>(swapped(std::move(parts), all).text, [&](const prompt_id& name, double sum) {
    const std::uint32_t at = seen.find_or_add(name);
    if (at == owned.size()) owned.push_back(0);
    owned[at] += sum;
  });
  return owned;
}

named_summaries gathered(const prompt_index& names, const std::vector<infalign::summary>& own, MPI_Comm all) {
  std::string packed;
  for (std::size_t i = 0; i < own.size(); ++i) put_named(packed, names.id(i), own[i]);
  const message received = swapped(std::vector<std::string>(static_cast<std::size_t>(size_of(all)), packed), all);
  named_summaries found;
  for_each_named<infalign::summary>(received.text, [&](const prompt_id& name, const infalign::summary& part) {
    const std::uint32_t at = found.names.find_or_add(name);
    if (at == found.summaries.size()) found.summaries.emplace_back();
    found.summaries[at].merge(part);
  });
  std::vector<std::size_t> order(found.summaries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const prompt_id first = found.names.id(a), second = found.names.id(b);
    return std::tie(first.is_text, first.bytes) < std::tie(second.is_text, second.bytes);
  });
  named_summaries sorted;
  for (const std::size_t i : order) {
    sorted.names.find_or_add(found.names.id(i));
    sorted.summaries.push_back(found.summaries[i]);
  }
  return sorted;
}

}  // namespace command
