// app/demo_text.h: what the demo counts: the words of a text, or the values of a column of a CSV
// file, and how often each is there, counted by one thread. Pure but for load_demo_text, which
// reads a file.
// Reference: RFC 4180 (CSV); separators other than the comma and a byte order mark are taken, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asterias::app {

struct DemoText {
    std::string source;              // where it is from, for people
    std::string note;                // what was left out; empty: nothing
    std::vector<std::string> names;  // the different words, sorted
    std::vector<uint32_t> items;     // all of them in their order, each by its place in `names`
    std::vector<int64_t> counts;     // of each of `names` in `items`
};

// Words are runs of letters and digits, in lower case; bytes of UTF-8 beyond ASCII are letters.
// Errors (all InvalidArgument): a zero byte, no word.
Result<DemoText> words_of(std::string_view text);

// The values of one column. `column` is a name in the first line or, as digits, a number from 1; by
// number the first line is a row as any other. Rows without a value there are left out, and noted.
// Errors (all InvalidArgument): no such column (the context lists those there are), a quote that is
// never closed (with its line), a zero byte, no value.
Result<DemoText> column_of(std::string_view csv, const std::string& column);

// The text that is built in.
std::string_view sonnets();

// `file` empty: the sonnets. With a column it is read as CSV, else as text; *.csv without a column
// is an error that lists the columns. At most kDemoTextBytesMax.
inline constexpr size_t kDemoTextBytesMax = 64 << 20;
Result<DemoText> load_demo_text(const std::string& file, const std::string& column);

}  // namespace asterias::app
