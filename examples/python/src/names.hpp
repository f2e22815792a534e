// SPDX-License-Identifier: Apache-2.0
/// \file
/// Transforms and procedures as Python hands them in: by name, or as an object.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nanobind/nanobind.h>

#include <infalign/procedure/any_procedure.hpp>
#include <infalign/serving/any_served_procedure.hpp>
#include <infalign/transform/any_transform.hpp>

namespace infalign_python {

namespace nb = nanobind;

/// The text of a string, which lives as long as that does.
inline std::string_view utf8_of(nb::handle text) {
  Py_ssize_t size = 0;
  const char* const bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes == nullptr) throw nb::python_error();  // a surrogate on its own
  return {bytes, static_cast<std::size_t>(size)};
}

/// An argument that is `Value`, or the name of one.
template <class Value, Value (*Parse)(std::string_view)>
class named_argument {
 public:
  named_argument(const char* what, nb::handle given) {
    if (nb::isinstance<Value>(given)) {
      value_ = nb::inst_ptr<Value>(given);
    } else if (nb::isinstance<nb::str>(given)) {
      parsed_.emplace(Parse(utf8_of(given)));
      value_ = &*parsed_;
    } else {
      throw nb::type_error((std::string("a ") + what + " must be given by its name or as an object of infalign").c_str());
    }
  }
  named_argument(const named_argument&) = delete;
  named_argument& operator=(const named_argument&) = delete;
  [[nodiscard]] const Value& operator*() const { return *value_; }
  [[nodiscard]] const Value* get() const { return value_; }

 private:
  std::optional<Value> parsed_;
  const Value* value_ = nullptr;
};

inline infalign::any_transform transform_named(std::string_view name) {
  return infalign::parse_transform(name);
}
inline infalign::any_procedure procedure_named(std::string_view name) {
  return infalign::parse_procedure(name);
}
using transform_argument = named_argument<infalign::any_transform, transform_named>;
using procedure_argument = named_argument<infalign::any_procedure, procedure_named>;

/// A procedure by its name, those included that select by reward; or an object.
inline infalign::any_served_procedure served_procedure_of(nb::handle given) {
  if (nb::isinstance<nb::str>(given)) return infalign::parse_served_procedure(utf8_of(given));
  return *procedure_argument("procedure", given);
}

}  // namespace infalign_python
