// SPDX-License-Identifier: MIT
// A condition that does not hold -> a line on stderr and a failed test program.
#pragma once

#include <cstdio>
#include <cstdlib>

inline int& failed_checks() {
  static int count = 0;
  return count;
}

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      ++failed_checks();                                                                 \
    }                                                                                    \
  } while (0)

/// For what the rest of a test cannot do without.
#define REQUIRE(condition)             \
  do {                                 \
    CHECK(condition);                  \
    if (failed_checks()) std::exit(1); \
  } while (0)

inline int report() { return failed_checks() ? 1 : 0; }
