// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses of PyTorch's tensors on the CPU: nothing of PyTorch is compiled against.
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

/// A tensor of PyTorch, or None unless it is needed.
tensor tensor_of(std::string_view name, nb::handle from, bool needed = false) {
  tensor t{name};
  if (from.is_none() && !needed) return t;
  const nb::object on_cpu = nb::getattr(from, words->is_cpu, nb::none());
  if (on_cpu.is_none())
    raise_type_error(policy_loss_name,
                     std::string(name) + " is a " + nb::type_name(from.type()).c_str() + ", must be a tensor");
  if (!on_cpu.is(nb::handle(Py_True)))
    raise_value_error(policy_loss_name, std::string(name) + " is on " +
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
}

}  // namespace infalign_python
