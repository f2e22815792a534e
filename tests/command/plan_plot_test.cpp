// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "command/run_command.hpp"

using namespace infalign::test;

namespace {

/// Whether XML is well-formed, as far as these pictures use it: elements that nest, quoted attributes, no bare ampersand.
bool well_formed(const std::string& xml) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < xml.size()) {
    if (xml[at] == '&') {
      const std::size_t end = xml.find(';', at);
      if (end == std::string::npos || end - at > 8) return false;
    }
    if (xml[at] == '>') return false;
    if (xml[at++] != '<') continue;
    const bool closes = xml[at] == '/';
    const std::size_t name = at + (closes ? 1 : 0), name_end = xml.find_first_of(" />\n", name);
    bool quoted = false;
    for (; at < xml.size() && (quoted || xml[at] != '>'); ++at) {
      if (xml[at] == '<') return false;
      if (xml[at] == '\'') quoted = !quoted;
    }
    if (at == xml.size()) return false;
    const std::string element = xml.substr(name, name_end - name);
    if (closes) {
      if (open.empty() || open.back() != element) return false;
      open.pop_back();
    } else if (xml[at - 1] != '/') {
      open.push_back(element);
    }
    ++at;
  }
  return open.empty();
}

/// "best_of_random" of as many numbers, all alike.
std::string long_name(int numbers) {
  std::string name = "best_of_random:";
  for (int n = 1; n <= numbers; ++n) name += (n == 1 ? "" : ",") + std::to_string(n) + "=" + std::to_string(1.0 / numbers);
  return name;
}

}  // namespace

TEST_CASE("what this page calls well-formed") {
  CHECK(well_formed("<a b='x>y'><c/>text &amp; more</a>"));
  for (const char* wrong : {"<a>", "<a></b>", "<a b='x></a>", "<a>&</a>", "<a>></a>", "<a <b></b></a>", "</a>", "<a></a"}) {
    CAPTURE(wrong);
    CHECK(!well_formed(wrong));
  }
}

TEST_CASE("the picture of a plan is well-formed, and names in it are short, however long they are") {
  const work_directory work;
  for (const int numbers : {2, 50}) {
    const std::string name = long_name(numbers);
    CAPTURE(name.size());
    const outcome done = work.infalign(
        "plan --beta 0.2 --transform clamped:0.0012345678901234:0.99876543210987654:power:1.23456789012345 "
        "--plot p.svg --procedure " +
        name);
    CHECK(done.err.empty());
    REQUIRE(done.code == 0);
    const std::string svg = work.read("p.svg");
    CHECK(well_formed(svg));
    const auto lines = lines_of(svg);
    CHECK(std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
            return line.find("class='title'") != std::string::npos && line.find(">best_of_random:1=") != std::string::npos;
          }) == 1);
    for (const std::string& line : lines)
      if (line.find("class='title'") != std::string::npos || line.find("class='label'") != std::string::npos)
        CHECK(line.size() < 160);
  }
}
