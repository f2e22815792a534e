// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy losses of PyTorch's tensors on the CPU, read by their addresses: nothing of PyTorch is compiled against.
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <infalign/core/storage.hpp>

#include "arrays.hpp"
#include "modules.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

constexpr std::string_view function = "policy_loss";

enum class element : int { float32, float64, bfloat16, float16, int64, int32, boolean, none };

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

/// A tensor, or None: where it lies and how, of its first three dimensions.
struct tensor {
  std::string_view name;
  nb::handle from;
  element type = element::none;
  char* data = nullptr;
  int dimensions = 0;
  std::array<index_t, 3> sizes{};
  std::array<index_t, 3> strides{};

  tensor(std::string_view called, nb::handle handed_in, bool needed = false) : name(called), from(handed_in) {
    if (from.is_none() && !needed) return;
    const nb::object on_cpu = nb::getattr(from, words->is_cpu, nb::none());
    if (on_cpu.is_none())
      raise_type_error(function, std::string(name) + " is a " + nb::type_name(from.type()).c_str() + ", must be a tensor");
    if (!on_cpu.is(nb::handle(Py_True)))
      raise_value_error(function, std::string(name) + " is on " +
                                      nb::steal<nb::str>(PyObject_Str(nb::object(from.attr("device")).ptr())).c_str() +
                                      ", must be on the CPU");
    type = element_of(nb::getattr(from, words->dtype));
    const auto shape = nb::borrow<nb::tuple>(nb::getattr(from, words->shape)),
               steps = nb::borrow<nb::tuple>(from.attr(words->stride)());
    dimensions = static_cast<int>(shape.size());
    for (std::size_t i = 0; i < shape.size() && i < 3; ++i) {
      sizes[i] = nb::cast<index_t>(shape[i]);
      strides[i] = nb::cast<index_t>(steps[i]);
    }
    data = reinterpret_cast<char*>(nb::cast<std::uintptr_t>(from.attr(words->data_ptr)()));
  }
  [[nodiscard]] bool given() const { return !from.is_none(); }
  [[noreturn]] void refuse_type(const char* allowed) const {
    raise_type_error(function, std::string(name) + " must be of " + allowed);
  }
  [[nodiscard]] std::string shape() const {
    std::string text;
    for (const nb::handle size : nb::borrow<nb::tuple>(nb::getattr(from, words->shape)))
      text += (text.empty() ? "" : " x ") + std::to_string(nb::cast<index_t>(size));
    return dimensions == 0 ? "a single number" : text;
  }
};

/// Values of every token, `responses` times `length`, in another type. A tensor with one value a response has it for all tokens.
template <class To>
void copy_tokens(const tensor& from, index_t responses, index_t length, std::vector<To>& out) {
  const index_t row = from.dimensions == 2 ? from.strides[0] : responses == 1 && from.sizes[0] == length ? 0 : from.strides[0];
  const index_t step = from.dimensions == 2 ? from.strides[1] : row == 0 ? from.strides[0] : 0;
  const auto copy = [&](auto zero) {
    using From = decltype(zero);
    const auto* const values = reinterpret_cast<const From*>(from.data);
    for (index_t b = 0; b < responses; ++b)
      for (index_t t = 0; t < length; ++t) {
        if constexpr (std::is_class_v<From>)
          out[static_cast<std::size_t>(b * length + t)] = static_cast<To>(static_cast<float>(values[b * row + t * step]));
        else
          out[static_cast<std::size_t>(b * length + t)] = static_cast<To>(values[b * row + t * step]);
      }
  };
  switch (from.type) {
    case element::float32: return copy(float());
    case element::float64: return copy(double());
    case element::bfloat16: return copy(ia::bfloat16());
    case element::float16: return copy(ia::half());
    case element::int64: return copy(std::int64_t());
    case element::int32: return copy(std::int32_t());
    case element::boolean: return copy(static_cast<unsigned char>(0));
    case element::none: from.refuse_type("numbers");
  }
}

/// The batch that a call works on, and its tensors in the library's types.
struct batch {
  index_t responses = 1;
  index_t length = 0;
  std::vector<index_t> tokens;
  std::vector<double> advantages, old_log_prob, base_log_prob, weights;

  /// `tokens` says how many responses and tokens there are: T ids, or B times L.
  explicit batch(const tensor& ids) {
    if (ids.dimensions != 1 && ids.dimensions != 2)
      raise_value_error(function, "tokens is " + ids.shape() + ", must have one dimension or two");
    if (ids.type != element::int64 && ids.type != element::int32) ids.refuse_type("int64 or int32");
    responses = ids.dimensions == 2 ? ids.sizes[0] : 1;
    length = ids.sizes[ids.dimensions == 2 ? 1 : 0];
    tokens.resize(static_cast<std::size_t>(responses * length));
    copy_tokens(ids, responses, length, tokens);
    two_ = ids.dimensions == 2;
  }
  [[nodiscard]] std::size_t size() const { return tokens.size(); }

  /// One value a token.
  void read(const tensor& from, std::vector<double>& out) const {
    if (!from.given()) return;
    const bool fits = two_ ? from.dimensions == 2 && from.sizes[0] == responses && from.sizes[1] == length
                           : from.dimensions == 1 && from.sizes[0] == length;
    if (!fits) refuse(from, "one value a token");
    out.resize(size());
    copy_tokens(from, responses, length, out);
  }
  /// One value a token or a response; for losses of responses, one a response.
  void read_advantages(const tensor& from, bool of_responses) {
    const bool a_response = two_ && from.dimensions == 1 && from.sizes[0] == responses;
    const bool a_token = two_ ? from.dimensions == 2 && from.sizes[0] == responses && from.sizes[1] == length
                              : from.dimensions == 1 && from.sizes[0] == length;
    if (of_responses && !a_response) refuse(from, "one value a response, as the loss is that of responses");
    if (!a_response && !a_token) refuse(from, "one value a token or a response");
    advantages.resize(of_responses ? static_cast<std::size_t>(responses) : size());
    copy_tokens(from, responses, of_responses ? 1 : length, advantages);
  }

 private:
  [[noreturn]] void refuse(const tensor& from, const char* what) const {
    const std::string own = two_ ? std::to_string(responses) + " x " + std::to_string(length) : std::to_string(length);
    raise_value_error(function,
                      std::string(from.name) + " is " + from.shape() + ", but tokens is " + own + ": must be " + what);
  }
  bool two_ = false;
};

bool same_type(const tensor& a, const tensor& b) {
  return a.type == b.type;
}

/// Rows of logits of the batch.
logit_rows rows_of(const tensor& from, const batch& of, index_t columns) {
  if (!from.given()) return {};
  if (from.dimensions != 2 && from.dimensions != 3)
    raise_value_error(function, std::string(from.name) + " is " + from.shape() + ", must have two dimensions or three");
  const bool two = from.dimensions == 2;
  const std::size_t last = two ? 1 : 2;
  const bool fits = two ? of.responses == 1 && from.sizes[0] == of.length
                        : from.dimensions == 3 && from.sizes[0] == of.responses && from.sizes[1] == of.length;
  if (!fits || from.sizes[last] != columns)
    raise_value_error(function, std::string(from.name) + " is " + from.shape() + ", but there are " +
                                    std::to_string(of.responses) + " x " + std::to_string(of.length) + " tokens of " +
                                    std::to_string(columns) + " logits");
  if (columns > 1 && from.strides[last] != 1)
    raise_value_error(function, "the rows of " + std::string(from.name) + " are not contiguous");
  return {from.data, two ? of.length * from.strides[0] : from.strides[0], from.strides[last - 1]};
}

struct named_loss {
  const char* name;
  loss_kind kind;
  double low;
  double high;
  int aggregation;
};
/// What trainers call losses, with their usual bounds and means: over tokens (0) or over the means of responses (1).
constexpr named_loss losses[] = {
    {"grpo", loss_kind::clipped, 0.2, 0.2, 1}, {"dapo", loss_kind::clipped, 0.2, 0.28, 0},
    {"ppo", loss_kind::clipped, 0.2, 0.2, 0},  {"reinforce", loss_kind::reinforce, 0, 0, 0},
    {"cispo", loss_kind::cispo, 1, 4, 0},      {"sapo", loss_kind::sapo, 1.05, 1, 1},
    {"gspo", loss_kind::gspo, 3e-4, 4e-4, 1},  {"gmpo", loss_kind::gmpo, 0.4, 0.4, 1},
    {"vespo", loss_kind::vespo, 0, 0, 0},
};

const named_loss& loss_named(std::string_view name) {
  std::string known;
  for (const named_loss& loss : losses) {
    if (name == loss.name) return loss;
    known += (known.empty() ? "" : ", ") + std::string(loss.name);
  }
  raise_value_error(function, "loss is '" + std::string(name) + "', must be one of " + known);
}

int choice(const char* what, std::string_view text, const std::vector<const char*>& words, int first) {
  std::string known;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (text == words[i]) return static_cast<int>(i) + first;
    known += (known.empty() ? "" : ", ") + std::string(words[i]);
  }
  raise_value_error(function, std::string(what) + " is '" + std::string(text) + "', must be one of " + known);
}

/// Settings of a call. Numbers that are NaN are not given: the loss has its own.
struct settings {
  const char* loss;
  double epsilon_low;
  double epsilon_high;
  double kl;
  const char* kl_estimator;
  double entropy;
  double temperature;
  double soft_cap;
  const char* aggregation;
  double divisor;
};

void fill(policy_loss_request& request, const settings& from, const batch& tokens, bool has_base) {
  const named_loss& loss = loss_named(from.loss);
  request.loss = loss.kind;
  request.epsilon_low = std::isnan(from.epsilon_low) ? loss.low : from.epsilon_low;
  request.epsilon_high = std::isnan(from.epsilon_high) ? loss.high : from.epsilon_high;
  request.kl = from.kl;
  request.kl_estimator = choice("kl_estimator", from.kl_estimator, {"exact", "k1", "absolute", "k2", "k3"}, -1);
  if (from.kl > 0 && request.kl_estimator < 0 && !has_base) raise_value_error(function, "the exact KL needs base_logits");
  if (from.kl > 0 && request.kl_estimator >= 0 && !has_base && tokens.base_log_prob.empty())
    raise_value_error(function, "the KL needs base_log_prob or base_logits");
  request.entropy = from.entropy;
  if (!(from.temperature > 0) || !std::isfinite(1 / from.temperature))
    raise_value_error(function, "temperature is " + std::to_string(from.temperature) + ", must be positive");
  request.scale = 1 / from.temperature;
  request.soft_cap = from.soft_cap;
}

int aggregation_of(const settings& from) {
  const std::string_view by = from.aggregation;
  if (by.empty()) return loss_named(from.loss).aggregation;
  return choice("aggregation", by, {"token_mean", "sequence_mean_of_token_means", "sequence_mean_of_token_sums", "sum_over"},
                0);
}

void policy_loss(nb::handle logits, nb::handle tokens, nb::handle advantages, nb::handle mask, nb::handle old_log_prob,
                 nb::handle base_logits, nb::handle base_log_prob, nb::handle gradient, nb::handle statistics, nb::handle total,
                 const char* loss, double epsilon_low, double epsilon_high, double kl, const char* kl_estimator, double entropy,
                 double temperature, double soft_cap, const char* aggregation, double divisor, bool wants_entropy,
                 int threads) {
  const settings given{loss, epsilon_low, epsilon_high, kl, kl_estimator, entropy, temperature, soft_cap, aggregation, divisor};
  const tensor l("logits", logits), base("base_logits", base_logits), g("out", gradient), s("statistics", statistics),
      sum("total", total);
  if (l.type == element::none || l.type > element::float16) l.refuse_type("float32, float64, bfloat16 or float16");
  if (base.given() && !same_type(base, l)) base.refuse_type("the type of logits");
  if (!same_type(g, l)) g.refuse_type("the type of logits");
  batch of(tensor("tokens", tokens, true));
  policy_loss_request request{};
  request.type = static_cast<logit_type>(l.type);
  request.responses = of.responses;
  request.length = of.length;
  request.columns = l.sizes[l.dimensions == 2 ? 1 : 2];
  request.logits = rows_of(l, of, request.columns);
  request.base = rows_of(base, of, request.columns);
  request.gradient = rows_of(g, of, request.columns);
  const bool responses = [&] {
    const loss_kind kind = loss_named(loss).kind;
    return kind == loss_kind::gspo || kind == loss_kind::gmpo || kind == loss_kind::vespo;
  }();
  of.read_advantages(tensor("advantages", advantages, true), responses);
  of.read(tensor("old_log_prob", old_log_prob), of.old_log_prob);
  of.read(tensor("base_log_prob", base_log_prob), of.base_log_prob);
  of.weights.assign(of.size(), 1);
  of.read(tensor("mask", mask), of.weights);
  fill(request, given, of, base.given());
  baseline::aggregate(aggregation_of(given), divisor, of.responses, of.length, of.weights.data());
  for (std::size_t t = 0; t < of.size(); ++t)
    if (of.weights[t] == 0) of.tokens[t] = 0;  // what is no token may have any id
  const auto data_or_null = [](const std::vector<double>& values) { return values.empty() ? nullptr : values.data(); };
  request.tokens = of.tokens.data();
  request.advantages = of.advantages.data();
  request.old_log_prob = data_or_null(of.old_log_prob);
  request.base_log_prob = data_or_null(of.base_log_prob);
  request.weights = of.weights.data();
  request.wants_entropy = wants_entropy || entropy > 0;
  // Without a place of their own they go into scratch memory: the sum is made of them.
  std::vector<double> scratch(s.given() ? 0 : 4 * of.size());
  request.statistics = s.given() ? static_cast<void*>(s.data) : scratch.data();
  // Logits of double are for checks of gradients: they are compiled for the baseline alone.
  const kernels& table = request.type == logit_type::float64 ? baseline::table : chosen_kernels();
  double value = 0;
  without_gil(function, threads, [&](const ia::executor& run) { value = table.policy_loss(run, request); });
  if (sum.type == element::float64)
    *reinterpret_cast<double*>(sum.data) = value;
  else
    *reinterpret_cast<float*>(sum.data) = static_cast<float>(value);
}

}  // namespace

void define_torch(nb::module_& m) {
  m.def("set_torch_dtypes", [](const nb::list& known) {
    if (words == nullptr) words = new vocabulary;
    words->dtypes.clear();
    for (const nb::handle dtype : known) words->dtypes.push_back(nb::borrow(dtype));
  });
  m.def("policy_loss", policy_loss, nb::arg("logits"), nb::arg("tokens").none(), nb::arg("advantages").none(),
        nb::arg("mask").none(), nb::arg("old_log_prob").none(), nb::arg("base_logits").none(), nb::arg("base_log_prob").none(),
        nb::arg("gradient"), nb::arg("statistics").none(), nb::arg("total"), nb::arg("loss"), nb::arg("epsilon_low"),
        nb::arg("epsilon_high"), nb::arg("kl"), nb::arg("kl_estimator"), nb::arg("entropy"), nb::arg("temperature"),
        nb::arg("soft_cap"), nb::arg("aggregation"), nb::arg("divisor"), nb::arg("wants_entropy"), nb::arg("threads"));
}

}  // namespace infalign_python
