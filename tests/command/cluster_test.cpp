// SPDX-License-Identifier: Apache-2.0
/// \file
/// Errors by cluster of prompts, and several policies against one baseline.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "infalign/statistics/clustered_mean.hpp"
#include "infalign/statistics/sign_flip.hpp"

using namespace infalign::test;

namespace {

/// A file of one pass or failure a prompt. `clusters` names the repository of every prompt, in the file if it is wanted there.
std::string passes(const std::vector<int>& values, const std::vector<int>& clusters, bool named) {
  std::string text;
  for (std::size_t p = 0; p < values.size(); ++p) {
    text += "{\"prompt_id\":" + std::to_string(p) + ",\"reward\":" + std::to_string(values[p]);
    if (named) text += ",\"repository\":\"r" + std::to_string(clusters[p]) + "\"";
    text += "}\n";
  }
  return text;
}

struct clustered_files {
  work_directory work;
  std::vector<int> clusters, a, b, c;
  std::vector<infalign::index_t> ids;
  clustered_files() {
    for (int p = 0; p < 40; ++p) {
      clusters.push_back(p % 7);
      a.push_back((p * p + p % 7) % 3 > 0 ? 1 : 0);
      b.push_back(p % 7 < 3 ? 1 : 0);
      c.push_back(p % 2);
    }
    ids.assign(clusters.begin(), clusters.end());
    work.write("a.jsonl", passes(a, clusters, true));
    work.write("b.jsonl", passes(b, clusters, false));
    work.write("c.jsonl", passes(c, clusters, false));
  }
  [[nodiscard]] static std::vector<double> difference(const std::vector<int>& x, const std::vector<int>& y) {
    std::vector<double> d;
    for (std::size_t p = 0; p < x.size(); ++p) d.push_back(x[p] - y[p]);
    return d;
  }
};

}  // namespace

TEST_CASE("--cluster gives cluster-robust errors, in every format") {
  const clustered_files files;
  const std::vector<double> values(files.a.begin(), files.a.end());
  const infalign::estimate expected = infalign::clustered_mean(values, files.ids, infalign::win_rate_range);
  const auto check = [&](const std::string& options) {
    const outcome done = files.work.infalign("win-rate --estimand pass@1 --json " + options);
    CHECK(done.err.empty());
    const json_document found(done.out);
    CHECK(found.number("prompts") == 40);
    CHECK(found.number("clusters") == 7);
    CHECK(found.number("value") == doctest::Approx(expected.value).epsilon(1e-14));
    CHECK(found.number("standard_error") == doctest::Approx(expected.standard_error).epsilon(1e-13));
    CHECK(found.numbers("confidence_interval")[0] == doctest::Approx(expected.interval().low).epsilon(1e-12));
  };
  check("--policy a.jsonl --cluster repository");
  std::string nested, csv = "prompt_id,reward,source\n";
  for (std::size_t p = 0; p < 40; ++p) {
    const std::string id = std::to_string(p), reward = std::to_string(files.a[p]), cluster = std::to_string(files.clusters[p]);
    nested += "{\"prompt_id\":" + id + ",\"reward\":" + reward + ",\"from\":{\"source\":" + cluster + "}}\n";
    csv += id + "," + reward + "," + cluster + "\n";
  }
  files.work.write("nested.jsonl", nested);
  files.work.write("a.csv", csv);
  check("--policy nested.jsonl --cluster from.source");
  check("--policy a.csv --cluster source");
  CHECK(files.work.infalign("win-rate --estimand pass@1 --policy a.jsonl --cluster repository")
            .out.find("\nerrors by 7 clusters of repository\n") != std::string::npos);
  // Clusters of prompts that are left out go with them.
  files.work.write("short.jsonl", "{\"prompt_id\":-1,\"reward\":null,\"repository\":\"r9\"}\n" + files.work.read("a.jsonl"));
  check("--policy short.jsonl --cluster repository --missing skip --short skip");
  // References have no clusters.
  CHECK(json_document(files.work
                          .infalign("win-rate --policy a.jsonl --reference b.jsonl --procedure standard --cluster repository "
                                    "--json")
                          .out)
            .number("clusters") == 7);
}

TEST_CASE("clusters that are not there, or change") {
  const clustered_files files;
  const auto message = [&](const std::string& options) {
    return files.work.infalign("win-rate --estimand pass@1 " + options).err;
  };
  CHECK(message("--policy b.jsonl --cluster repository") ==
        "infalign: b.jsonl:1: repository is missing: {\"prompt_id\":0,\"reward\":1}\n");
  files.work.write("two.jsonl", "{\"prompt_id\":1,\"reward\":1,\"x\":\"p\"}\n{\"prompt_id\":1,\"reward\":1,\"x\":\"q\"}\n");
  CHECK(message("--policy two.jsonl --cluster x") ==
        "infalign: two.jsonl:2: prompt 1 is in cluster \"q\", and was in \"p\" before\n");
  files.work.write("odd.jsonl", "{\"prompt_id\":1,\"reward\":1,\"x\":1.5}\n");
  CHECK(message("--policy odd.jsonl --cluster x") == "infalign: odd.jsonl:1: x is 1.5, must be a string or an integer\n");
  CHECK(message("--policy odd.jsonl --cluster prompt_id") ==
        "infalign: --cluster: prompt_id is read as something else already\n");
}

TEST_CASE("compare by cluster: errors of differences, and signs that flip together") {
  const clustered_files files;
  const std::vector<double> difference = clustered_files::difference(files.a, files.b);
  const infalign::estimate expected = infalign::clustered_mean(difference, files.ids);
  const json_document found(
      files.work.infalign("compare --policy a.jsonl --baseline b.jsonl --estimand pass@1 --cluster repository --json").out);
  CHECK(found.number("prompts") == 40);
  CHECK(found.number("clusters") == 7);
  CHECK(found.number("difference") == doctest::Approx(expected.value).epsilon(1e-13));
  CHECK(found.number("standard_error") == doctest::Approx(expected.standard_error).epsilon(1e-13));
  CHECK(found.number("p_value") == infalign::sign_flip_p_value(infalign::cluster_sums(difference, files.ids)));
  CHECK(found.number("p_value") != infalign::sign_flip_p_value(difference));
}

TEST_CASE("several policies: each as if it were compared alone") {
  const clustered_files files;
  // The order of prompts differs from file to file.
  CHECK(files.work.shell("sort -r b.jsonl > d.jsonl && sort c.jsonl > e.jsonl").code == 0);
  for (const char* by : {"", " --cluster repository"}) {
    const std::string rest = " --baseline e.jsonl --estimand pass@1 --json" + std::string(by);
    const json_document all(files.work.infalign("compare --policy a.jsonl --policy d.jsonl --policy a.jsonl" + rest).out);
    const json_document alone(files.work.infalign("compare --policy a.jsonl" + rest).out);
    CHECK(all.number("prompts") == 40);
    CHECK(simdjson::minify(all["baseline"]) == simdjson::minify(alone["baseline"]));
    std::size_t row = 0;
    for (const auto& of : all["policies"].get_array()) {
      CHECK(std::string(std::string_view(of["name"])) == (row == 1 ? "d.jsonl" : "a.jsonl"));
      if (row != 1)
        for (const char* key : {"policy", "difference", "standard_error", "confidence_interval", "p_value"})
          CHECK(simdjson::minify(of[key]) == simdjson::minify(alone[key]));
      else
        CHECK(double(of["difference"]) == doctest::Approx([&] {
                                            double sum = 0;
                                            for (const double d : clustered_files::difference(files.b, files.c)) sum += d / 40;
                                            return sum;
                                          }())
                                              .epsilon(1e-13));
      ++row;
    }
    CHECK(row == 3);
  }
  const auto lines = lines_of(files.work.infalign("compare --policy a.jsonl d.jsonl --baseline e.jsonl --estimand pass@1").out);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].find("difference") != std::string::npos);
  CHECK(lines[1].rfind("a.jsonl  0.", 0) == 0);
  CHECK(lines[3].rfind("e.jsonl  0.5000", 0) == 0);
  CHECK(lines[4] == "40 prompts, differences from e.jsonl; two-sided p-values, each for itself and adjusted for their number");
  CHECK(files.work.infalign("compare --policy a.jsonl - --baseline - --estimand pass@1").code == 2);
}
