// A configuration file of any bytes: never a crash; and what is taken prints as a file that gives
// the same settings again.
#include <cstdint>
#include <string>

#include "app/config/load.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace asterias;
    config::Said said;
    said.file = {"f", std::string(reinterpret_cast<const char*>(data), size)};
    const config::Loaded once = config::load(said);
    if (!once.problems.empty()) return 0;
    said.file = {"f", config::print(once)};
    const config::Loaded again = config::load(said);
    CHECK(again.problems.empty(), "what is printed is taken");
    for (const auto& row : config::rows())
        CHECK(config::get(row, once.settings) == config::get(row, again.settings),
              "what is printed says the same");
    return 0;
}
