// SPDX-License-Identifier: Apache-2.0
/// The options of the main job that choose what is trained.
#include "options.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/samples.hpp"

namespace {

align::options parsed(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "align");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  return align::parse_options(static_cast<int>(argv.size()), argv.data());
}

std::string refused(const std::vector<std::string>& arguments) {
  return infalign::test::message_of<std::invalid_argument>([&] { (void)parsed(arguments); });
}

}  // namespace

TEST_CASE("objectives and methods of the main job are lists; the default is rloo and all") {
  using align::policy_objective;
  CHECK(parsed({}).what.objectives == std::vector{policy_objective::rloo});
  CHECK(parsed({}).what.methods.empty());
  const auto chosen = parsed({"--objective", "reinforce,ppo_clip,win-rate", "--method", "raw,optimal best"}).what;
  CHECK(chosen.objectives == std::vector{policy_objective::reinforce, policy_objective::ppo_clip, policy_objective::win_rate});
  CHECK(chosen.methods == std::vector<std::string>{"raw", "optimal best"});
  for (const auto& [name, objective] : align::policy_objectives) {
    CHECK(parsed({"--objective", name}).what.objectives == std::vector{objective});
    CHECK(align::name_of(objective) == name);
  }
  CHECK(refused({"--objective", "rloo,dpo"}) == "--objective knows rloo, reinforce, grpo, ppo_clip, gspo, win-rate, not 'dpo'");
  CHECK(refused({"--objective"}) == "--objective needs a value (see --help)");
}
