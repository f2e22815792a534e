// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign win-rate` on many machines: `mpirun -n K infalign_mpi win-rate --policy POLICY… --reference REFERENCE… --procedure best_of:4`.
/// Files are dealt to ranks; prompts may be spread over files as they like.

#include <mpi.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "estimand.hpp"
#include "estimate_text.hpp"
#include "exchange.hpp"
#include "failure.hpp"
#include "infalign/statistics/estimate.hpp"
#include "json_text.hpp"
#include "record_options.hpp"

namespace {

using namespace command;

struct win_rate_options : estimand_options, report_options {
  record_options records;
  std::vector<std::string> policies;
  std::vector<std::string> references;
};

void win_rate(const win_rate_options& chosen, int rank, int ranks) {
  check_level(chosen.level);
  check(chosen.records);
  const estimand what = estimand::parse(chosen);
  const reward_table policy = exchanged(read_shards(chosen.policies, chosen.records, rank, ranks), MPI_COMM_WORLD);
  const reward_table reference = what.is_win_rate()
                                     ? exchanged(read_shards(chosen.references, chosen.records, rank, ranks), MPI_COMM_WORLD)
                                     : reward_table();
  infalign::summary own;
  if (policy.prompts.size() > 0)
    for (const double value : what.of(policy, reference)) own.add(value);
  const infalign::summary whole = reduced(own, MPI_COMM_WORLD);
  if (rank != 0) return;
  const infalign::estimate mean = infalign::estimate_of(whole, what.range());
  json_object found;
  found.add("ranks", static_cast<long long>(ranks));
  found.add("prompts", static_cast<long long>(mean.count));
  if (!what.is_win_rate()) found.add("estimand", what.name());
  found.add(what.is_win_rate() ? "win_rate" : "value", mean.value);
  add_error(found, mean, chosen.level);
  if (policy.missing + reference.missing > 0)
    found.add("missing_rewards", static_cast<long long>(policy.missing + reference.missing));
  std::puts(found.text().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  CLI::App program("What infalign says of files of rewards, on many machines.", "infalign_mpi");
  program.require_subcommand(1);
  win_rate_options chosen;
  CLI::App* const command =
      program.add_subcommand("win-rate", "As infalign win-rate --json; files are dealt to ranks in turn.");
  command->add_option("--policy", chosen.policies, "Rewards of samples of the policy, in any number of files")->required();
  command->add_option("--reference", chosen.references, "Rewards of the reference policy, for win rates");
  command->add_option("--estimand", chosen.estimand, "win-rate, expected-reward, pass@K or cons@K");
  command->add_option("--procedure", chosen.procedure, "What is run at inference: best_of:4");
  command->add_option("--reference-procedure", chosen.reference_procedure, "The same unless given");
  command->add_option("--level", chosen.level, "Of the confidence interval");
  add_record_options(*command, chosen.records);
  const auto complain = [&](const char* message, int code) {
    std::fprintf(stderr, "infalign_mpi: rank %d: %s\n", rank, message);
    std::fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, code);  // the others may be waiting for this rank
    return code;
  };
  try {
    program.parse(argc, argv);
    if (!chosen.references.empty()) chosen.reference = chosen.references.front();  // that there is one
    win_rate(chosen, rank, ranks);
  } catch (const CLI::ParseError& parsed) {
    const int code = rank == 0 ? program.exit(parsed) : parsed.get_exit_code();
    if (code != 0) MPI_Abort(MPI_COMM_WORLD, 2);
  } catch (const usage_failure& wrong) {
    return complain(wrong.what(), 2);
  } catch (const std::exception& wrong) {
    return complain(wrong.what(), 1);
  }
  MPI_Finalize();
  return 0;
}
