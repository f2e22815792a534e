// SPDX-License-Identifier: Apache-2.0
/// \file
/// Any text as the name of a transform, a procedure or a tie rule. Either it is refused with a `domain_error` that holds it, or it makes
/// something whose name reads back as the same thing, and which is what every transform or procedure must be.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz/input.hpp"
#include "infalign/calibration/parse_tie_rule.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "infalign/transform/any_transform.hpp"

namespace infalign::fuzz {
namespace {

/// What `text` names, or nothing if it is refused.
template <class Parse>
auto read(Parse&& parse, std::string_view text) -> std::optional<decltype(parse(text))> {
  try {
    return parse(text);
  } catch (const domain_error& e) {
    const std::string_view message = e.what();
    // what() ends at a NUL, long texts are shortened, and of a name within a name the inner one may be quoted.
    constexpr std::size_t longest_quoted = 200, longest_message = 1500;
    const bool is_inner = text.substr(0, 8) == "clamped:";
    if (text.size() <= longest_quoted && text.find('\0') == text.npos && !is_inner && message.find(text) == message.npos)
      disagree("'", text, "' is refused without its text: ", message);
    if (message.size() > longest_message) disagree("a message of ", message.size(), " bytes: ", message);
  }
  return {};
}

/// Equal, or both NaN.
bool same(double a, double b) {
  return a == b || (a != a && b != b);
}

template <class Parse, class Value>
Value read_back(Parse&& parse, std::string_view text, const Value& value) {
  const std::string name = value.name();
  const auto again = read(parse, name);
  if (!again) disagree("'", text, "' reads as ", name, ", which does not read back");
  if (again->name() != name) disagree("'", text, "' reads as ", name, ", and that as ", again->name());
  return *again;
}

void check_transform(std::string_view text) {
  const auto parse = [](std::string_view name) { return parse_transform(name); };
  const auto transform = read(parse, text);
  if (!transform) return;
  const auto again = read_back(parse, text, *transform);
  double last = -std::numeric_limits<double>::infinity();
  for (int i = 0; i <= 64; ++i) {
    const double u = i / 64.0, value = (*transform)(u), slope = transform->derivative(u);
    if (!same(value, again(u))) disagree("'", text, "' at ", u, " is ", value, ", read back ", again(u));
    if (value != value) disagree("'", text, "' is NaN at ", u);
    if (!(value >= last - 1e-12 * std::abs(last))) disagree("'", text, "' falls to ", value, " at ", u);
    if (i > 0 && i < 64 && !(slope >= 0)) disagree("'", text, "' has slope ", slope, " at ", u);
    last = value;
  }
}

void check_procedure(std::string_view text) {
  const auto parse = [](std::string_view name) { return parse_procedure(name); };
  const auto procedure = read(parse, text);
  if (!procedure) return;
  const auto again = read_back(parse, text, *procedure);
  const index_t needed = procedure->samples_needed();
  if (needed < 1 || again.samples_needed() != needed)
    disagree("'", text, "' draws ", needed, ", read back ", again.samples_needed());
  if (!(procedure->steepest_fall() >= 0)) disagree("'", text, "' has steepest fall ", procedure->steepest_fall());
  if (needed > 100000) return;  // sums over all counts
  const double first = procedure->distortion(0), end = procedure->distortion(1);
  if (!(std::abs(first) <= 1e-9 && std::abs(end - 1) <= 1e-9))
    disagree("'", text, "' distorts 0 to ", first, " and 1 to ", end);
  double last = 0;
  for (int i = 0; i <= 32; ++i) {
    const double q = i / 32.0, value = procedure->distortion(q), density = procedure->density(q);
    if (!same(value, again.distortion(q))) disagree("'", text, "' at ", q, " is ", value, ", read back ", again.distortion(q));
    if (!(value >= last - 1e-9 && value <= 1 + 1e-9)) disagree("'", text, "' goes from ", last, " to ", value, " at ", q);
    if (!(density >= -1e-9)) disagree("'", text, "' has density ", density, " at ", q);
    last = value;
  }
  if (needed > 3000) return;
  const index_t samples = needed + 5;
  double share = 0;
  for (index_t count = 0; count <= samples; count += samples / 16 + 1) {
    const double value = procedure->from_count(count, samples);
    if (!(value >= share - 1e-9 && value <= 1 + 1e-9))
      disagree("'", text, "' has share ", value, " after ", share, " at ", count, " of ", samples);
    share = value;
  }
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace infalign::fuzz;
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  check_transform(text);
  check_procedure(text);
  read([](std::string_view name) { return infalign::parse_tie_rule(name); }, text);
  return 0;
}
