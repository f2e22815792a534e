// SPDX-License-Identifier: Apache-2.0
/// \file
/// From the structs of C to views, and from exceptions to status codes.
#pragma once

#include <cstdint>
#include <exception>
#include <infalign/core/error.hpp>
#include <infalign/core/views.hpp>
#include <new>
#include <string>
#include <vector>

#include "infalign.h"

namespace infalign_c {

namespace ia = infalign;
using ia::index_t;

/// What the last failure on this thread said.
inline std::string& last_error() {
  static thread_local std::string message;
  return message;
}

/// `call()`, whose exceptions become a status and a message.
template <class Call>
infalign_status guarded(const Call& call) noexcept {
  const auto failed = [](infalign_status status, const char* message) noexcept {
    try {
      last_error() = message;
    } catch (...) {  // no memory for the message either
      last_error().clear();
    }
    return status;
  };
  try {
    call();
    return INFALIGN_OK;
  } catch (const ia::shape_error& e) {
    return failed(INFALIGN_BAD_SHAPE, e.what());
  } catch (const ia::error& e) {
    return failed(INFALIGN_BAD_VALUE, e.what());
  } catch (const std::bad_alloc&) {
    return failed(INFALIGN_NO_MEMORY, "out of memory");
  } catch (const std::exception& e) {
    return failed(INFALIGN_FAILED, e.what());
  } catch (...) {
    return failed(INFALIGN_FAILED, "unknown failure");
  }
}

template <class T>
T& given(const char* function, const char* name, T* pointer) {
  ia::expects<ia::domain_error>(pointer != nullptr, function, name, " is NULL");
  return *pointer;
}
inline std::string_view text_or(const char* text, std::string_view otherwise) {
  return text == nullptr ? otherwise : std::string_view(text);
}
inline const char* text_of(const char* function, const char* name, const char* text) {
  return &given(function, name, text);
}

/// `use(T())` with the type of the values.
template <class Use>
void with_type(const char* function, const char* name, infalign_type type, const Use& use) {
  if (type == INFALIGN_F32) return use(float());
  if (type == INFALIGN_F64) return use(double());
  ia::raise<ia::domain_error>(function, name, ".type is ", static_cast<int>(type), ", must be INFALIGN_F32 or INFALIGN_F64");
}

/// Groups of one call, all rows or all ragged. Rows beside ragged ones are ragged, too: their offsets are counted here.
class group_views {
 public:
  group_views(const char* function, std::vector<std::pair<const char*, const infalign_groups*>> named) : function_(function) {
    for (const auto& [name, groups] : named) {
      const infalign_groups& g = given(function, name, groups);
      ia::expects<ia::domain_error>(g.type == named.front().second->type, function, name, ".type is ", static_cast<int>(g.type),
                                    ", but ", named.front().first, ".type is ", static_cast<int>(named.front().second->type));
      ia::expects<ia::shape_error>(g.size >= 0 && (g.offsets != nullptr || (g.columns >= 0 && g.stride >= 0)), function, name,
                                   " has a negative size");
      is_ragged_ |= g.offsets != nullptr;
    }
    if (!is_ragged_) return;
    counted_.reserve(named.size());
    for (const auto& [name, groups] : named) {
      if (groups->offsets != nullptr) continue;
      ia::expects<ia::shape_error>(groups->stride == groups->columns || groups->size <= 1, function, name, " has rows ",
                                   groups->stride, " apart beside ragged groups, must have them ", groups->columns, " apart");
      std::vector<index_t> offsets;
      for (index_t g = 0; g <= groups->size; ++g) offsets.push_back(g * groups->columns);
      counted_.emplace_back(groups, std::move(offsets));
    }
  }

  [[nodiscard]] bool is_ragged() const { return is_ragged_; }
  template <class T>
  [[nodiscard]] static ia::rows<T> rows(const infalign_groups& g) {
    return {static_cast<T*>(g.data), g.size, g.columns, g.stride};
  }
  template <class T>
  [[nodiscard]] ia::ragged<T> ragged(const infalign_groups& g) const {
    const index_t* offsets = g.offsets;
    for (const auto& [groups, counted] : counted_)
      if (groups == &g) offsets = counted.data();
    return {{static_cast<T*>(g.data), offsets[g.size]}, {offsets, g.size + 1}};
  }
  /// `use(T(), view)`, where `view.template operator()<T>(groups)` makes the view.
  template <class Use>
  void visit(const char* name, const infalign_groups& like, const Use& use) const {
    with_type(function_, name, like.type, [&]<class T>(T) {
      if (is_ragged_) return use(T(), [&]<class U>(U, const infalign_groups& g) { return ragged<U>(g); });
      use(T(), [&]<class U>(U, const infalign_groups& g) { return rows<U>(g); });
    });
  }

 private:
  const char* function_;
  bool is_ragged_ = false;
  std::vector<std::pair<const infalign_groups*, std::vector<index_t>>> counted_;
};

}  // namespace infalign_c
