// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign calibrate`: adds calibrated and transformed rewards to the records of a file that may be larger than memory.

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calibrated_text.hpp"
#include "commands.hpp"
#include "failure.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/calibration/calibrator.hpp"
#include "infalign/calibration/parse_tie_rule.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "record_options.hpp"
#include "record_reader.hpp"
#include "reward_table.hpp"
#include "shared_options.hpp"

namespace command {

namespace {

struct calibrate_options {
  record_options records;
  std::string reference;
  std::string rollouts;
  std::string transform = "identity";
  std::string ties = "mid_rank";
  bool leave_one_out = false;
  std::string output = "-";
};

/// Without the prompts of which all references are missing.
reward_table with_references(reward_table table) {
  std::vector<std::uint32_t> kept;
  for (std::uint32_t p = 0; p < table.prompts.size(); ++p)
    if (table.count(p) > 0) kept.push_back(p);
  return kept.size() == table.prompts.size() ? std::move(table) : subset(table, kept);
}

/// The references of every prompt, and how a reward is ranked among them.
class ranking {
 public:
  ranking(reward_table references, infalign::tie_rule ties, bool leave_one_out)
      : name_(std::move(references.name)),
        prompts_(std::move(references.prompts)),
        fitted_(infalign::scalar(), std::move(references.rewards), std::move(references.offsets)),
        ties_(ties),
        leave_one_out_(leave_one_out) {}

  /// Calls `use(u, references)` for every reward of the record; u is NaN where it is missing.
  template <class Use>
  void rank(const record_reader& record, Use&& use) {
    if (record.is_count())
      record.fail_here("n and successes count rewards, and calibrate needs the reward of each rollout: a list in rewards");
    const auto prompt = prompts_.find(record.prompt());
    if (!prompt) record.fail_here("prompt {} has no reference in {}", shown(record.prompt()), name_);
    const infalign::prompt_cdf<double> cdf = fitted_[*prompt];
    if (leave_one_out_ && cdf.references() < 2)
      record.fail_here("prompt {} has 1 reference in {}, leaving one out needs at least 2", shown(record.prompt()), name_);
    for (const double reward : record.rewards()) {
      if (std::isnan(reward))
        use(reward, cdf.references());
      else if (leave_one_out_)
        use(without_itself(record, cdf, reward), cdf.references() - 1);
      else
        use(cdf.calibrated(reward, ties_, position_++), cdf.references());
    }
  }

 private:
  double without_itself(const record_reader& record, const infalign::prompt_cdf<double>& cdf, double reward) {
    try {
      return cdf.calibrated_leave_one_out(reward, ties_, position_++);
    } catch (const infalign::domain_error&) {
      record.fail_here("reward {} is none of the references of prompt {} in {}, so it cannot be left out of them",
                       number(reward), shown(record.prompt()), name_);
    }
  }

  std::string name_;
  prompt_index prompts_;
  infalign::calibrator<infalign::scalar, infalign::ragged<const double>> fitted_;
  infalign::tie_rule ties_;
  bool leave_one_out_;
  infalign::index_t position_ = 0;  ///< of a reward in reading order
};

/// The record as it is, with three fields more before its closing brace.
class record_writer {
 public:
  explicit record_writer(const calibrate_options& chosen)
      : transform_(chosen.transform),
        texts_(option_value("--transform", chosen.transform, [](const auto& t) { return infalign::parse_transform(t); })) {}

  void write(std::string& out, const record_reader& record, ranking& references) {
    const std::string_view line = record.line();
    const std::size_t brace = line.rfind('}');
    out.append(line.data(), brace);
    if (record.is_list())
      append_lists(out, record, references);
    else
      references.rank(record, [&](double u, infalign::index_t count) {
        out += std::isnan(u) ? missing_fields : text_of(record, u, count).fields();
      });
    out.append(line.substr(brace)) += '\n';
  }

 private:
  const calibrated_text& text_of(const record_reader& record, double u, infalign::index_t references) {
    const calibrated_text& text = texts_.of(u, references);
    if (!std::isfinite(text.transformed())) fail_infinite(record, u, text.transformed(), references);
    return text;
  }

  void append_lists(std::string& out, const record_reader& record, ranking& references) {
    for (std::string& list : lists_) list.clear();
    references.rank(record, [&](double u, infalign::index_t count) {
      const calibrated_text* const text = std::isnan(u) ? nullptr : &text_of(record, u, count);
      for (std::size_t i = 0; i < lists_.size(); ++i)
        lists_[i].append(lists_[i].empty() ? "" : ",").append(text == nullptr ? "null" : text->number(i));
    });
    for (std::size_t i = 0; i < lists_.size(); ++i)
      out.append(",\"").append(calibrated_text::names[i]).append("\":[").append(lists_[i]) += ']';
  }

  [[noreturn]] void fail_infinite(const record_reader& record, double u, double value, infalign::index_t references) const {
    const double bound = 0.5 / static_cast<double>(references);
    record.fail_here("{} of the calibrated reward {} is {}, which JSON cannot hold; clamped:{}:{}:{} is finite", transform_,
                     number(u), value, number(bound), number(1 - bound), transform_);
  }

  static constexpr std::string_view missing_fields =
      ",\"calibrated_reward\":null,\"transformed_reward\":null,\"standard_error\":null";
  std::string transform_;
  calibrated_texts texts_;
  std::array<std::string, 3> lists_;
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
  const auto ties = option_value("--ties", chosen.ties, [](const auto& t) { return infalign::parse_tie_rule(t); });
  record_writer writer(chosen);
  record_reader in(chosen.rollouts, chosen.records);  // before the long part, so that a bad path shows early
  in.reserve_fields({calibrated_text::names.begin(), calibrated_text::names.end()});
  output_file out(chosen.output);
  reward_table table = with_references(read_rewards(chosen.reference, chosen.records));
  const std::string reference_name = table.name;
  const std::uint64_t missing_references = table.missing;
  ranking references(std::move(table), ties, chosen.leave_one_out);
  progress so_far("calibrating " + in.lines().name(), in.lines().total_bytes());
  std::uint64_t records = 0;
  for (; in.next(); ++records) {
    writer.write(out.buffer(), in, references);
    out.flush_if_full();
    so_far.update(records, in.lines().bytes_read());
  }
  if (records == 0) fail("{}: there is no record in it", in.lines().name());
  out.commit();
  tell_missing(reference_name, missing_references, "left out");
  tell_missing(in.lines().name(), in.missing(), "calibrated as null");
}

constexpr const char* description =
    "Adds to every record of a file the quantile of its rewards among the reference rewards of the same prompt, its transform, "
    "and its standard error.";

constexpr const char* explanation =
    "Other fields are carried through byte for byte; calibrated_reward, transformed_reward and standard_error are added, as\n"
    "lists where the rewards are one, and null where a reward is missing. Rows keep their order. References are held in\n"
    "memory, 8 bytes each; rollouts are not.\n"
    "\n"
    "The output is there whole or not at all: it is written to a temporary file beside it, which then takes its name. A file "
    "that\n"
    "can be written but not replaced (its directory is read-only, or it is a mount) is overwritten once all is ready; only a\n"
    "loss of power or SIGKILL in that moment can leave a part of it. Devices, pipes and open descriptors (/dev/stdout,\n"
    "/dev/fd/3) are written to as the records come. SIGKILL leaves the temporary file, .NAME.XXXXXX.\n"
    "\n"
    "The logarithm of 0 is infinite, which JSON cannot hold: clamp it at 1/(2K) for K references a prompt.\n"
    "\n";

constexpr const char* examples =
    "Examples:\n"
    "  infalign calibrate --reference base.jsonl --rollouts policy.jsonl --transform exponential:10 --output out.jsonl\n"
    "  infalign calibrate --reference base.jsonl --rollouts base.jsonl --leave-one-out --output out.jsonl\n"
    "  zcat policy.jsonl.gz | infalign calibrate --reference base.jsonl --rollouts - --transform clamped:0.005:1:logarithm";

}  // namespace

void add_calibrate(CLI::App& program) {
  CLI::App* const command = program.add_subcommand("calibrate", description);
  const auto chosen = std::make_shared<calibrate_options>();
  command->add_option("--reference", chosen->reference, "Rewards of samples of the base policy; - for standard input")
      ->required();
  command->add_option("--rollouts", chosen->rollouts, "Records to calibrate; - for standard input")->required();
  command->add_option("--transform", chosen->transform, "Transform of the calibrated reward")->capture_default_str();
  command
      ->add_option("--ties", chosen->ties,
                   "What an equal reference counts: mid_rank (half), below (nothing), at_or_below (one), randomized:SEED")
      ->capture_default_str();
  command->add_flag("--leave-one-out", chosen->leave_one_out,
                    "The rollouts are references themselves: each is ranked among the others of its prompt");
  add_record_options(*command, chosen->records);
  command->add_option("--output", chosen->output, "Where to write; - for standard output")->capture_default_str();
  command->footer(records_help() + explanation + transform_list() + examples);
  command->callback([chosen] { run(*chosen); });
}

}  // namespace command
