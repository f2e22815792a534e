// SPDX-License-Identifier: Apache-2.0
#include "calibrated_file.hpp"

#include <CLI/CLI.hpp>
#include <utility>
#include <vector>

#include "calibrated_text.hpp"
#include "failure.hpp"
#include "infalign/calibration/parse_tie_rule.hpp"
#include "progress.hpp"
#include "ranking.hpp"
#include "record_writer.hpp"

namespace command {

infalign::tie_rule calibration_choice::tie_rule() const {
  return option_value("--ties", ties, [](const auto& t) { return infalign::parse_tie_rule(t); });
}

infalign::any_transform calibration_choice::parsed_transform() const {
  return option_value("--transform", transform, [](const auto& t) { return infalign::parse_transform(t); });
}

void add_calibration(CLI::App& to, calibration_choice& chosen) {
  to.add_option("--transform", chosen.transform, "Transform of the calibrated reward")->capture_default_str();
  to.add_option("--ties", chosen.ties,
                "What an equal reference counts: mid_rank (half), below (nothing), at_or_below (one), randomized:SEED")
      ->capture_default_str();
  to.add_flag("--leave-one-out", chosen.leave_one_out,
              "The rollouts are references themselves: each is ranked among the others of its prompt");
}

reward_table with_references(reward_table table) {
  std::vector<std::uint32_t> kept;
  for (std::uint32_t p = 0; p < table.prompts.size(); ++p)
    if (table.count(p) > 0) kept.push_back(p);
  return kept.size() == table.prompts.size() ? std::move(table) : subset(table, kept);
}

void reserve_calibrated(record_reader& in) {
  in.reserve_fields({calibrated_text::names.begin(), calibrated_text::names.end()});
}

std::uint64_t write_calibrated(record_reader& in, output_file& out, reward_table references, const calibration_choice& chosen) {
  record_writer writer(chosen.transform, chosen.parsed_transform());
  ranking ranked(std::move(references), chosen.tie_rule(), chosen.leave_one_out);
  progress so_far("calibrating " + in.file().name(), in.file().total_bytes());
  std::uint64_t records = 0;
  for (; in.next(); ++records) {
    writer.write(out.buffer(), in, ranked);
    out.flush_if_full();
    so_far.update(records, in.file().bytes_read());
  }
  if (records == 0) fail("{}: there is no record in it", in.file().name());
  record_writer::finish(out.buffer(), in);
  out.commit();
  return records;
}

}  // namespace command
