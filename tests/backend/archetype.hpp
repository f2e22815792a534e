// SPDX-License-Identifier: Apache-2.0
/// \file
/// The smallest backend that `backend/backend.hpp` allows and that runs every algorithm: the place to start a new one from. One
/// lane; it goes through positions backwards and reduces often, since nothing in the concept promises otherwise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <infalign/backend/assert_backend.hpp>
#include <infalign/core/math.hpp>
#include <memory>
#include <vector>

namespace infalign::test {

/// What a formula sees of one position.
template <class T>
struct archetype_position {
  index_t i;

  template <class Storage>
  T load(const Storage* p, T = T()) const {
    return static_cast<T>(p[i]);
  }
  template <class Storage>
  void store(Storage* p, T v) const {
    p[i] = static_cast<Storage>(static_cast<compute_t<Storage>>(v));
  }
  static T add_where(T sum, bool mask, T v) { return mask ? sum + v : sum; }
  /// Counts by twos: a form of its own, which `count` reads.
  static T count_where(T count, bool mask) { return mask ? count + 2 : count; }
};

struct archetype_team {
  template <class T>
  using vec = T;
  template <class T>
  using positions = position_types<archetype_position<T>>;

  template <class T, int U = 1, class F>
  void loop(index_t n, F&& f) const {
    for (index_t i = n; i-- > 0;) f(archetype_position<T>{i}, accumulator_index<0>{});
  }
  template <class F>
  void items(index_t n, F&& f) const {
    for (index_t i = n; i-- > 0;) f(i);
  }
  template <class F>
  double sum_items(index_t n, F&& f) const {
    double sum = 0;
    for (index_t i = n; i-- > 0;) sum += f(i);
    return sum;
  }
  template <class T>
  double sum(T v) const {
    return static_cast<double>(v);
  }
  template <class T>
  double count(T counts) const {
    return static_cast<double>(counts / 2);
  }
  template <class T>
  double maximum(T v) const {
    return static_cast<double>(v);
  }
  template <class F>
  void once(F&& f) const {
    f();
  }
  template <class T>
  static constexpr index_t chunk() {
    return 7;
  }
};

/// Scratch memory that is given back with the frame.
class archetype_frame {
 public:
  template <class T>
  T* take(index_t n) {
    const auto units = (static_cast<std::size_t>(n) * sizeof(T) + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t);
    taken_.push_back(std::make_unique<std::max_align_t[]>(units));
    return reinterpret_cast<T*>(taken_.back().get());
  }

 private:
  std::vector<std::unique_ptr<std::max_align_t[]>> taken_;
};

class archetype {
 public:
  using memory_space = host_memory;
  using team_type = archetype_team;

  template <class T, class F>
  void map(index_t n, const F& f) {
    for (index_t i = n; i-- > 0;) f(archetype_position<T>{i});
  }
  template <class Kernel>
  void groups(index_t n, index_t, const Kernel& kernel) {
    archetype_team team;
    for (index_t g = n; g-- > 0;) kernel(team, g);
  }
  template <class T, class P>
  index_t first(index_t n, const P& p) {
    for (index_t i = 0; i < n; ++i)
      if (p(archetype_position<T>{i})) return i;
    return n;
  }
  template <class G, class T>
  void sort(const G& groups, T* out) {
    for (index_t g = 0; g < groups.size(); ++g) {
      T* const sorted = out + groups.offset(g);
      if (groups[g].data() != sorted) std::copy(groups[g].begin(), groups[g].end(), sorted);
      std::sort(sorted, sorted + groups[g].size());
    }
  }
  archetype_frame scratch() { return {}; }
  template <class T>
  using array = std::vector<T>;
  template <class T>
  array<T> make_array(index_t n) {
    return array<T>(static_cast<std::size_t>(n));
  }
  template <class T>
  T read(const T* p) {
    return *p;
  }
  bool checks_values() const { return true; }
};

static_assert(assert_backend<archetype>());

}  // namespace infalign::test
