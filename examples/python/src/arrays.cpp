// SPDX-License-Identifier: Apache-2.0
#include "arrays.hpp"

namespace infalign_python {

namespace {

std::string text(std::string_view function, const std::string& message) {
  return std::string(function) + ": " + message;
}

/// The name of the type of the values, for a message.
std::string dtype_of(nb::handle array) {
  const nb::object dtype = nb::getattr(array, "dtype", nb::none());
  if (dtype.is_none()) return std::string("a ") + nb::str(array.type().attr("__name__")).c_str();
  return nb::steal<nb::str>(PyObject_Str(dtype.ptr())).c_str();
}

/// 'f', 'd' and 'q' for float, double and 64-bit integers of this machine; 0 for everything else.
char format_of(const Py_buffer& view) {
  std::string_view format = view.format == nullptr ? "B" : view.format;
  if (format.size() == 2 && (format[0] == '@' || format[0] == '=')) format.remove_prefix(1);
  if (format == "f" || format == "d") return format[0];
  if ((format == "l" || format == "q") && view.itemsize == 8) return 'q';
  return 0;
}

bool is_array(nb::handle array) {
  return PyObject_TypeCheck(array.ptr(), reinterpret_cast<PyTypeObject*>(interpreter::get().array_type.ptr()));
}
bool is_ragged(nb::handle array) {
  return Py_TYPE(array.ptr()) == reinterpret_cast<PyTypeObject*>(interpreter::get().ragged_type.ptr());
}

nb::object numpy_array(nb::handle array, std::string_view name) {
  if (array.type().is(interpreter::get().array_type)) return nb::borrow(array);
  return interpreter::get().to_numpy(array, nb::str(name.data(), name.size()));
}

}  // namespace

namespace {
const interpreter* known = nullptr;
}

const interpreter& interpreter::get() {
  return *known;
}
void interpreter::look_up() {
  const nb::object numpy = nb::module_::import_("numpy"), arrays = nb::module_::import_("infalign._arrays");
  known = new interpreter{numpy.attr("ndarray"),           numpy.attr("empty"),
                          numpy.attr("ascontiguousarray"), {numpy.attr("dtype")("float32"), numpy.attr("dtype")("float64")},
                          arrays.attr("Ragged"),           arrays.attr("equal_offsets"),
                          arrays.attr("to_numpy"),         arrays.attr("like")};
}

void raise_value_error(std::string_view function, const std::string& message) {
  throw nb::value_error(text(function, message).c_str());
}
void raise_type_error(std::string_view function, const std::string& message) {
  throw nb::type_error(text(function, message).c_str());
}

void buffer::hold(nb::handle array) {
  release();
  if (PyObject_GetBuffer(array.ptr(), &view_, PyBUF_STRIDES | PyBUF_FORMAT) != 0) throw nb::python_error();
  held_ = true;
}

void groups_argument::take(nb::handle array, bool writable) {
  given_ = nb::borrow(array);
  writable_ = writable;
  if (is_ragged(array)) {
    array_ = given_;
    const std::string name = std::string(name_) + ".values";
    take_values(array.attr("values"), name);
    const Py_buffer& view = values_.view();
    expects_packed(view, name);
    groups_.total = view.shape[0];
    return read_offsets(array.attr("offsets"));
  }
  array_ = numpy_array(array, name_);
  take_values(array_, std::string(name_));
  take_rows();
}

/// The type and the memory of the values.
void groups_argument::take_values(nb::handle array, const std::string& name) {
  values_.hold(array);
  const Py_buffer& view = values_.view();
  const char format = format_of(view);
  if (format != 'f' && format != 'd')
    raise_type_error(function_, name + " is " + dtype_of(array) + ", must be float32 or float64");
  if (writable_ && view.readonly != 0) raise_value_error(function_, name + " is read-only");
  groups_.data = view.buf;
  groups_.type = format == 'f' ? scalar::float32 : scalar::float64;
}

void groups_argument::take_rows() {
  const Py_buffer& view = values_.view();
  const std::string name(name_);
  if (view.ndim != 2)
    raise_value_error(function_, name + " has " + std::to_string(view.ndim) +
                                     " dimensions, must have 2 (prompts, and rewards of a prompt) or be Ragged");
  const auto size = view.itemsize;
  const bool contiguous = view.shape[1] <= 1 || view.strides[1] == size;
  const bool ascending = view.shape[0] <= 1 || (view.strides[0] >= view.shape[1] * size && view.strides[0] % size == 0);
  if (!contiguous || !ascending) return make_contiguous();
  groups_.size = view.shape[0];
  groups_.columns = view.shape[1];
  groups_.stride = view.shape[0] <= 1 ? view.shape[1] : view.strides[0] / size;
  groups_.total = groups_.size * groups_.columns;
}

/// A copy with contiguous rows, of an array that is only read.
void groups_argument::make_contiguous() {
  if (writable_) raise_value_error(function_, "the rows of " + std::string(name_) + " are not contiguous");
  array_ = interpreter::get().ascontiguous(array_);
  take_values(array_, std::string(name_));
  take_rows();
}

void groups_argument::expects_packed(const Py_buffer& view, const std::string& name) const {
  if (view.ndim != 1) raise_value_error(function_, name + " must have one dimension");
  if (view.shape[0] > 1 && view.strides[0] != view.itemsize) raise_value_error(function_, name + " is not contiguous");
}

/// Offsets are checked in every call: they may have been written to, or replaced, since the `Ragged` was made.
void groups_argument::read_offsets(nb::handle offsets) {
  const std::string name = std::string(name_) + ".offsets";
  offsets_.hold(offsets);
  const Py_buffer& view = offsets_.view();
  if (format_of(view) != 'q') raise_type_error(function_, name + " is " + dtype_of(offsets) + ", must be int64");
  expects_packed(view, name);
  const auto* const at = static_cast<const index_t*>(view.buf);
  const index_t count = view.shape[0];
  if (count == 0 || at[0] != 0 || at[count - 1] != groups_.total)
    raise_value_error(function_,
                      name + " must begin with 0 and end with the number of values, " + std::to_string(groups_.total));
  bool falls = false;
  for (index_t g = 1; g < count; ++g) falls |= at[g] < at[g - 1];
  for (index_t g = 1; falls && g < count; ++g)
    if (at[g] < at[g - 1])
      raise_value_error(function_, name + "[" + std::to_string(g) + "] is " + std::to_string(at[g]) +
                                       ", less than the offset before it, " + std::to_string(at[g - 1]));
  groups_.offsets = at;
  groups_.size = count - 1;
}

void groups_argument::create(const groups_argument& like) {
  const interpreter& python = interpreter::get();
  const auto dtype = python.dtypes[static_cast<int>(like.groups_.type)];
  groups_ = like.groups_;
  if (is_ragged(like.array_)) {
    const nb::object values = python.empty(groups_.total, dtype);
    array_ = python.ragged_type.attr("_over")(values, like.array_.attr("offsets"));
    values_.hold(values);
  } else {
    array_ = python.empty(nb::make_tuple(groups_.size, groups_.columns), dtype);
    values_.hold(array_);
    groups_.stride = groups_.columns;
  }
  groups_.data = values_.view().buf;
}

void groups_argument::take_or_create_rows(nb::handle given, index_t size, index_t columns) {
  const interpreter& python = interpreter::get();
  if (given.is_none()) {
    array_ = python.empty(nb::make_tuple(size, columns), python.dtypes[1]);
    take_values(array_, std::string(name_));
    return take_rows();
  }
  write(given);
  const std::string name(name_);
  if (groups_.type != scalar::float64) raise_type_error(function_, name + " is float32, must be float64");
  if (groups_.offsets != nullptr || groups_.size != size || groups_.columns != columns)
    raise_value_error(function_, name + " must have the shape (" + std::to_string(size) + ", " + std::to_string(columns) + ")");
}

nb::object groups_argument::result(const groups_argument& kind) const {
  if (given_.is_valid()) return given_;
  if (is_ndarray_or_ragged(kind.given_)) return array_;
  return interpreter::get().like(kind.given_, array_);
}

void groups_argument::expects_type_of(const groups_argument& other) const {
  if (groups_.type == other.groups_.type) return;
  const auto name_of = [](scalar type) { return type == scalar::float32 ? "float32" : "float64"; };
  raise_type_error(function_, std::string(name_) + " is " + name_of(groups_.type) + ", but " + std::string(other.name_) +
                                  " is " + name_of(other.groups_.type) + "; comparing them would round one side");
}

void groups_argument::as_ragged() {
  if (groups_.offsets != nullptr) return;
  if (groups_.stride != groups_.columns) make_contiguous();
  made_offsets_ = interpreter::get().equal_offsets(groups_.size, groups_.columns);
  read_offsets(made_offsets_);
}

bool is_ndarray_or_ragged(nb::handle array) {
  return is_array(array) || is_ragged(array);
}

column new_column(index_t n, bool whole_numbers) {
  const interpreter& python = interpreter::get();
  buffer held;
  const nb::object array = whole_numbers ? python.empty(n, nb::str("int64")) : nb::object(python.empty(n, python.dtypes[1]));
  held.hold(array);
  return {array, held.view().buf};
}

column_argument::column_argument(std::string_view function, nb::handle out, index_t n) {
  if (out.is_none()) {
    const column made = new_column(n);
    array_ = made.array;
    data_ = made.data;
    return;
  }
  given_ = nb::borrow(out);
  array_ = numpy_array(out, "out");
  held_.hold(array_);
  const Py_buffer& view = held_.view();
  if (view.readonly != 0) raise_value_error(function, "out is read-only");
  if (format_of(view) != 'd') raise_type_error(function, "out is " + dtype_of(array_) + ", must be float64");
  if (view.ndim != 1 || view.shape[0] != n || (n > 1 && view.strides[0] != view.itemsize))
    raise_value_error(function, "out must be a contiguous array of " + std::to_string(n) + " values, one a prompt");
  data_ = view.buf;
}

nb::object column_argument::result(nb::handle kind) const {
  if (given_.is_valid()) return given_;
  if (is_ndarray_or_ragged(kind)) return array_;
  return interpreter::get().like(kind, array_);
}

vector_argument::vector_argument(std::string_view function, std::string_view name, nb::handle array, char format)
    : array_(numpy_array(array, name)) {
  const std::string called(name);
  array_ = interpreter::get().ascontiguous(array_);
  held_.hold(array_);
  if (format_of(held_.view()) != format)
    raise_type_error(function, called + " is " + dtype_of(array_) + ", must be " + (format == 'd' ? "float64" : "int64"));
  if (held_.view().ndim != 1) raise_value_error(function, called + " must have one dimension");
  data_ = held_.view().buf;
  size_ = held_.view().shape[0];
}

}  // namespace infalign_python
