// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign win-rate`, `evaluate` and `calibrate` on many machines: `mpirun -n K infalign_mpi win-rate --policy POLICY… --reference
/// REFERENCE… --procedure best_of:4`. Files are dealt to ranks; prompts may be spread over files as they like.

#include <mpi.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "failure.hpp"
#include "shards.hpp"

using namespace command;

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  CLI::App program("What infalign says of files of rewards, on many machines.", "infalign_mpi");
  program.require_subcommand(1);
  win_rate_shards wins;
  CLI::App* command = program.add_subcommand("win-rate", "As infalign win-rate --json; files are dealt to ranks in turn.");
  command->add_option("--policy", wins.policies, "Rewards of samples of the policy, in any number of files")->required();
  command->add_option("--reference", wins.references, "Rewards of the reference policy, for win rates");
  command->add_option("--estimand", wins.estimand, "win-rate, expected-reward, expected-transform, pass@K, cons@K or maj@K");
  command->add_option("--answer-field", wins.answer_field, "Field with the answer, for maj@K (default: answer)");
  command->add_option("--transform", wins.transform, "Of calibrated rewards, for expected-transform");
  command->add_option("--procedure", wins.procedure, "What is run at inference: best_of:4");
  command->add_option("--reference-procedure", wins.reference_procedure, "The same unless given");
  command->add_option("--level", wins.level, "Of the confidence interval");
  add_record_options(*command, wins.records);
  add_cluster(*command, wins.records);
  add_strata(*command, wins.records, wins.by_stratum);
  command->callback([&] {
    if (!wins.references.empty()) wins.reference = wins.references.front();  // that there is one
    win_rate(wins, rank, ranks);
  });
  evaluate_shards predicted;
  command = program.add_subcommand("evaluate", "As infalign evaluate --json, of files of base samples.");
  command->add_option("--reference", predicted.references, "Rewards of samples of the base policy, in any number of files")
      ->required();
  command->add_option("--procedure", predicted.procedure, "What is run at inference: best_of:4")->required();
  command->add_option("--reference-procedure", predicted.reference_procedure, "The same unless given");
  command->add_option("--transform", predicted.transforms, "Transforms of the calibrated reward")->required();
  command->add_option("--beta", predicted.betas, "KL weights, X,X,…")->required();
  command->add_option("--level", predicted.level, "Of the confidence intervals");
  add_record_options(*command, predicted.records);
  command->callback([&] { evaluate(predicted, rank, ranks); });
  calibrate_shards calibrated;
  command = program.add_subcommand("calibrate", "As infalign calibrate; every file of rollouts has an output of its own.");
  command->add_option("--reference", calibrated.references, "Rewards of samples of the base policy, in any number of files")
      ->required();
  command->add_option("--rollouts", calibrated.rollouts, "Records to calibrate, in any number of files")->required();
  command->add_option("--output", calibrated.outputs, "Where to write, a file for each of --rollouts, in their order")
      ->required();
  add_calibration(*command, calibrated);
  add_record_options(*command, calibrated.records);
  command->callback([&] { calibrate(calibrated, rank, ranks); });
  const auto complain = [&](const char* message, int code) {
    std::fprintf(stderr, "infalign_mpi: rank %d: %s\n", rank, message);
    std::fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, code);  // the others may be waiting for this rank
    return code;
  };
  try {
    program.parse(argc, argv);
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
