// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs the command on files that are nearly right: mutated_files COUNT SEED [FIRST]. It must not crash nor take ten seconds. It
/// succeeds with output that is JSON, or says in one line what is wrong and leaves every file as it was.
#include <fcntl.h>
#include <simdjson.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "command/mutated_file.hpp"
#include "command/run_command.hpp"
#include "printable.hpp"

using namespace infalign::test;

namespace {

using arguments = std::vector<std::string>;

constexpr const char* good =
    "{\"prompt_id\":\"a\",\"rewards\":[1,2,3]}\n{\"prompt_id\":\"b\",\"rewards\":[0,2]}\n{\"prompt_id\":7,\"reward\":1}\n";
constexpr const char* old = "what was there";

/// A subcommand on the file `in`; calibrate is where the most can go wrong.
arguments chosen_arguments(mutated_file& chosen) {
  arguments all;
  const auto add = [&](std::initializer_list<const char*> more) { all.insert(all.end(), more.begin(), more.end()); };
  switch (chosen.below(12)) {
    case 0: add({"calibrate", "--reference", "in", "--rollouts", "good", "--output", "out"}); break;
    case 1: add({"calibrate", "--reference", "in", "--rollouts", "in", "--leave-one-out", "--output", "out"}); break;
    case 2:
      add({"win-rate", "--policy", "in", "--reference", "good", "--procedure", "standard", "--json", "--per-prompt", "out"});
      break;
    case 3: add({"win-rate", "--policy", "good", "--reference", "in", "--procedure", "best_of:2", "--json"}); break;
    case 4:
      add({"compare", "--policy", "in", "--baseline", "in", "--reference", "good", "--procedure", "worst_of:2", "--json"});
      break;
    case 5:
      add({"evaluate", "--reference", "in", "--procedure", "best_of:2", "--beta", "1", "--transform", "identity", "--json"});
      break;
    case 6: add({"compare", "--policy", "in", "good", "--baseline", "good", "--estimand", "pass@1", "--json"}); break;
    case 7:
      add({"preferences", "in", "--preference-field", "rewards", "--preference-range", "0:3", "--json", "--per-prompt", "out"});
      break;
    case 8: add({"win-rate", "--policy", "in", "--estimand", "maj@1", "--answer-field", "rewards", "--json"}); break;
    default: add({"calibrate", "--reference", "good", "--rollouts", "in", "--output", "out"});
  }
  if (all.front() == "preferences" && chosen.below(3) == 0) add({"--cluster", "reward"});
  if (all.front() == "compare" && chosen.below(3) == 0) add({"--stratum", "reward"});
  if (chosen.below(3) == 0) add({"--missing", "skip"});
  if (all.front() != "calibrate" && all.front() != "preferences" && chosen.below(3) == 0) add({"--short", "skip"});
  if (all.front() != "preferences" && chosen.below(8) == 0) add({"--reward-field", "x"});
  return all;
}

/// Runs the command with both outputs in files; its status as `waitpid` gives it.
int run(const arguments& all) {
  std::vector<char*> pointers{const_cast<char*>(INFALIGN_COMMAND)};
  for (const std::string& argument : all) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    for (const auto& [file, name] : {std::pair(STDOUT_FILENO, "../stdout"), std::pair(STDERR_FILENO, "../stderr")})
      dup2(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644), file);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(10);
    execv(INFALIGN_COMMAND, pointers.data());
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

bool is_json(const std::string& text) {
  simdjson::dom::parser parser;
  return parser.parse(text).error() == simdjson::SUCCESS;
}

/// Whether the output is whole: what `calibrate` has added is JSON, and rows of win rates are. The record before it is what it was,
/// perhaps with NaN or 1e400 in it. A table (CSV) has its new columns, an array its end.
bool is_whole(const std::string& text) {
  const auto lines = lines_of(text);
  if (lines.empty() || text.back() != '\n') return false;
  if (lines.front().find(",calibrated_reward,transformed_reward,standard_error") != std::string::npos) return lines.size() > 1;
  if (lines.front() == "[" && lines.back() != "]") return false;
  if (lines.front() == "[" && is_json(text)) return true;  // a record may go over several lines
  return std::all_of(lines.begin(), lines.end(), [](std::string line) {
    const auto added = line.rfind(",\"calibrated_reward\":");
    if (line.empty()) return true;
    if (line.back() == ',') line.pop_back();
    return added == std::string::npos ? line.front() != '{' || is_json(line) : is_json('{' + line.substr(added + 1));
  });
}

/// What is wrong with the outcome of one run, or nothing.
std::string fault(int status, const arguments& all) {
  if (!WIFEXITED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  const std::string out = read_file("../stdout"), err = read_file("../stderr"), written = read_file("out");
  for (const auto& entry : std::filesystem::directory_iterator("."))
    if (const std::string name = entry.path().filename().string(); name != "in" && name != "good" && name != "out")
      return "leaves " + name;
  if (code == 0) {
    const bool says_missing = err.rfind("infalign: ", 0) == 0 && err.find(" missing reward") != std::string::npos;
    if (!err.empty() && !says_missing) return "succeeds with a message: " + err;
    if (all.front() != "calibrate" && !is_json(out)) return "prints no JSON: " + out;
    const bool writes = std::find(all.begin(), all.end(), "out") != all.end();
    if (writes == (written == old)) return "succeeds, and the output is as it was";
    if (writes && !is_whole(written)) return "writes what is not whole: " + written;
    return "";
  }
  if (code != 1 && code != 2) return "exit code " + std::to_string(code) + ": " + err;
  if (!out.empty()) return "fails, and prints " + out;
  if (written != old) return "fails, and changes the output";
  if (err.rfind("infalign: ", 0) != 0 || err.find('\n') != err.size() - 1) return "no message of one line: " + err;
  if (err.size() > 1100 || command::printable(err.substr(0, err.size() - 1)) + '\n' != err)
    return "no message for a terminal: " + err;
  return "";
}

void write_file(const char* name, const std::string& text) {
  std::ofstream(name, std::ios::binary) << text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: mutated_files COUNT SEED [FIRST]\n", stderr), 2;
  const auto number = [&](int i) { return i < argc ? std::strtoull(argv[i], nullptr, 10) : 0; };
  const work_directory work;
  if (chdir(work.path().c_str()) != 0 || !std::filesystem::create_directory("d") || chdir("d") != 0) return 2;
  write_file("good", good);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a fault is told even if the run is stopped
  std::map<int, int> codes;
  int faults = 0;
  for (std::uint64_t i = number(3); i < number(3) + number(1) && faults < 10; ++i) {
    mutated_file chosen(number(2) << 40 ^ i);
    const std::string text = chosen.text();
    const arguments all = chosen_arguments(chosen);
    write_file("in", text);
    if (read_file("out") != old) write_file("out", old);
    const int status = run(all);
    ++codes[WIFEXITED(status) ? WEXITSTATUS(status) : -1];
    const std::string wrong = fault(status, all);
    if (wrong.empty()) continue;
    ++faults;
    std::string line = INFALIGN_COMMAND;
    for (const std::string& argument : all) line += ' ' + argument;
    std::printf("file %llu: %s\n  %s\n  %s\n", static_cast<unsigned long long>(i), command::excerpt(wrong, 500).c_str(),
                line.c_str(), command::excerpt(text, 500).c_str());
  }
  for (const auto& [code, count] : codes) std::printf("exit code %d: %d files\n", code, count);
  if (number(1) > 100 && (codes[0] == 0 || codes[1] == 0)) return std::puts("there must be files of both kinds"), 1;
  return faults == 0 ? 0 : 1;
}
