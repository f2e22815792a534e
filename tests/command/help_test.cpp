// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/procedure/any_procedure.hpp"
#include "infalign/serving/any_served_procedure.hpp"
#include "infalign/transform/any_transform.hpp"

using infalign::test::lines_of;
using infalign::test::outcome;
using infalign::test::work_directory;

namespace {

/// Whether a line of `text` starts with the syntax and says the rest of the entry too.
bool lists(const std::string& text, const infalign::name_entry& entry) {
  for (const std::string& line : lines_of(text))
    if (line.find("  " + std::string(entry.syntax) + " ") == 0)
      return line.find(entry.summary) != std::string::npos && line.find(entry.example) != std::string::npos;
  return false;
}

}  // namespace

TEST_CASE("help lists every procedure and every transform that can be given") {
  const work_directory directory;
  for (const char* subcommand : {"plan", "win-rate", "compare", "evaluate"}) {
    const std::string help = directory.infalign(std::string(subcommand) + " --help").out;
    for (const infalign::name_entry& entry : infalign::procedure_names()) {
      CAPTURE(subcommand);
      CAPTURE(entry.syntax);
      CHECK(lists(help, entry));
    }
  }
  const std::string plan_help = directory.infalign("plan --help").out;
  for (const infalign::name_entry& entry : infalign::served_procedure_names()) CHECK(lists(plan_help, entry));
  for (const char* subcommand : {"plan", "calibrate", "evaluate", "win-rate", "compare"}) {
    const std::string help = directory.infalign(std::string(subcommand) + " --help").out;
    for (const infalign::name_entry& entry : infalign::transform_names()) {
      CAPTURE(subcommand);
      CAPTURE(entry.syntax);
      CHECK(lists(help, entry));
    }
  }
}

TEST_CASE("an unknown name is answered with every name that there is") {
  const work_directory directory;
  const outcome procedure = directory.infalign("plan --kl 1 --procedure bestof:4");
  CHECK(procedure.code == 2);
  for (const infalign::name_entry& entry : infalign::procedure_names())
    CHECK(procedure.err.find(entry.syntax) != std::string::npos);
  const outcome transform = directory.infalign("plan --kl 1 --procedure best_of:4 --transform exp:5");
  CHECK(transform.code == 2);
  for (const infalign::name_entry& entry : infalign::transform_names())
    CHECK(transform.err.find(entry.syntax) != std::string::npos);
}

TEST_CASE("help says which fields are read, how counts of passes are given, and what becomes of missing rewards") {
  const work_directory directory;
  for (const char* subcommand : {"calibrate", "win-rate", "compare", "evaluate"}) {
    CAPTURE(subcommand);
    const std::string help = directory.infalign(std::string(subcommand) + " --help").out;
    for (const char* text :
         {"{\"prompt_id\": string or integer, \"reward\": x}", "--prompt-field task_id --reward-field scores.total",
          "\"n\": 10, \"successes\": 3}", "Formats: JSON lines; a JSON array", "CSV with a header", "gzip or zstd",
          "polars.read_parquet", "Missing rewards (null, NaN, [] or no such field)", "--missing skip"}) {
      CAPTURE(text);
      CHECK(help.find(text) != std::string::npos);
    }
    const bool reports = std::string(subcommand) == "win-rate" || std::string(subcommand) == "compare";
    CHECK((help.find("--cluster FIELD") != std::string::npos) == reports);
    CHECK((help.find("--short") != std::string::npos) == (std::string(subcommand) != "calibrate"));
  }
}

TEST_CASE("help answers what users ask") {
  const work_directory work;
  const auto check = [&](const char* subcommand, std::initializer_list<const char*> answers) {
    const std::string help = work.infalign(std::string(subcommand) + " --help").out;
    for (const char* answer : answers) {
      CAPTURE(subcommand);
      CAPTURE(answer);
      CHECK(help.find(answer) != std::string::npos);
    }
  };
  for (const char* subcommand : {"win-rate", "compare"})
    check(subcommand,
          {"\"prompt_id\": string or integer, \"reward\": x", "--reward-field scores.total",         // which fields
           "JSON lines; a JSON array", "CSV with a header", "gzip or zstd", "Parquet is converted",  // which formats
           "\"n\": 10, \"successes\": 3",                                                            // pass counts
           "--missing skip"});                                                                       // missing rewards
  check("win-rate", {"ties count one half", "the standard error is that\nof a mean over prompts, in the unit of the estimate",
                     "--estimand pass@5", "are for infalign preferences", "Where the transform is curved, few references bias",
                     "reach that standard error at the least cost"});
  check("curve",
        {"estimated without bias from the same samples", "--extrapolate 1000,10000", "Where they differ, trust neither"});
  check("kl", {"unbiased, may be negative", "in nats", "The prompt is the unit of",
               "holds for every policy and is reached with continuous rewards"});
  check("rank", {"A tie counts as half a win of either", "odds of ten to one", "--prior 1"});
  check("compare", {"adjusted for their number"});
  check("hedge", {"served, and its true reward is what counts", "ties one half", "cluster with --cluster FIELD"});
  // How an AlpacaEval figure is reproduced, and in what unit its error is.
  check("preferences", {"infalign preferences annotations.json --prompt-field instruction --preference-range 1:2",
                        "A tie counts one half", "in win rate (0 to 1, not per cent)"});
}
