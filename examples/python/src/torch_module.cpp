// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses of PyTorch's tensors on the CPU: nothing of PyTorch is compiled against.
#include <cmath>
#include <string>
#include <vector>

#include "modules.hpp"
#include "policy_loss_call.hpp"

namespace infalign_python {

namespace {

/// What is asked of tensors, made once, when `infalign.torch` is imported.
struct vocabulary {
  std::vector<nb::object> dtypes;  ///< `torch.dtype` objects, which exist once each, in the order of `element`
  nb::object is_cpu = name("is_cpu"), dtype = name("dtype"), shape = name("shape"), stride = name("stride"),
             data_ptr = name("data_ptr");

  static nb::object name(const char* text) { return nb::steal(PyUnicode_InternFromString(text)); }
};
vocabulary* words = nullptr;

element element_of(nb::handle dtype) {
  for (std::size_t i = 0; i < words->dtypes.size(); ++i)
    if (words->dtypes[i].is(dtype)) return static_cast<element>(i);
  return element::none;
}

/// A tensor of PyTorch, or None unless it is needed, for a function that messages name.
tensor tensor_of(std::string_view name, nb::handle from, bool needed = false, std::string_view function = policy_loss_name) {
  tensor t{.name = name, .function = function};
  if (from.is_none() && !needed) return t;
  const nb::object on_cpu = nb::getattr(from, words->is_cpu, nb::none());
  if (on_cpu.is_none())
    raise_type_error(function, std::string(name) + " is a " + nb::type_name(from.type()).c_str() + ", must be a tensor");
  if (!on_cpu.is(nb::handle(Py_True)))
    raise_value_error(function, std::string(name) + " is on " +
                                    nb::steal<nb::str>(PyObject_Str(nb::object(from.attr("device")).ptr())).c_str() +
                                    ", must be on the CPU");
  t.type = element_of(nb::getattr(from, words->dtype));
  const auto shape = nb::borrow<nb::tuple>(nb::getattr(from, words->shape)),
             steps = nb::borrow<nb::tuple>(from.attr(words->stride)());
  t.dimensions = static_cast<int>(shape.size());
  for (std::size_t i = 0; i < shape.size() && i < t.sizes.size(); ++i) {
    t.sizes[i] = nb::cast<index_t>(shape[i]);
    t.strides[i] = nb::cast<index_t>(steps[i]);
  }
  t.data = reinterpret_cast<char*>(nb::cast<std::uintptr_t>(from.attr(words->data_ptr)()));
  return t;
}

void policy_loss(nb::handle logits, nb::handle tokens, nb::handle advantages, nb::handle mask, nb::handle old_log_prob,
                 nb::handle base_logits, nb::handle base_log_prob, nb::handle gradient, nb::handle statistics, nb::handle total,
                 const char* loss, double epsilon_low, double epsilon_high, double kl, const char* kl_estimator, double entropy,
                 double temperature, double soft_cap, const char* aggregation, double divisor, bool wants_entropy,
                 int threads) {
  policy_loss_call call({.logits = tensor_of("logits", logits, true),
                         .tokens = tensor_of("tokens", tokens, true),
                         .advantages = tensor_of("advantages", advantages, true),
                         .mask = tensor_of("mask", mask),
                         .old_log_prob = tensor_of("old_log_prob", old_log_prob),
                         .base_logits = tensor_of("base_logits", base_logits),
                         .base_log_prob = tensor_of("base_log_prob", base_log_prob),
                         .gradient = tensor_of("out", gradient, true),
                         .statistics = tensor_of("statistics", statistics),
                         .total = tensor_of("total", total, true)},
                        {.loss = loss,
                         .epsilon_low = epsilon_low,
                         .epsilon_high = epsilon_high,
                         .kl = kl,
                         .kl_estimator = kl_estimator,
                         .entropy = entropy,
                         .temperature = temperature,
                         .soft_cap = soft_cap,
                         .aggregation = aggregation,
                         .divisor = divisor},
                        wants_entropy);
  without_gil(policy_loss_name, threads, [&](const ia::executor& by) { call.run(by); });
}

/// The function with the passes on their own, whose tensors and arrays `infalign/_torch_shards.py` hands in.
constexpr std::string_view shard_name = "token_statistics";

/// How many doubles a value is in Python.
template <class T>
constexpr std::size_t doubles = sizeof(T) / sizeof(double);
static_assert(doubles<ia::row_coefficients> == 3);

/// The rows of an array of doubles, as values of type `T`.
template <class T>
T* values_of(const groups_argument& rows) {
  return static_cast<T*>(rows.get().data);
}

/// Logits, ids and settings of a call, while it runs.
struct shard_argument {
  tensor logits, base;
  batch ids;
  policy_loss_request request{};

  shard_argument(nb::handle given, nb::handle given_base, nb::handle tokens, double temperature, double soft_cap)
      : logits(tensor_of("logits", given, true, shard_name)),
        base(tensor_of("base_logits", given_base, false, shard_name)),
        ids(tensor_of("tokens", tokens, true, shard_name)) {
    if (logits.type != element::float32 && logits.type != element::float64) logits.refuse_type("float32 or float64");
    if (base.given() && !same_type(base, logits)) base.refuse_type("the type of logits");
    if (!(temperature > 0) || !std::isfinite(1 / temperature))
      raise_value_error(shard_name, "temperature is " + std::to_string(temperature) + ", must be positive");
    request.type = static_cast<logit_type>(logits.type);
    request.responses = ids.responses;
    request.length = ids.length;
    request.columns = logits.sizes[logits.dimensions == 2 ? 1 : 2];
    request.logits = rows_of(logits, ids, request.columns);
    request.base = rows_of(base, ids, request.columns);
    request.tokens = ids.tokens.data();
    request.scale = 1 / temperature;
    request.soft_cap = soft_cap;
  }
  /// Logits of double are for checks: they are compiled for the baseline alone.
  [[nodiscard]] const kernels& table() const {
    return request.type == logit_type::float64 ? baseline::table : chosen_kernels();
  }
};

}  // namespace

void define_torch(nb::module_& m) {
  m.def("set_torch_dtypes", [](const nb::list& known) {
    if (words == nullptr) words = new vocabulary;
    words->dtypes.clear();
    for (const nb::handle dtype : known) words->dtypes.push_back(nb::borrow(dtype));
  });
  m.def("preset_names", [] {
    nb::list names;
    for (const named_loss& loss : named_losses())
      if (loss.trainer != nullptr) names.append(nb::make_tuple(loss.name, loss.trainer));
    return names;
  });
  m.def("policy_loss", policy_loss, nb::arg("logits"), nb::arg("tokens").none(), nb::arg("advantages").none(),
        nb::arg("mask").none(), nb::arg("old_log_prob").none(), nb::arg("base_logits").none(), nb::arg("base_log_prob").none(),
        nb::arg("gradient"), nb::arg("statistics").none(), nb::arg("total"), nb::arg("loss"), nb::arg("epsilon_low"),
        nb::arg("epsilon_high"), nb::arg("kl"), nb::arg("kl_estimator"), nb::arg("entropy"), nb::arg("temperature"),
        nb::arg("soft_cap"), nb::arg("aggregation"), nb::arg("divisor"), nb::arg("wants_entropy"), nb::arg("threads"));
  // How many doubles a state is, how many the statistics of a row, and the id of a token of which nothing is read.
  m.def("shard_sizes", [] { return nb::make_tuple(doubles<ia::row_state>, doubles<ia::row_statistics>, left_out); });
  m.def(
      "read_shard",
      [](nb::handle logits, nb::handle base, nb::handle tokens, bool entropy, double temperature, double soft_cap,
         nb::handle states, int threads) {
        const shard_argument of(logits, base, tokens, temperature, soft_cap);
        groups_argument out(shard_name, "states");
        out.write(states);
        without_gil(shard_name, threads, [&](const ia::executor& run) {
          of.table().read_shard(run, of.request, entropy, values_of<ia::row_state>(out));
        });
      },
      nb::arg("logits"), nb::arg("base").none(), nb::arg("tokens"), nb::arg("entropy"), nb::arg("temperature"),
      nb::arg("soft_cap"), nb::arg("states"), nb::arg("threads"));
  m.def("merge_states", [](nb::handle into, nb::handle other) {
    groups_argument to(shard_name, "into");
    to.write(into);
    const groups_argument from(shard_name, "other", other);
    for (index_t t = 0; t < to.get().size; ++t) values_of<ia::row_state>(to)[t].merge(values_of<ia::row_state>(from)[t]);
  });
  // A row with the log-probability, KL and entropy of each token in `columns`.
  m.def("finish_states", [](nb::handle states, bool kl, bool entropy, nb::handle statistics, nb::handle columns) {
    const groups_argument in(shard_name, "states", states);
    groups_argument out(shard_name, "statistics"), of_tokens(shard_name, "columns");
    out.write(statistics);
    of_tokens.write(columns);
    for (index_t t = 0; t < in.get().size; ++t) {
      const ia::row_statistics s = ia::statistics_of(values_of<ia::row_state>(in)[t], {.kl = kl, .entropy = entropy});
      values_of<ia::row_statistics>(out)[t] = s;
      double* const own = values_of<double>(of_tokens) + 3 * t;
      own[0] = s.log_prob();
      own[1] = s.kl;
      own[2] = s.entropy;
    }
  });
  m.def(
      "shard_gradient",
      [](nb::handle logits, nb::handle base, nb::handle tokens, double temperature, double soft_cap, nb::handle statistics,
         nb::handle coefficients, nb::handle gradient, int threads) {
        shard_argument of(logits, base, tokens, temperature, soft_cap);
        const groups_argument s(shard_name, "statistics", statistics), c(shard_name, "coefficients", coefficients);
        const tensor g = tensor_of("gradient", gradient, true, shard_name);
        of.request.gradient = rows_of(g, of.ids, of.request.columns);
        without_gil(shard_name, threads, [&](const ia::executor& run) {
          of.table().shard_gradient(run, of.request, values_of<ia::row_statistics>(s), values_of<ia::row_coefficients>(c));
        });
      },
      nb::arg("logits"), nb::arg("base").none(), nb::arg("tokens"), nb::arg("temperature"), nb::arg("soft_cap"),
      nb::arg("statistics"), nb::arg("coefficients"), nb::arg("gradient"), nb::arg("threads"));
}

}  // namespace infalign_python
