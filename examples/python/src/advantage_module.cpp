// SPDX-License-Identifier: Apache-2.0
/// \file
/// Advantages for Python.
#include <array>
#include <optional>
#include <string>
#include <utility>

#include <nanobind/stl/string.h>

#include "arrays.hpp"
#include "modules.hpp"
#include "names.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

/// The value of the word that `text` is. Errors: `ValueError` with what there is.
template <class Value, std::size_t N>
Value choice(const std::string& what, std::string_view text, const std::array<std::pair<const char*, Value>, N>& choices) {
  std::string known;
  for (const auto& [word, value] : choices) {
    if (text == word) return value;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  raise_value_error("advantage", what + " is '" + std::string(text) + "', must be one of " + known);
}

constexpr std::array<std::pair<const char*, advantage_kind>, 12> kinds{{
    {"leave_one_out", advantage_kind::leave_one_out},
    {"mean_centred", advantage_kind::mean_centred},
    {"group_normalized", advantage_kind::group_normalized},
    {"mean_normalized", advantage_kind::mean_normalized},
    {"nonzero_scaled", advantage_kind::nonzero_scaled},
    {"best_sample", advantage_kind::best_sample},
    {"length_weighted", advantage_kind::length_weighted},
    {"greedy_baseline", advantage_kind::greedy_baseline},
    {"max_at_k", advantage_kind::max_at_k},
    {"pass_at_k", advantage_kind::pass_at_k},
    {"expected_reward", advantage_kind::expected_reward},
    {"win_rate", advantage_kind::win_rate},
}};

/// What the package hands on of its options, each as the library's default where it is not given. Errors: `TypeError` with the name of
/// an option that is of another type.
struct options {
  nb::dict given;

  [[nodiscard]] bool has(const char* name) const { return given.contains(name); }
  [[nodiscard]] nb::object at(const char* name) const { return given[name]; }

  void read(const char* name, double& value) const {
    if (has(name)) value = number(name, "a number");
  }
  void read(const char* name, index_t& value) const {
    if (!has(name)) return;
    const nb::object whole = nb::steal(PyNumber_Index(at(name).ptr()));
    if (!whole.is_valid()) refuse(name, "a whole number");
    int overflow = 0;
    value = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow != 0) raise_value_error("advantage", std::string(name) + " does not fit into 64 bits");
  }
  void read(const char* name, bool& value) const {
    if (has(name) && !nb::try_cast<bool>(at(name), value)) refuse(name, "True or False");
  }
  template <class Value, std::size_t N>
  void read(const char* name, Value& value, const std::array<std::pair<const char*, Value>, N>& choices) const {
    if (has(name)) value = choice(name, word(name, "a word"), choices);
  }
  [[nodiscard]] double number(const char* name, const char* what) const {
    const double value = PyFloat_AsDouble(at(name).ptr());  // of text it makes no number, as nanobind would
    if (value == -1 && PyErr_Occurred() != nullptr) refuse(name, what);
    return value;
  }
  [[nodiscard]] std::string word(const char* name, const char* what) const {
    std::string text;
    if (!nb::try_cast<std::string>(at(name), text)) refuse(name, what);
    return text;
  }

 private:
  [[noreturn]] void refuse(const char* name, const char* what) const {
    PyErr_Clear();
    raise_type_error("advantage", std::string(name) + " is a " + nb::type_name(at(name).type()).c_str() + ", must be " + what);
  }
};

ia::missing_reward missing_of(const options& from) {
  if (!from.has("missing")) return ia::missing_reward::refused();
  if (!nb::isinstance<nb::str>(from.at("missing")))
    return ia::missing_reward::scored(from.number("missing", "a word or a number"));
  using make = ia::missing_reward (*)();
  constexpr std::array<std::pair<const char*, make>, 2> rules{{
      {"refused", [] { return ia::missing_reward::refused(); }},
      {"left_out", [] { return ia::missing_reward::left_out(); }},
  }};
  return choice("missing", from.word("missing", "a word"), rules)();
}

void read_options(const options& from, advantage_request& request) {
  if (request.kind == advantage_kind::mean_normalized) request.group.epsilon = 1e-6;
  from.read("epsilon", request.group.epsilon);
  from.read("epsilon", request.best.epsilon);
  from.read("normalized", request.best.normalized);
  from.read("k", request.k);
  from.read(
      "over", request.best.over,
      std::array<std::pair<const char*, ia::best_over>, 2>{{{"second", ia::best_over::second}, {"mean", ia::best_over::mean}}});
  from.read("spread", request.group.spread,
            std::array<std::pair<const char*, ia::deviation>, 2>{
                {{"bessel", ia::deviation::bessel}, {"population", ia::deviation::population}}});
  from.read("single", request.group.single,
            std::array<std::pair<const char*, ia::group_of_one>, 3>{{{"refused", ia::group_of_one::refused},
                                                                     {"zero", ia::group_of_one::zero},
                                                                     {"uncentred", ia::group_of_one::uncentred}}});
  request.baseline = ia::subset_baseline::leave_one_out;
  from.read("baseline", request.baseline,
            std::array<std::pair<const char*, ia::subset_baseline>, 2>{
                {{"leave_one_out", ia::subset_baseline::leave_one_out}, {"none", ia::subset_baseline::none}}});
  request.group.missing = missing_of(from);
}

void expects_unbiased(const ia::any_procedure& procedure) {
  procedure.visit([]<class P>(const P& held) {
    if constexpr (!requires { held.from_count(index_t{1}, index_t{1}); })
      raise_value_error("advantage", held.name() + " has no unbiased estimate from samples");
  });
}

nb::object advantage(const std::string& kind, nb::handle rewards, const nb::dict& given, nb::handle out, int threads) {
  constexpr std::string_view function = "advantage";
  const options from{given};
  advantage_request request{};
  request.kind = choice("kind", kind, kinds);
  read_options(from, request);
  groups_argument r(function, "rewards", rewards), a(function, "out");
  groups_argument other(function, from.has("lengths") ? "lengths" : "base_rewards");
  std::optional<vector_argument> greedy;
  if (from.has("lengths") || from.has("base_rewards")) {
    other.read(given[from.has("lengths") ? "lengths" : "base_rewards"]);
    other.expects_type_of(r);
    to_one_shape(r, other);
    request.other = other.get();
  }
  if (from.has("greedy")) {
    greedy.emplace(function, "greedy", given["greedy"], r.get().type == scalar::float32 ? 'f' : 'd');
    request.other.data = const_cast<void*>(greedy->data());
    request.other.total = greedy->size();
  }
  std::optional<procedure_argument> procedure, base_procedure;
  if (from.has("procedure")) {
    procedure.emplace("procedure", given["procedure"]);
    base_procedure.emplace("procedure", given[from.has("base_procedure") ? "base_procedure" : "procedure"]);
    expects_unbiased(**procedure);
    expects_unbiased(**base_procedure);
    request.procedure = procedure->get();
    request.base_procedure = base_procedure->get();
  }
  if (out.is_none()) {
    a.create(r);
  } else {
    a.write(out);
    a.expects_type_of(r);
    if (r.get().offsets != nullptr) a.as_ragged();
  }
  request.rewards = r.get();
  request.out = a.get();
  without_gil(function, threads, [&](const ia::executor& run) { baseline::advantage(run, request); });
  return a.result(r);
}

}  // namespace

void define_advantage(nb::module_& m) {
  m.def("advantage", advantage, nb::arg("kind"), nb::arg("rewards"), nb::arg("options"), nb::arg("out").none(),
        nb::arg("threads"));
}

}  // namespace infalign_python
