// SPDX-License-Identifier: Apache-2.0
// A backend whose lanes are a type of its own, which has no `exp`.
// expects: infalign: lanes must have exp(a)
#include "backend/archetype.hpp"
#include "infalign/backend/detail/pack.hpp"

/// Two values.
template <class T>
struct pair_of : infalign::detail::pack<T, 2> {
  using pack = infalign::detail::pack<T, 2>;
  using pack::pack;
  pair_of() = default;
  pair_of(const pack& values) : pack(values) {}
};
#ifdef INFALIGN_MUST_FAIL
template <class T>
void exp(const pair_of<T>&) = delete;
#endif

template <class T>
struct my_position {
  using vec = pair_of<T>;
  using mask = infalign::detail::pack_mask<2>;
  template <class Storage>
  vec load(const Storage* p, T pad = T()) const;
  template <class Storage>
  void store(Storage* p, const vec& v) const;
  vec add_where(const vec& sum, const mask& where, const vec& v) const;
  vec count_where(const vec& count, const mask& where) const;
};

struct my_team : infalign::test::archetype_team {
  template <class T>
  using vec = pair_of<T>;
  template <class T>
  using positions = infalign::position_types<my_position<T>>;
  template <class T>
  double sum(const pair_of<T>& v) const;
  template <class T>
  double count(const pair_of<T>& counts) const;
  template <class T>
  double maximum(const pair_of<T>& v) const;
};

struct my_backend : infalign::test::archetype {
  using team_type = my_team;
};

static_assert(infalign::assert_backend<my_backend>());
