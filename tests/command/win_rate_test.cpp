// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/statistics/sign_flip.hpp"

using namespace infalign::test;

namespace {

using sample_file = std::map<std::string, std::vector<double>>;  ///< rewards by prompt

/// `prompts` prompts of `least` to `least + 2` rewards with many ties.
sample_file random_samples(std::mt19937& generator, int prompts, unsigned least, int shift) {
  sample_file samples;
  for (int p = 0; p < prompts; ++p)
    for (auto k = least + generator() % 3; k > 0; --k)
      samples["\"p" + std::to_string(p) + "\""].push_back(static_cast<double>(generator() % 6) + shift);
  return samples;
}

/// One record a reward, shuffled: the rewards of a prompt are wherever.
std::string text_of(const sample_file& samples, std::mt19937& generator) {
  std::vector<std::string> lines;
  for (const auto& [id, rewards] : samples)
    for (const double r : rewards) lines.push_back("{\"prompt_id\":" + id + ",\"reward\":" + std::to_string(r) + "}\n");
  std::shuffle(lines.begin(), lines.end(), generator);
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

/// The best (or worst) of every N-subset.
std::vector<double> served(const std::vector<double>& rewards, unsigned n, bool best) {
  std::vector<double> all;
  for (unsigned subset = 0; subset < 1u << rewards.size(); ++subset) {
    if (static_cast<unsigned>(__builtin_popcount(subset)) != n) continue;
    double chosen = best ? -1e300 : 1e300;
    for (std::size_t i = 0; i < rewards.size(); ++i)
      if (subset >> i & 1) chosen = best ? std::max(chosen, rewards[i]) : std::min(chosen, rewards[i]);
    all.push_back(chosen);
  }
  return all;
}

/// The mean over all pairs of subsets: what an unbiased estimate is.
double win_rate(const std::vector<double>& policy, const std::vector<double>& reference) {
  double sum = 0;
  for (const double y : policy)
    for (const double z : reference) sum += y > z ? 1 : y == z ? 0.5 : 0;
  return sum / static_cast<double>(policy.size() * reference.size());
}

struct mean_and_error {
  double mean, error;
};
mean_and_error summary(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

/// Quantiles of the normal distribution, and of Student's with 39 degrees of freedom, by scipy.stats.
struct quantiles {
  double z, t;
};
constexpr quantiles at_95{1.959963984540054, 2.022690920036761}, at_99{2.5758293035489004, 2.707913183517662};

/// The interval by its definition, from a list with the pseudo-values in it: `z²` of them, each counted by its share.
std::pair<double, double> interval(const std::vector<double>& values, double lowest, double highest, const quantiles& q) {
  double size = 0, mean = 0, squares = 0;
  const auto each = [&](auto&& use) {
    for (const double v : values) use(v, 1.0);
    for (const double end : {lowest, highest}) use(end, q.z * q.z / 2);
  };
  each([&](double v, double share) { size += share, mean += share * v; });
  mean /= size;
  each([&](double v, double share) { squares += share * (v - mean) * (v - mean); });
  const double half = q.t * std::sqrt(squares / (size - 1) / size);
  return {std::max(lowest, mean - half), std::min(highest, mean + half)};
}

struct three_files {
  work_directory work;
  sample_file a, b, reference;
  explicit three_files(unsigned seed) {
    std::mt19937 generator(seed);
    a = random_samples(generator, 40, 3, 1);
    b = random_samples(generator, 40, 3, 0);
    reference = random_samples(generator, 45, 4, 0);  // and five prompts more
    work.write("a.jsonl", text_of(a, generator));
    work.write("b.jsonl", text_of(b, generator));
    work.write("r.jsonl", text_of(reference, generator));
  }
  [[nodiscard]] std::map<std::string, double> wins(const sample_file& policy, unsigned n, bool best,
                                                   unsigned reference_n) const {
    std::map<std::string, double> found;
    for (const auto& [id, rewards] : policy)
      found[id] = win_rate(served(rewards, n, best), served(reference.at(id), reference_n, best));
    return found;
  }
};

std::vector<double> values_of(const std::map<std::string, double>& wins) {
  std::vector<double> all;
  for (const auto& [id, w] : wins) all.push_back(w);
  return all;
}

}  // namespace

TEST_CASE("win-rate is the mean over all subsets, with the error of a mean over prompts") {
  const three_files files(1);
  const auto check = [&](const std::string& options, const std::map<std::string, double>& wins, const quantiles& q) {
    const outcome done =
        files.work.infalign("win-rate --policy a.jsonl --reference r.jsonl --json --per-prompt rows.jsonl " + options);
    CHECK(done.code == 0);
    CHECK(done.err.empty());
    const json_document found(done.out);
    CHECK(found.keys() == std::vector<std::string>{"prompts", "win_rate", "standard_error", "confidence_interval",
                                                   "missing_rewards", "short_prompts", "level"});
    const auto [mean, error] = summary(values_of(wins));
    CHECK(found.number("prompts") == 40);
    CHECK(found.number("win_rate") == doctest::Approx(mean).epsilon(1e-13));
    CHECK(found.number("standard_error") == doctest::Approx(error).epsilon(1e-12));
    const auto [low, high] = interval(values_of(wins), 0, 1, q);
    CHECK(found.numbers("confidence_interval")[0] == doctest::Approx(low).epsilon(1e-12));
    CHECK(found.numbers("confidence_interval")[1] == doctest::Approx(high).epsilon(1e-12));
    const auto rows = lines_of(files.work.read("rows.jsonl"));
    CHECK(rows.size() == 40);
    for (const std::string& line : rows) {
      const json_document row(line);
      CHECK(row.number("win_rate") == doctest::Approx(wins.at(simdjson::minify(row["prompt_id"]))).epsilon(1e-13));
    }
  };
  check("--procedure best_of:2", files.wins(files.a, 2, true, 2), at_95);
  check("--procedure best_of:3 --reference-procedure standard", files.wins(files.a, 3, true, 1), at_95);
  check("--procedure worst_of:3 --level 0.99", files.wins(files.a, 3, false, 3), at_99);
  check("--procedure standard", files.wins(files.a, 1, true, 1), at_95);
}

TEST_CASE("win-rate with as many samples for every prompt, and with one prompt") {
  const work_directory work;
  work.write("a.jsonl", "{\"prompt_id\":1,\"rewards\":[1,2,2]}\n{\"prompt_id\":2,\"rewards\":[0,5,1]}\n");
  work.write("r.jsonl", "{\"prompt_id\":2,\"rewards\":[1,1,4,0]}\n{\"prompt_id\":1,\"rewards\":[2,0,1,3]}\n");
  const double first = win_rate(served({1, 2, 2}, 2, true), served({2, 0, 1, 3}, 2, true));
  const double second = win_rate(served({0, 5, 1}, 2, true), served({1, 1, 4, 0}, 2, true));
  const std::string options = "win-rate --reference r.jsonl --procedure best_of:2 --json --policy ";
  CHECK(json_document(work.infalign(options + "a.jsonl").out).number("win_rate") ==
        doctest::Approx((first + second) / 2).epsilon(1e-14));
  const outcome one = work.shell("head -n 1 a.jsonl | \"$infalign\" " + options + "-");
  CHECK(one.code == 0);
  const json_document found(one.out);
  CHECK(found.number("win_rate") == doctest::Approx(first).epsilon(1e-14));
  CHECK(found["standard_error"].is_null());  // one prompt says nothing of its error
  CHECK(found["confidence_interval"].is_null());
  const std::string table =
      work.shell("head -n 1 a.jsonl | \"$infalign\" win-rate --reference r.jsonl --procedure best_of:2 --policy -").out;
  CHECK(lines_of(table)[1].find("     –              –") != std::string::npos);
  const std::string compare = "compare --policy one.jsonl --baseline one.jsonl --reference r.jsonl --procedure best_of:2 ";
  CHECK(work.shell("head -n 1 a.jsonl > one.jsonl").code == 0);
  CHECK(json_document(work.infalign(compare + "--json").out)["p_value"].is_null());
  CHECK(work.infalign(compare).out.find("1 prompt, no p-value") != std::string::npos);
}

TEST_CASE("compare pairs by prompt") {
  const three_files files(2);
  const outcome done = files.work.infalign(
      "compare --policy a.jsonl --baseline b.jsonl --reference r.jsonl --procedure best_of:2 --level 0.99 --json");
  CHECK(done.code == 0);
  const auto a = files.wins(files.a, 2, true, 2), b = files.wins(files.b, 2, true, 2);
  std::vector<double> difference;
  for (const auto& [id, w] : a) difference.push_back(w - b.at(id));
  const auto [mean, error] = summary(difference);
  const json_document found(done.out);
  CHECK(found.number("prompts") == 40);
  CHECK(double(found["policy"]["win_rate"]) == doctest::Approx(summary(values_of(a)).mean).epsilon(1e-13));
  CHECK(double(found["policy"]["standard_error"]) == doctest::Approx(summary(values_of(a)).error).epsilon(1e-12));
  CHECK(double(found["baseline"]["win_rate"]) == doctest::Approx(summary(values_of(b)).mean).epsilon(1e-13));
  CHECK(found.number("difference") == doctest::Approx(mean).epsilon(1e-12));
  CHECK(found.number("standard_error") == doctest::Approx(error).epsilon(1e-12));
  CHECK(found.numbers("confidence_interval")[0] == doctest::Approx(interval(difference, -1, 1, at_99).first).epsilon(1e-11));
  CHECK(found.number("level") == 0.99);
  // By random signs, which fall on differences in another order here.
  const double p = infalign::sign_flip_p_value(difference);
  CHECK(std::abs(found.number("p_value") - p) <= 6 * std::sqrt(p / 1e5));
  CHECK(p > 0.001);

  const std::string table =
      files.work.infalign("compare --policy a.jsonl --baseline b.jsonl --reference r.jsonl --procedure best_of:2").out;
  CHECK(lines_of(table).size() == 5);
  CHECK(table.find("difference") != std::string::npos);
}

TEST_CASE("a policy compared with itself differs by nothing") {
  const three_files files(3);
  const json_document found(
      files.work.infalign("compare --policy a.jsonl --baseline a.jsonl --reference r.jsonl --procedure best_of:2 --json").out);
  CHECK(found.number("difference") == 0);
  CHECK(found.number("standard_error") == 0);
  CHECK(found.number("p_value") == 1);
}

TEST_CASE("prompts that are missing, and too few samples") {
  const work_directory work;
  work.write("a.jsonl", "{\"prompt_id\":1,\"rewards\":[1,2,3,4]}\n\n{\"prompt_id\":\"b\",\"rewards\":[1,2]}\n");
  work.write("one.jsonl", "{\"prompt_id\":1,\"rewards\":[1,2,3,4]}\n");
  const auto check = [&](const std::string& arguments, const std::string& message) {
    const outcome failed = work.infalign(arguments);
    CHECK(failed.code == 1);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: " + message + "\n");
  };
  const std::string a_against_a = "win-rate --policy a.jsonl --reference a.jsonl --per-prompt rows.jsonl --procedure ";
  check(a_against_a + "best_of:4",
        "a.jsonl:3: prompt \"b\" has 2 rewards, fewer than the 4 that best_of:4 draws (--short skip leaves it out)");
  check(a_against_a + "standard --reference-procedure worst_of:3",
        "a.jsonl:3: prompt \"b\" has 2 rewards, fewer than the 3 that worst_of:3 draws (--short skip leaves it out)");
  check("win-rate --policy a.jsonl --reference one.jsonl --procedure standard --per-prompt rows.jsonl",
        "a.jsonl:3: prompt \"b\" has no reference in one.jsonl");
  check("compare --policy a.jsonl --baseline one.jsonl --reference a.jsonl --procedure standard",
        "a.jsonl:3: prompt \"b\" is not in one.jsonl, and a comparison is paired by prompt");
  check("compare --policy one.jsonl --baseline a.jsonl --reference a.jsonl --procedure standard",
        "a.jsonl:3: prompt \"b\" is not in one.jsonl, and a comparison is paired by prompt");
  // What is said last fails before the file is written, too.
  const std::string rewards =
      "win-rate --policy a.jsonl --estimand expected-reward --procedure standard --per-prompt rows.jsonl ";
  CHECK(work.infalign(rewards + "--interval anytime").code == 2);
  CHECK(!work.has("rows.jsonl"));
  CHECK(work.infalign(rewards).code == 0);
  CHECK(work.has("rows.jsonl"));
  CHECK(work.infalign("win-rate --policy one.jsonl --reference a.jsonl --procedure best_of:2 --json").code == 0);
}

TEST_CASE("a table for people, help with examples, a version") {
  const three_files files(4);
  const auto lines = lines_of(files.work.infalign("win-rate --policy a.jsonl --reference r.jsonl --procedure best_of:2").out);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "procedure  reference  prompts  win rate    s.e.    95 % interval");
  CHECK(lines[1].rfind("best_of:2  best_of:2       40    0.", 0) == 0);
  for (const char* subcommand : {"calibrate", "win-rate", "compare"}) {
    const outcome help = files.work.infalign(std::string(subcommand) + " --help");
    CHECK(help.code == 0);
    CHECK(help.out.find("Examples:\n  infalign " + std::string(subcommand) + " --") != std::string::npos);
  }
  const outcome version = files.work.infalign("--version");
  CHECK(version.code == 0);
  CHECK(version.out.rfind("infalign ", 0) == 0);
}
