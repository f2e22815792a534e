// SPDX-License-Identifier: Apache-2.0
// Numbers in names are read to the last digit and refused alike with every standard library, whatever the locale.
#include <cstdio>
#include <locale>
#include <string>

#include "infalign/transform/any_transform.hpp"

namespace {

struct decimal_comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
};

bool refused(const char* number) {
  try {
    (void)infalign::parse_transform(std::string("exponential:") + number);
  } catch (const infalign::domain_error&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  std::locale::global(std::locale(std::locale::classic(), new decimal_comma));
  int wrong = 0;
  for (const char* name : {"exponential:0.1", "exponential:-5", "exponential:2.2250738585072014e-308",
                           "exponential:0.30000000000000004", "clamped:0.005:1:logarithm", "power:1e+22"})
    if (const std::string back = infalign::parse_transform(name).name(); back != name) {
      std::printf("%s is read as %s\n", name, back.c_str());
      ++wrong;
    }
  for (const char* number :
       {"", "+1", " 1", "1 ", "1,5", "0x1p3", "1e400", "1e-400", "inf", "nan", "1e", "e5", "-", ".", "--1", "1.2.3", "1-1"})
    if (!refused(number)) {
      std::printf("'%s' is read as a number\n", number);
      ++wrong;
    }
  return wrong == 0 ? 0 : 1;
}
