// SPDX-License-Identifier: Apache-2.0
/// \file
/// Functions of rewards for Python. Their documentation is in the package, which calls them by position.
#include <memory>
#include <vector>

#include <infalign/calibration/parse_tie_rule.hpp>
#include <infalign/calibration/uncertainty.hpp>
#include <infalign/evaluation/expected_reward.hpp>
#include <infalign/serving/choose_samples.hpp>

#include "arrays.hpp"
#include "modules.hpp"
#include "names.hpp"

namespace infalign_python {

namespace ia = infalign;

namespace {

/// A new array for results, or the one that was given for them; its shape is checked by the library.
void make_out(groups_argument& out, nb::handle given, const groups_argument& rewards) {
  if (given.is_none()) return out.create(rewards);
  out.write(given);
  out.expects_type_of(rewards);
  if (rewards.get().offsets != nullptr) out.as_ragged();
}

nb::object calibrate(nb::handle references, nb::handle rewards, nb::handle transform, const char* ties, nb::handle weights,
                     bool leave_one_out, nb::handle out, int threads) {
  constexpr std::string_view function = "calibrate";
  const transform_argument phi("transform", transform);
  const bool plain =
      (*phi).visit([](const auto& held) { return std::same_as<std::remove_cvref_t<decltype(held)>, ia::identity>; });
  groups_argument y(function, "rewards", rewards), z(function, "references"), w(function, "weights"), u(function, "out");
  if (leave_one_out) {
    if (!references.is_none() && !references.is(rewards))
      raise_value_error(function, "with leave_one_out, rewards are their own references: pass None or the same array");
    if (!weights.is_none()) raise_value_error(function, "with leave_one_out, there are no weights");
  } else {
    z.read(references);
    if (!weights.is_none()) w.read(weights);
    z.expects_type_of(y);
    if (weights.is_none()) {
      to_one_shape(z, y);
    } else {
      w.expects_type_of(y);
      to_one_shape(z, y, w);
    }
  }
  make_out(u, out, y);
  const calibration_request request{z.get(),
                                    weights.is_none() ? nullptr : &w.get(),
                                    y.get(),
                                    u.get(),
                                    ia::parse_tie_rule(ties),
                                    plain ? nullptr : phi.get(),
                                    leave_one_out};
  without_gil(function, threads, [&](const ia::executor& run) { chosen_kernels().calibrate(run, request); });
  return u.result(y);
}

nb::object win_rate(nb::handle policy, nb::handle base, nb::handle procedure, nb::handle base_procedure, nb::handle out,
                    int threads) {
  constexpr std::string_view function = "win_rate";
  const procedure_argument of_policy("procedure", procedure),
      of_base("procedure", base_procedure.is_none() ? procedure : base_procedure);
  groups_argument y(function, "policy", policy), z(function, "base", base);
  z.expects_type_of(y);
  to_one_shape(y, z);
  const column_argument wins(function, out, y.get().size);
  const win_rate_request request{y.get(), z.get(), of_policy.get(), of_base.get(), wins.data()};
  without_gil(function, threads, [&](const ia::executor& run) { chosen_kernels().win_rate(run, request); });
  return wins.result(policy);
}

nb::object expected_reward(nb::handle rewards, nb::handle procedure, nb::handle out, int threads) {
  constexpr std::string_view function = "expected_reward";
  const procedure_argument served("procedure", procedure);
  const groups_argument r(function, "rewards", rewards);
  const column_argument means(function, out, r.get().size);
  without_gil(function, threads,
              [&](const ia::executor& run) { chosen_kernels().expected_reward(run, r.get(), *served, means.data()); });
  return means.result(rewards);
}

nb::object preferences(nb::handle judgments, nb::handle out, int threads) {
  constexpr std::string_view function = "preferences";
  const groups_argument p(function, "judgments", judgments);
  const column_argument means(function, out, p.get().size);
  without_gil(function, threads, [&](const ia::executor& run) { baseline::preference_win_rate(run, p.get(), means.data()); });
  return means.result(judgments);
}

nb::object pass_at_k(nb::handle samples, nb::handle successes, index_t k) {
  constexpr std::string_view function = "pass_at_k";
  const vector_argument n(function, "samples", samples, 'q'), c(function, "successes", successes, 'q');
  if (n.size() != c.size())
    raise_value_error(function,
                      "successes has " + std::to_string(c.size()) + " values, but samples has " + std::to_string(n.size()));
  const column out = new_column(n.size());
  for (index_t i = 0; i < n.size(); ++i)
    static_cast<double*>(out.data)[i] = ia::pass_at_k(n.get<index_t>()[i], c.get<index_t>()[i], k);
  return out.array;
}

/// The position of the sample that is served to each prompt.
nb::object select(nb::handle rewards, nb::handle procedure, std::uint64_t seed) {
  constexpr std::string_view function = "select";
  const ia::any_served_procedure served = served_procedure_of(procedure);
  const groups_argument r(function, "rewards", rewards);
  const groups& g = r.get();
  const column out = new_column(g.size, true);
  const auto choose = [&](const auto& scores) {
    const nb::gil_scoped_release others_run;
    ia::detail::run_choose_samples(function, "rewards", served, scores, {static_cast<index_t*>(out.data), g.size}, seed);
  };
  const auto choose_of = [&]<class T>(const T* values) {
    if (g.offsets == nullptr)
      choose(ia::rows<const T>(values, g.size, g.columns, g.stride));
    else
      choose(ia::ragged<const T>({values, g.total}, {g.offsets, g.size + 1}));
  };
  if (g.type == scalar::float32)
    choose_of(static_cast<const float*>(g.data));
  else
    choose_of(static_cast<const double*>(g.data));
  return is_ndarray_or_ragged(rewards) ? out.array : interpreter::get().like(rewards, out.array);
}

/// Rows of values in the order of their groups: `code[i]` is the group of row i, below `groups`. Gives the offsets of groups and, for
/// each place in that order, the row that stands there. Rows keep their order within a group.
nb::object group_rows(nb::handle codes, index_t groups) {
  constexpr std::string_view function = "group";
  const vector_argument code(function, "codes", codes, 'q');
  const auto of_row = code.get<index_t>();
  const column offsets = new_column(groups + 1, true), order = new_column(code.size(), true);
  auto* const begin = static_cast<index_t*>(offsets.data);
  auto* const row_at = static_cast<index_t*>(order.data);
  std::fill(begin, begin + groups + 1, 0);
  for (index_t i = 0; i < of_row.size(); ++i) {
    if (of_row[i] < 0 || of_row[i] >= groups) raise_value_error(function, "row " + std::to_string(i) + " has no group");
    ++begin[of_row[i] + 1];
  }
  for (index_t g = 0; g < groups; ++g) begin[g + 1] += begin[g];
  std::vector<index_t> next(begin, begin + groups);
  for (index_t i = 0; i < of_row.size(); ++i) row_at[next[static_cast<std::size_t>(of_row[i])]++] = i;
  return nb::make_tuple(offsets.array, order.array);
}

nb::object sorted(nb::handle references) {
  groups_argument z("Calibrator", "references", references), out("Calibrator", "out");
  if (z.get().stride != z.get().columns && z.get().offsets == nullptr) z.make_packed();
  out.create(z);
  without_gil("Calibrator", 1, [&](const ia::executor& run) { baseline::sort(run, z.get(), out.get().data); });
  return out.array();
}

nb::object look_up(nb::handle references, nb::handle values, const char* ties, bool quantile) {
  const std::string_view function = quantile ? "Calibrator.quantile" : "Calibrator.cdf";
  groups_argument z(function, "references", references), x(function, "values", values), out(function, "out");
  x.expects_type_of(z);
  out.create(x);
  const lookup_request request{z.get(), x.get(), out.get(), ia::parse_tie_rule(ties), quantile};
  without_gil(function, 1, [&](const ia::executor&) { baseline::look_up(request); });
  return out.result(x);
}

nb::object standard_error(nb::handle calibrated, index_t references) {
  const vector_argument u("standard_error", "calibrated", calibrated, 'd');
  const column out = new_column(u.size());
  for (index_t i = 0; i < u.size(); ++i)
    static_cast<double*>(out.data)[i] = ia::calibration_standard_error(u.get<double>()[i], references);
  return out.array;
}

nb::object apply_transform(const ia::any_transform& transform, nb::handle values, int threads) {
  constexpr std::string_view function = "apply";
  groups_argument in(function, "u", values), out(function, "out");
  if (in.get().stride != in.get().columns && in.get().offsets == nullptr) in.make_packed();
  out.create(in);
  without_gil(function, threads, [&](const ia::executor& run) {
    chosen_kernels().apply(run, transform, in.get().type, in.get().data, out.get().data, in.get().total);
  });
  return out.result(in);
}

}  // namespace

void define_rewards(nb::module_& m) {
  m.def("calibrate", calibrate, nb::arg("references").none(), nb::arg("rewards"), nb::arg("transform"), nb::arg("ties"),
        nb::arg("weights").none(), nb::arg("leave_one_out"), nb::arg("out").none(), nb::arg("threads"));
  m.def("win_rate", win_rate, nb::arg("policy"), nb::arg("base"), nb::arg("procedure"), nb::arg("base_procedure").none(),
        nb::arg("out").none(), nb::arg("threads"));
  m.def("expected_reward", expected_reward, nb::arg("rewards"), nb::arg("procedure"), nb::arg("out").none(),
        nb::arg("threads"));
  m.def("preferences", preferences, nb::arg("judgments"), nb::arg("out").none(), nb::arg("threads"));
  m.def("pass_at_k", pass_at_k, nb::arg("samples"), nb::arg("successes"), nb::arg("k"));
  m.def("select", select, nb::arg("rewards"), nb::arg("procedure"), nb::arg("seed"));
  m.def("group_rows", group_rows, nb::arg("codes"), nb::arg("groups"));
  m.def("sorted", sorted, nb::arg("references"));
  m.def("look_up", look_up, nb::arg("references"), nb::arg("values"), nb::arg("ties"), nb::arg("quantile"));
  m.def("standard_error", standard_error, nb::arg("calibrated"), nb::arg("references"));
  m.def("dkw_band", [](index_t references, double confidence) { return ia::dkw_band(references, confidence); });
  m.def("apply", apply_transform, nb::arg("transform"), nb::arg("u"), nb::arg("threads"));
}

}  // namespace infalign_python
