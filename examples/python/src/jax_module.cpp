// SPDX-License-Identifier: Apache-2.0
/// \file
/// Handlers for XLA's foreign function interface, by which jitted functions of JAX call the library on the CPU. They are compiled
/// against the headers that jaxlib carries; nothing of jaxlib is linked.
#include <exception>
#include <string>
#include <vector>

#include <xla/ffi/api/ffi.h>

#include <infalign/calibration/parse_tie_rule.hpp>
#include <infalign/procedure/any_procedure.hpp>
#include <infalign/transform/any_transform.hpp>

#include "modules.hpp"
#include "policy_loss_call.hpp"

namespace infalign_python {

namespace {

namespace ffi = xla::ffi;

/// `f()`, whose errors become XLA's. Handlers run without the GIL.
template <class F>
ffi::Error guarded(const F& f) {
  try {
    f();
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::InvalidArgument(error.what());
  }
}

element element_of(ffi::DataType type) {
  switch (type) {
    case ffi::DataType::F32: return element::float32;
    case ffi::DataType::F64: return element::float64;
    case ffi::DataType::BF16: return element::bfloat16;
    case ffi::DataType::F16: return element::float16;
    case ffi::DataType::S64: return element::int64;
    case ffi::DataType::S32: return element::int32;
    case ffi::DataType::PRED: return element::boolean;
    default: return element::none;
  }
}

/// An array of XLA, contiguous and row by row. One without values stands for an argument that is not given.
tensor tensor_of(std::string_view name, const ffi::AnyBuffer& from, bool needed = false) {
  tensor t{name};
  if (from.element_count() == 0 && !needed) return t;
  t.type = element_of(from.element_type());
  t.data = static_cast<char*>(from.untyped_data());
  const auto sizes = from.dimensions();
  t.dimensions = static_cast<int>(sizes.size());
  index_t stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0; stride *= sizes[i])
    if (i < t.sizes.size()) t.sizes[i] = sizes[i], t.strides[i] = stride;
  return t;
}

/// Rewards of prompts: the last dimension is that of a prompt's samples.
groups groups_of(std::string_view function, std::string_view name, const ffi::AnyBuffer& from) {
  const auto sizes = from.dimensions();
  if (sizes.size() < 2) raise_value_error(function, std::string(name) + " must have two dimensions or more");
  const element type = element_of(from.element_type());
  if (type != element::float32 && type != element::float64)
    raise_type_error(function, std::string(name) + " must be of float32 or float64");
  groups g;
  g.data = from.untyped_data();
  g.type = type == element::float32 ? scalar::float32 : scalar::float64;
  g.columns = g.stride = sizes[sizes.size() - 1];
  g.size = 1;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) g.size *= sizes[i];
  g.total = g.size * g.columns;
  return g;
}

ffi::Error calibrate(ffi::AnyBuffer references, ffi::AnyBuffer rewards, ffi::Result<ffi::AnyBuffer> out,
                     std::string_view transform, std::string_view ties, bool leave_one_out, std::int64_t threads) {
  return guarded([&] {
    constexpr std::string_view function = "calibrate";
    const ia::any_transform phi = ia::parse_transform(transform);
    const calibration_request request{.references = groups_of(function, "references", references),
                                      .weights = nullptr,
                                      .rewards = groups_of(function, "rewards", rewards),
                                      .out = groups_of(function, "out", *out),
                                      .ties = ia::parse_tie_rule(ties),
                                      .transform = &phi,
                                      .leave_one_out = leave_one_out};
    chosen_kernels().calibrate(threads_of(function, static_cast<int>(threads)), request);
  });
}

ffi::Error win_rate(ffi::AnyBuffer policy, ffi::AnyBuffer base, ffi::Result<ffi::AnyBuffer> out, std::string_view procedure,
                    std::string_view base_procedure, std::int64_t threads) {
  return guarded([&] {
    constexpr std::string_view function = "win_rate";
    const ia::any_procedure of_policy = ia::parse_procedure(procedure), of_base = ia::parse_procedure(base_procedure);
    const groups y = groups_of(function, "policy", policy), z = groups_of(function, "base", base);
    std::vector<double> wins(static_cast<std::size_t>(y.size));
    chosen_kernels().win_rate(threads_of(function, static_cast<int>(threads)), {y, z, &of_policy, &of_base, wins.data()});
    for (std::size_t p = 0; p < wins.size(); ++p) {
      if (y.type == scalar::float32)
        static_cast<float*>(out->untyped_data())[p] = static_cast<float>(wins[p]);
      else
        static_cast<double*>(out->untyped_data())[p] = wins[p];
    }
  });
}

ffi::Error policy_loss(ffi::AnyBuffer logits, ffi::AnyBuffer tokens, ffi::AnyBuffer advantages, ffi::AnyBuffer mask,
                       ffi::AnyBuffer old_log_prob, ffi::AnyBuffer base_logits, ffi::AnyBuffer base_log_prob,
                       ffi::Result<ffi::AnyBuffer> gradient, ffi::Result<ffi::AnyBuffer> statistics,
                       ffi::Result<ffi::AnyBuffer> total, std::string_view loss, double epsilon_low, double epsilon_high,
                       double kl, std::string_view kl_estimator, double entropy, double temperature, double soft_cap,
                       std::string_view aggregation, double divisor, std::int64_t threads) {
  return guarded([&] {
    policy_loss_call call({.logits = tensor_of("logits", logits, true),
                           .tokens = tensor_of("tokens", tokens, true),
                           .advantages = tensor_of("advantages", advantages, true),
                           .mask = tensor_of("mask", mask),
                           .old_log_prob = tensor_of("old_log_prob", old_log_prob),
                           .base_logits = tensor_of("base_logits", base_logits),
                           .base_log_prob = tensor_of("base_log_prob", base_log_prob),
                           .gradient = tensor_of("gradient", *gradient, true),
                           .statistics = tensor_of("statistics", *statistics),
                           .total = tensor_of("total", *total, true)},
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
                          true);
    call.run(threads_of(policy_loss_name, static_cast<int>(threads)));
  });
}

XLA_FFI_DEFINE_HANDLER(calibrate_handler, calibrate,
                       ffi::Ffi::Bind()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attr<std::string_view>("transform")
                           .Attr<std::string_view>("ties")
                           .Attr<bool>("leave_one_out")
                           .Attr<std::int64_t>("threads"));

XLA_FFI_DEFINE_HANDLER(win_rate_handler, win_rate,
                       ffi::Ffi::Bind()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attr<std::string_view>("procedure")
                           .Attr<std::string_view>("base_procedure")
                           .Attr<std::int64_t>("threads"));

XLA_FFI_DEFINE_HANDLER(policy_loss_handler, policy_loss,
                       ffi::Ffi::Bind()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attr<std::string_view>("loss")
                           .Attr<double>("epsilon_low")
                           .Attr<double>("epsilon_high")
                           .Attr<double>("kl")
                           .Attr<std::string_view>("kl_estimator")
                           .Attr<double>("entropy")
                           .Attr<double>("temperature")
                           .Attr<double>("soft_cap")
                           .Attr<std::string_view>("aggregation")
                           .Attr<double>("divisor")
                           .Attr<std::int64_t>("threads"));

}  // namespace

void define_jax(nb::module_& m) {
  const auto handler = [](auto* function) { return nb::capsule(reinterpret_cast<void*>(function)); };
  m.def("jax_handlers", [=] {
    nb::dict handlers;
    handlers["infalign_calibrate"] = handler(+calibrate_handler);
    handlers["infalign_win_rate"] = handler(+win_rate_handler);
    handlers["infalign_policy_loss"] = handler(+policy_loss_handler);
    return handlers;
  });
  m.def("jax_api", [] { return nb::make_tuple(XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR); });
}

}  // namespace infalign_python
