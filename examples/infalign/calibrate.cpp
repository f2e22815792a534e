// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign calibrate`: adds calibrated and transformed rewards to the records of a file that may be larger than memory.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "calibrated_file.hpp"
#include "commands.hpp"
#include "failure.hpp"
#include "output_file.hpp"
#include "record_options.hpp"
#include "record_reader.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"

namespace command {

namespace {

struct calibrate_options : calibration_choice {
  record_options records;
  std::string reference;
  std::string rollouts;
  std::string output = "-";
};

/// Says on standard error how many rewards are missing in a file.
void tell_missing(const std::string& name, std::uint64_t missing, const char* what_became_of_them) {
  if (missing > 0)
    std::fputs(
        fmt::format("infalign: {}: {} missing reward{}, {}\n", name, missing, missing == 1 ? "" : "s", what_became_of_them)
            .c_str(),
        stderr);
}

void run(const calibrate_options& chosen) {
  check(chosen.records);
  if (chosen.reference == "-" && chosen.rollouts == "-")
    throw usage_failure("--reference and --rollouts: only one of them can be standard input");
  static_cast<void>(chosen.tie_rule());  // that it is one
  static_cast<void>(chosen.parsed_transform());
  record_reader in(chosen.rollouts, chosen.records);  // before the long part, so that a bad path shows early
  reserve_calibrated(in);
  output_file out(chosen.output);
  reward_table table = with_references(read_rewards(chosen.reference, chosen.records));
  const std::string reference_name = table.name;
  const std::uint64_t missing_references = table.missing;
  write_calibrated(in, out, std::move(table), chosen);
  tell_missing(reference_name, missing_references, "left out");
  tell_missing(in.file().name(), in.missing(), "calibrated as null");
}

constexpr const char* description =
    "Adds to every record of a file the quantile of its rewards among the reference rewards of the same prompt, its transform, "
    "and its standard error.";

constexpr const char* calibrate_explanation =
    "Other fields are carried through byte for byte; calibrated_reward, transformed_reward and standard_error are added, as\n"
    "lists where the rewards are one, and null where a reward is missing. Rows keep their order. References are held in\n"
    "memory, 8 bytes each; rollouts are not. The output has the format of the rollouts, but is not compressed.\n"
    "\n"
    "The output is there whole or not at all: it is written to a temporary file beside it, which then takes its name. A file "
    "that\n"
    "can be written but not replaced (its directory is read-only, or it is a mount) is overwritten once all is ready; only a\n"
    "loss of power or SIGKILL in that moment can leave a part of it. Devices, pipes and open descriptors (/dev/stdout,\n"
    "/dev/fd/3) are written to as the records come. SIGKILL leaves the temporary file, .NAME.XXXXXX.\n"
    "\n"
    "The logarithm of 0 is infinite, which JSON cannot hold: clamp it at 1/(2K) for K references a prompt.\n"
    "\n";

constexpr const char* calibrate_examples =
    "Examples:\n"
    "  infalign calibrate --reference base.jsonl --rollouts policy.jsonl --transform exponential:10 --output out.jsonl\n"
    "  infalign calibrate --reference base.jsonl --rollouts base.jsonl --leave-one-out --output out.jsonl\n"
    "  infalign calibrate --reference base.jsonl.gz --rollouts policy.csv --transform clamped:0.005:1:logarithm";

}  // namespace

void add_calibrate(CLI::App& program) {
  CLI::App* const command = program.add_subcommand("calibrate", description);
  const auto chosen = std::make_shared<calibrate_options>();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the base policy; - for standard input")
      ->required();
  command->add_option("--rollouts", chosen->rollouts, "Records to calibrate; - for standard input")->required();
  add_calibration(*command, *chosen);
  add_record_options(*command, chosen->records);
  command->add_option("--output", chosen->output, "Where to write; - for standard output")->capture_default_str();
  command->footer(records_help() + calibrate_explanation + transform_list() + calibrate_examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
