// asterias config, asterias check-config; and the settings of serve.
#include "app/configure.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "app/text.h"

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

// The settings, or what is wrong with them.
std::string json_of(const config::Loaded& loaded) {
    std::string all;
    for (const auto& problem : loaded.problems)
        all += (all.empty() ? "" : ",") + json_string(problem);
    if (!all.empty())
        return "{\"error\":" + json_string(loaded.problems.front()) + ",\"problems\":[" + all +
               "],\"exit_code\":" + std::to_string(kUsage) + "}\n";
    for (size_t i = 0; i < config::rows().size(); ++i) {
        const config::Row& row = config::rows()[i];
        const auto& origin = loaded.origins[i];
        all += (i ? "," : "") + json_string(row.name) +
               ":{\"value\":" + json_string(config::get(row, loaded.settings)) + ",\"from\":" +
               json_string(origin.source == config::Source::Default ? "default" : origin.where) +
               "}";
    }
    return "{\"settings\":{" + all + "}}\n";
}

// What is wrong with the files that it names, as far as they are to be used.
std::vector<std::string> trouble_with_tls(const config::Loaded& loaded) {
    std::vector<std::string> found;
    const config::Settings& s = loaded.settings;
    if (s.tls_cert.empty() || s.tls_key.empty()) return found;
    for (const char* name : {"tls-cert", "tls-key", "tls-client-ca"}) {
        const config::Row* row = config::find_row(name);
        const std::string file = config::get(*row, s);
        if (file.empty() || std::ifstream(file, std::ios::binary)) continue;
        const auto& origin = loaded.origins[static_cast<size_t>(row - config::rows().data())];
        found.push_back(origin.where + ": " + name + " " + file + ": " + std::strerror(errno));
    }
    if (!found.empty()) return found;
    if (auto tls = load_tls(s); !tls) found.push_back(tls.error().context);
    return found;
}

// File, environment and flags. What is wrong with the file itself; empty: nothing.
std::string read_all(const ConfigOptions& options, config::Said& said) {
    said.flags = options.flags;
    said.environment = [](const std::string& name) { return ::getenv(name.c_str()); };
    if (options.file.empty()) return "";
    const std::string trouble = read_file(options.file, said);
    return trouble.empty() ? "" : "--config " + trouble;
}

}  // namespace

config::Loaded configure(const ConfigOptions& options) {
    config::Said said;
    if (std::string trouble = read_all(options, said); !trouble.empty()) {
        config::Loaded none;
        none.problems.push_back(std::move(trouble));
        return none;
    }
    return config::load(said);
}

config::Reloaded configure_again(const ConfigOptions& options, const config::Loaded& running) {
    config::Said said;
    if (std::string trouble = read_all(options, said); !trouble.empty()) {
        config::Reloaded none;
        none.loaded.problems.push_back(std::move(trouble));
        return none;
    }
    return config::reload(said, running);
}

runtime::TlsFiles tls_files(const config::Settings& settings) {
    return {settings.tls_cert, settings.tls_key, settings.tls_client_ca};
}

Result<std::shared_ptr<runtime::Tls>> load_tls(const config::Settings& settings) {
    if (settings.tls_cert.empty()) return nullptr;
    return runtime::Tls::load(tls_files(settings));
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
    if (options.json) std::fputs(json_of(loaded).c_str(), stdout);
    if (!loaded.problems.empty()) return tell_problems("config", loaded);
    if (!options.json) std::fputs(config::print(loaded).c_str(), stdout);
    return kDone;
}

int run_check_config(const std::string& file, bool json) {
    config::Said said;
    config::Loaded loaded;
    if (const std::string trouble = read_file(file, said); !trouble.empty())
        loaded.problems.push_back(trouble);
    else
        loaded = config::load(said);
    for (std::string& problem : trouble_with_tls(loaded))
        loaded.problems.push_back(std::move(problem));
    if (json) std::fputs(json_of(loaded).c_str(), stdout);
    if (!loaded.problems.empty()) return tell_problems("check-config", loaded);
    if (!json) std::printf("%s is fine.\n", file.c_str());
    return kDone;
}

}  // namespace asterias::app
