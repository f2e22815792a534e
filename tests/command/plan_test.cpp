// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "command/run_command.hpp"
#include "theory/tradeoff.hpp"

using namespace infalign::test;

namespace {

struct row {
  std::string transform;
  double beta, kl, inference, standard;
};

std::vector<row> rows_of(const json_document& plan) {
  std::vector<row> rows;
  for (const simdjson::dom::element r : plan["rows"].get_array())
    if (!r["inference_win_rate"].is_null())
      rows.push_back({std::string(r["transform"].get_string().value()), r["beta"], r["kl"], r["inference_win_rate"],
                      r["standard_win_rate"]});
  return rows;
}

/// By the midpoint rule on 200,000 cells of u: the density exp(u/β)/Z of the identity transform, played by both sides.
struct brute_force {
  double kl, inference, standard;
  brute_force(double beta, int policy_n, int reference_n) {
    constexpr int cells = 200'000;
    const double z = beta * (std::exp(1 / beta) - 1);
    double kl_sum = 0, mean = 0, beaten = 0;
    for (int i = 0; i < cells; ++i) {
      const double u = (i + 0.5) / cells;
      const double f = std::exp(u / beta) / z, cdf = beta * (std::exp(u / beta) - 1) / z;
      kl_sum += f * std::log(f) / cells;
      mean += u * f / cells;
      beaten += std::pow(cdf, policy_n) * reference_n * std::pow(u, reference_n - 1) / cells;
    }
    kl = kl_sum;
    inference = 1 - beaten;
    standard = mean;
  }
};

}  // namespace

TEST_CASE("plan at a beta: the identity transform against integration") {
  const work_directory work;
  for (const bool plain_reference : {false, true}) {
    const outcome done = work.infalign("plan --procedure best_of:4 --beta 0.2 --transform identity --json" +
                                       std::string(plain_reference ? " --reference-procedure standard" : ""));
    CHECK(done.err.empty());
    REQUIRE(done.code == 0);
    const json_document plan(done.out);
    CHECK(plan["procedure"].get_string().value() == "best_of:4");
    CHECK(plan["reference_procedure"].get_string().value() == (plain_reference ? "standard" : "best_of:4"));
    const brute_force expected(0.2, 4, plain_reference ? 1 : 4);
    const auto rows = rows_of(plan);
    REQUIRE(rows.size() == 2);  // and the optimum
    for (const row& r : rows) {
      if (r.transform != "identity") continue;
      CHECK(r.beta == 0.2);
      CHECK(r.kl == doctest::Approx(expected.kl).epsilon(1e-8));  // the midpoint rule is right to about 1e-10
      CHECK(r.inference == doctest::Approx(expected.inference).epsilon(1e-8));
      CHECK(r.standard == doctest::Approx(expected.standard).epsilon(1e-8));
    }
  }
}

TEST_CASE("plan at KL budgets: one row a transform and budget, with independent values") {
  const work_directory work;
  const json_document plan(work.infalign("plan --procedure best_of:4 --kl 0.25,0.75,1.5 --json").out);
  CHECK(plan.keys().size() >= 4);
  std::map<std::string, std::set<double>> budgets;
  for (const row& r : rows_of(plan)) budgets[r.transform].insert(std::round(r.kl * 1e6) / 1e6);
  CHECK(budgets.size() == 7);
  for (const auto& [transform, kls] : budgets) CHECK(kls == std::set<double>{0.25, 0.75, 1.5});
  double best = 0, optimum = 0;
  for (const row& r : rows_of(plan))
    if (std::abs(r.kl - 0.75) < 1e-6)
      (r.transform == "optimal" ? optimum : best) = std::max(r.transform == "optimal" ? 0 : best, r.inference);
  CHECK(optimum > best);
  // Best of n is the logarithm's policy at β = 1/(n-1), of KL log n - (n-1)/n and standard win rate n/(n+1).
  const json_document logarithm(
      work.infalign("plan --procedure standard --kl 0.6362943611198906 --transform logarithm --json").out);
  for (const row& r : rows_of(logarithm))
    if (r.transform == "logarithm") {
      CHECK(r.beta == doctest::Approx(1.0 / 3).epsilon(1e-9));
      CHECK(r.standard == doctest::Approx(0.8).epsilon(1e-10));
    }
  CHECK(logarithm["recommended"].get_string().value() == "optimal");
}

TEST_CASE("plan gives the independent values of the trade-off, every transform and budget") {
  const work_directory work;
  std::map<std::string, std::vector<row>> plans;
  for (const tradeoff_row& expected : tradeoff) {
    const std::string procedure = expected.n == 1 ? "standard" : expected.procedure + (":" + std::to_string(expected.n));
    const std::string transform =
        expected.exponent == 0 ? "identity" : "exponential:" + std::to_string(static_cast<int>(expected.exponent));
    if (!plans.contains(procedure))
      plans[procedure] = rows_of(json_document(work.infalign("plan --kl 0.25,0.75,1.5 --json --procedure " + procedure).out));
    int found = 0;
    for (const row& r : plans[procedure]) {
      if (r.transform != transform || std::abs(r.kl - expected.kl) > 1e-9) continue;
      ++found;
      CHECK(r.beta == doctest::Approx(expected.beta).epsilon(1e-9));
      CHECK(std::abs(r.inference - expected.inference_win_rate) < 1e-9);
      CHECK(std::abs(r.standard - expected.standard_win_rate) < 1e-9);
    }
    CHECK(found == 1);
  }
}

TEST_CASE("plan gives the KL weight of the transform scaled to a range of 1") {
  const work_directory work;
  const json_document found(work.infalign("plan --procedure best_of:4 --kl 1 --json").out);
  int rows = 0;
  for (const auto r : found["rows"].get_array()) {
    const std::string transform(r["transform"].get_string().value());
    if (transform == "logarithm") CHECK(r["scaled_beta"].is_null());
    double range = 0;
    if (transform == "identity") range = 1;
    if (transform == "exponential:10") range = std::exp(10) - 1;
    if (transform == "exponential:-5") range = 1 - std::exp(-5);
    if (range == 0) continue;
    ++rows;
    CHECK(double(r["scaled_beta"]) == doctest::Approx(double(r["beta"]) / range).epsilon(1e-12));
  }
  CHECK(rows == 3);
  const std::string table = work.infalign("plan --procedure best_of:4 --kl 1").out;
  CHECK(table.find("\nexponential:10       5315.25     0.241323 ") != std::string::npos);
  CHECK(table.find("\nlogarithm           0.188487            -  ") != std::string::npos);
}

TEST_CASE("plan gives the optimum") {
  // The boundary-value problem of the coupled optimum, solved independently; ten digits.
  struct optimum {
    const char* procedure;
    double kl, beta, inference, standard;
  };
  const work_directory work;
  for (const optimum& expected : {optimum{"best_of:2", 0.25, 0.405206797926, 0.7393163445, 0.6813614366},
                                  optimum{"best_of:2", 0.75, 0.157522064688, 0.8635891534, 0.7976652312},
                                  optimum{"best_of:2", 1.5, 0.062806848547, 0.9393549428, 0.8878881315},
                                  optimum{"best_of:8", 0.25, 0.422584537365, 0.8625349763, 0.6114044860},
                                  optimum{"best_of:8", 0.75, 0.0845795468061, 0.9601441759, 0.6855457474},
                                  optimum{"best_of:8", 1.5, 0.0166141369526, 0.9903029650, 0.7496704787},
                                  optimum{"worst_of:2", 0.25, 0.494233992389, 0.7671164919, 0.6851973582},
                                  optimum{"worst_of:2", 0.75, 0.169429123198, 0.9152890808, 0.8121344903},
                                  optimum{"worst_of:2", 1.5, 0.0378029894689, 0.9810985053, 0.9112598975},
                                  optimum{"worst_of:8", 0.25, 0.419617220343, 0.9475478484, 0.6371723783},
                                  optimum{"worst_of:8", 0.75, 0.00768555733139, 0.9990393053, 0.7799339237}}) {
    const std::string kl = std::to_string(expected.kl);
    const json_document plan(
        work.infalign(std::string("plan --json --transform optimal --procedure ") + expected.procedure + " --kl " + kl).out);
    const auto rows = rows_of(plan);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].transform == "optimal");
    CHECK(rows[0].beta == doctest::Approx(expected.beta).epsilon(1e-8));
    CHECK(std::abs(rows[0].inference - expected.inference) < 1e-9);
    CHECK(std::abs(rows[0].standard - expected.standard) < 1e-9);
  }
}

TEST_CASE("a plan for people, and its picture") {
  const work_directory work;
  const outcome done = work.infalign("plan --procedure worst_of:4 --kl 0.5,1 --transform exponential:-5 --plot frontier.svg");
  CHECK(done.code == 0);
  const auto lines = lines_of(done.out);
  CHECK(lines[0].rfind("transform ", 0) == 0);
  CHECK(done.out.find("\nrecommended: ") != std::string::npos);
  const std::string svg = work.read("frontier.svg");
  CHECK(svg.rfind("<svg ", 0) == 0);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("exponential:-5, beta ") != std::string::npos);
  CHECK(svg.substr(svg.size() - 7) == "</svg>\n");
}

TEST_CASE("a KL that a transform cannot have") {
  const work_directory work;
  const json_document plan(work.infalign("plan --procedure best_of:2 --kl 1 --transform clamped:0:0.5:identity --json").out);
  for (const simdjson::dom::element r : plan["rows"].get_array())
    if (r["transform"].get_string().value() != "optimal") {  // its flat top has KL log 2 at most
      CHECK(r["beta"].is_null());
      CHECK(double(r["kl"]) == 1);
      CHECK(r["inference_win_rate"].is_null());
    }
}

TEST_CASE("a KL inside a jump of the optimum's: the best policy found, and a bound") {
  const work_directory work;
  const std::string options = "plan --procedure worst_of:8 --reference-procedure best_of:8 --transform identity --kl ";
  const json_document found(work.infalign(options + "1,3.5 --json").out);
  double bound = 0, best = 0;
  for (const simdjson::dom::element r : found["rows"].get_array()) {
    const bool inside = double(r["kl"]) < 2;
    CHECK(r["price_is_bound"].get_bool().value() == inside);
    CHECK_FALSE(r["bound_proved"].get_bool().value());
    CHECK(double(r["price"]) == doctest::Approx(double(r["bound"]) - double(r["inference_win_rate"])));
    if (!inside || r["transform"].get_string().value() != "optimal") continue;
    bound = r["bound"];
    best = r["inference_win_rate"];
  }
  CHECK(best < bound);
  CHECK(bound < 1);
  CHECK(found["optimum"].get_string().value() == "within_bound");
  CHECK(found["recommended"].get_string().value() == "optimal");
  CHECK(double(found["price"]) == doctest::Approx(bound - best));
  CHECK(found["price_is_bound"].get_bool().value());
  char digits[2][8];
  std::snprintf(digits[0], sizeof digits[0], "%.4f", bound);
  std::snprintf(digits[1], sizeof digits[1], "%.4f", bound - best);
  const std::string table = work.infalign(options + "1,3.5").out;
  CHECK(
      table.find("\nat KL 1 no beta leads to an optimum: optimal is the best policy found, and prices there are against a win "
                 "rate of " +
                 std::string(digits[0]) + ", which bounds it\nrecommended: optimal (as good as any row; at most " + digits[1] +
                 " more is possible)\noptimal is the best of the stationary points found; that there is no better one is not "
                 "proved, nor are bounds\n") != std::string::npos);
}

TEST_CASE("a KL that is more than the optimum can spend") {
  const work_directory work;
  const std::string footnote = "\nat KL 5 optimal spends less, as the rest would gain next to nothing\n";
  const std::string plan = "plan --procedure worst_of:8 --transform identity --kl ";
  CHECK(work.infalign(plan + "1,5").out.find(footnote) != std::string::npos);
  CHECK(work.infalign(plan + "1").out.find("spends less") == std::string::npos);
  const json_document found(work.infalign(plan + "5 --json").out);
  CHECK(found["recommended"].get_string().value() == "identity");
  CHECK(double(found["price"]) < 1e-8);
}

TEST_CASE("a KL at which no optimum is found") {
  const work_directory work;
  const std::string plan = "plan --procedure best_of:1000000000 --transform identity --kl 1";
  CHECK(
      work.infalign(plan).out.find("\nat KL 1 no optimum is found: prices there are against a win rate of 1, which bounds it\n"
                                   "recommended: identity (as good as any row; at most ") != std::string::npos);
  const json_document found(work.infalign(plan + " --json").out);
  for (const simdjson::dom::element r : found["rows"].get_array()) {
    CHECK(r["price_is_bound"].get_bool().value());
    CHECK(double(r["bound"]) == 1);
    CHECK(r["bound_proved"].get_bool().value());
    if (r["transform"].get_string().value() == "optimal")
      CHECK(r["price"].is_null());
    else
      CHECK(double(r["price"]) == doctest::Approx(1 - double(r["inference_win_rate"])));
  }
}

TEST_CASE("transforms of which none is the best everywhere") {
  const work_directory work;
  // The clamped identity has no KL above log 2, and there is no optimum for so many samples.
  const std::string plan = "plan --procedure best_of:1000000000 --transform clamped:0:0.5:identity --kl 0.5,1";
  CHECK(work.infalign(plan).out.find("\nrecommended: none, as no row is as good as any other at every KL\n") !=
        std::string::npos);
  CHECK(json_document(work.infalign(plan + " --json").out)["recommended"].is_null());
}

TEST_CASE("a KL that nothing reaches is an error") {
  const work_directory work;
  const auto check = [&](const std::string& options, const std::string& kl) {
    const outcome failed = work.infalign("plan --procedure best_of:1000000000 --plot x.svg --kl " + options);
    CHECK(failed.code == 1);
    CHECK(failed.out.empty());
    CHECK(failed.err == "infalign: no transform reaches a KL of " + kl + ", and no optimum is found there\n");
    CHECK(work.names().empty());
  };
  // One transform: the search for a β that is not there takes most of the time of this test.
  check("700 --transform identity", "700");
  check("900,700 --transform clamped:0:0.5:identity --json", "700");
  const outcome one = work.infalign("plan --procedure best_of:4 --kl 1,700 --transform identity --plot x.svg --json");
  CHECK(one.code == 0);
  CHECK(work.read("x.svg").find("nan") == std::string::npos);
}

TEST_CASE("plan for procedures that select by reward") {
  const work_directory work;
  // By quadrature in NumPy, as in tests/theory/reward_procedure_test.cpp.
  const json_document found(
      work.infalign(
              "plan --procedure rewind_and_repeat:0.8:4 --reference-procedure standard --beta 0.2 --transform identity --json")
          .out);
  CHECK(found["procedure"].get_string().value() == "rewind_and_repeat:0.8:4");
  for (const row& r : rows_of(found))
    if (r.transform == "identity") CHECK(r.inference == doctest::Approx(0.911126713806).epsilon(1e-9));
  const outcome wrong = work.infalign("plan --procedure rewind_and_repeat:1.5:4 --kl 1");
  CHECK(wrong.code != 0);
  CHECK(wrong.err.find("the threshold of rewind_and_repeat:1.5:4 is 1.5, must be in [0, 1]") != std::string::npos);
}

TEST_CASE("options of a plan that make no sense") {
  const work_directory work;
  const auto check = [&](const std::string& options, const std::string& message) {
    const outcome wrong =
        work.infalign("plan --procedure best_of:4 " +
                      std::string(options.find("--plot") == std::string::npos ? "--plot frontier.svg " : "") + options);
    CHECK(wrong.code == 2);
    CHECK(wrong.err == "infalign: " + message + "\n");
    CHECK(work.names().empty());
  };
  check("", "one of --kl and --beta is needed (see --help)");
  check("--kl 1,0", "--kl is 0, must be positive and finite");
  check("--kl nan", "--kl is nan, must be positive and finite");
  check("--kl 1,,2", "--kl: '1,,2': '' is no number; the syntax is X,X,…");
  check("--kl 1,", "--kl: '1,': '' is no number; the syntax is X,X,…");
  check("--kl 1,x", "--kl: '1,x': 'x' is no number; the syntax is X,X,…");
  check("--kl 1e999", "--kl is inf, must be positive and finite");
  check("--beta nan", "--beta is nan, must be positive and finite");
  check("--kl 1 --json --plot -", "--plot is -, but the report goes to standard output: name a file");
  check("--beta -1", "--beta is -1, must be positive and finite");
  check("--beta 1 --kl 1", "--kl excludes --beta (see --help)");
  check("--kl 1 --transform exponential:0",
        "--transform: 'exponential:0': exponential: t is 0, must be in [-700, 700] and not 0; the syntax is exponential:T");
}

TEST_CASE("the default plan at three budgets takes no time to speak of") {
  const work_directory work;
  double fastest = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(work.infalign("plan --procedure best_of:4 --kl 0.5,1,2 --json").code == 0);
    fastest = std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  // 50 ms are asked of an optimised build on an idle machine; sanitizers and a busy one take longer.
  MESSAGE("infalign plan: " << 1e3 * fastest << " ms, shell and all");
  CHECK(fastest < 2);
}
