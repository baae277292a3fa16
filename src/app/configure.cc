// asterias config, asterias check-config; and the settings of serve.
#include "app/configure.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace asterias::app {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;  // more is no configuration

// What is wrong with the file itself; empty: nothing.
std::string read_file(const std::string& path, config::Said& said) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return path + ": " + std::strerror(errno);
    std::string text(kFileBytesMax + 1, 0);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (in.bad() || (in.gcount() == 0 && errno == EISDIR)) return path + " cannot be read";
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > kFileBytesMax) return path + " is longer than 1 MiB";
    said.file = {path, std::move(text)};
    return "";
}

}  // namespace

config::Loaded configure(const ConfigOptions& options) {
    config::Said said;
    said.flags = options.flags;
    said.environment = [](const std::string& name) { return ::getenv(name.c_str()); };
    if (!options.file.empty())
        if (std::string trouble = read_file(options.file, said); !trouble.empty()) {
            config::Loaded none;
            none.problems.push_back("--config " + std::move(trouble));
            return none;
        }
    return config::load(said);
}

int tell_problems(const char* command, const config::Loaded& loaded) {
    for (const auto& problem : loaded.problems)
        std::fprintf(stderr, "asterias %s: %s\n", command, problem.c_str());
    return kUsage;
}

int run_config(const ConfigOptions& options) {
    if (options.markdown) {
        std::fputs(config::document().c_str(), stdout);
        return kDone;
    }
    const config::Loaded loaded = configure(options);
    if (!loaded.problems.empty()) return tell_problems("config", loaded);
    std::fputs(config::print(loaded).c_str(), stdout);
    return kDone;
}

int run_check_config(const std::string& file) {
    config::Said said;
    if (const std::string trouble = read_file(file, said); !trouble.empty()) {
        std::fprintf(stderr, "asterias check-config: %s\n", trouble.c_str());
        return kUsage;
    }
    const config::Loaded loaded = config::load(said);
    if (!loaded.problems.empty()) return tell_problems("check-config", loaded);
    std::printf("%s is fine.\n", file.c_str());
    return kDone;
}

}  // namespace asterias::app
