// SPDX-License-Identifier: Apache-2.0
/// \file
/// Arrays of Python as the plain data of `kernels.hpp`, without a copy, and new arrays of the kind of those that came in.
///
/// NumPy arrays are read by the buffer protocol. What else follows DLPack (PyTorch, JAX …) becomes a NumPy array over the same memory
/// first, and results become arrays of its kind; `infalign/_arrays.py` does both.
#pragma once

#include <string>
#include <string_view>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "kernels.hpp"

namespace infalign_python {

namespace nb = nanobind;

/// The Python objects that every call needs, looked up once. Never freed: modules are not unloaded.
struct interpreter {
  nb::object array_type;     ///< numpy.ndarray
  nb::object empty;          ///< numpy.empty
  nb::object ascontiguous;   ///< numpy.ascontiguousarray
  nb::object dtypes[2];      ///< of `scalar`
  nb::object ragged_type;    ///< infalign.Ragged
  nb::object equal_offsets;  ///< infalign._arrays.equal_offsets(groups, size)
  nb::object to_numpy;       ///< infalign._arrays.to_numpy(array, name)
  nb::object like;           ///< infalign._arrays.like(array, result)

  static const interpreter& get();
  /// Called once, when the module is imported: an import while a function runs could wait for a lock that it holds.
  static void look_up();
};

/// The memory of one array, held while a function runs.
class buffer {
 public:
  buffer() = default;
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
  ~buffer() { release(); }
  void hold(nb::handle array);
  void release() {
    if (held_) PyBuffer_Release(&view_);
    held_ = false;
  }
  [[nodiscard]] const Py_buffer& view() const { return view_; }

 private:
  Py_buffer view_{};
  bool held_ = false;
};

/// An argument with the rewards of prompts: an array of two dimensions, or `Ragged`. Errors: `TypeError` for another type of values,
/// `ValueError` for another shape.
class groups_argument {
 public:
  groups_argument(std::string_view function, std::string_view name) : function_(function), name_(name) {}
  groups_argument(std::string_view function, std::string_view name, nb::handle array) : groups_argument(function, name) {
    read(array);
  }
  void read(nb::handle array) { take(array, false); }
  /// An array to be written: its rows must be contiguous, nothing is copied.
  void write(nb::handle array) { take(array, true); }
  /// A new array of the shape and the kind of `like`.
  void create(const groups_argument& like);
  /// `given` if it is an array of `size` times `columns` doubles, or a new one where it is None.
  void take_or_create_rows(nb::handle given, index_t size, index_t columns);

  [[nodiscard]] const groups& get() const { return groups_; }
  /// What the caller gets back: the array as it was handed in, or a new one of the kind of the first argument.
  [[nodiscard]] nb::object result(const groups_argument& kind) const;
  /// All values must be of the type of `other`.
  void expects_type_of(const groups_argument& other) const;
  /// Rows that are apart are copied without the gaps.
  void make_packed() { make_contiguous(); }
  [[nodiscard]] const nb::object& array() const { return array_; }
  /// Rows become ragged, of equal lengths, so that they go with a ragged argument.
  void as_ragged();

 private:
  void take(nb::handle array, bool writable);
  void take_values(nb::handle array, const std::string& name);
  void take_rows();
  void make_contiguous();
  void read_offsets(nb::handle offsets);
  void expects_packed(const Py_buffer& view, const std::string& name) const;

  std::string_view function_;
  std::string_view name_;
  nb::object given_;  ///< as it was handed in
  nb::object array_;  ///< the NumPy array or Ragged
  buffer values_;
  buffer offsets_;
  nb::object made_offsets_;
  bool writable_ = false;
  groups groups_;
};

/// Brings all to one shape: rows if all are rows, else ragged.
template <class... Arguments>
void to_one_shape(Arguments&... arguments) {
  const bool ragged = (... || (arguments.get().offsets != nullptr));
  if (ragged) (arguments.as_ragged(), ...);
}

bool is_ndarray_or_ragged(nb::handle array);

/// A new one-dimensional array of `n` doubles (or of int64), and its memory.
struct column {
  nb::object array;
  void* data;
};
column new_column(index_t n, bool whole_numbers = false);

/// `out` as given if it is a writable contiguous array of `n` doubles, or a new one where it is None.
class column_argument {
 public:
  column_argument(std::string_view function, nb::handle out, index_t n);
  [[nodiscard]] double* data() const { return static_cast<double*>(data_); }
  [[nodiscard]] nb::object result(nb::handle kind) const;

 private:
  nb::object given_;
  nb::object array_;
  buffer held_;
  void* data_ = nullptr;
};

/// One-dimensional input of doubles or of whole numbers. Errors: `TypeError`, `ValueError`.
class vector_argument {
 public:
  vector_argument(std::string_view function, std::string_view name, nb::handle array, char format);
  [[nodiscard]] index_t size() const { return size_; }
  [[nodiscard]] const void* data() const { return data_; }
  template <class T>
  [[nodiscard]] infalign::span<const T> get() const {
    return {static_cast<const T*>(data_), size_};
  }

 private:
  nb::object array_;
  buffer held_;
  const void* data_ = nullptr;
  index_t size_ = 0;
};

[[noreturn]] void raise_value_error(std::string_view function, const std::string& message);
[[noreturn]] void raise_type_error(std::string_view function, const std::string& message);

/// An executor of `threads` threads; an empty one for 1.
infalign::executor threads_of(std::string_view function, int threads);

/// Runs `f(run)` without the GIL, where `run` is an executor of `threads` threads.
template <class F>
void without_gil(std::string_view function, int threads, const F& f) {
  const infalign::executor run = threads_of(function, threads);
  nb::gil_scoped_release released;
  f(run);
}

/// The functions for the processor.
const kernels& chosen_kernels();

}  // namespace infalign_python
