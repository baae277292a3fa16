#include "app/config/load.h"

#include <algorithm>

#include "app/config/contradictions.h"
#include "base/check.h"

// Its assertions stand for some errors that it reports behind them: "[!" ended the process, and
// with NDEBUG they would be assumptions. So they say nothing, and are no assumptions either.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace asterias::config {
namespace {

constexpr size_t kBrokenLinesMax = 20;  // that are told of a file
constexpr const char* kUsers = "users";

// A plain value as set() takes it; nothing: it is an array, a date, a table.
std::optional<std::string> text_of(const toml::node& value) {
    if (const auto* text = value.as_string()) return text->get();
    if (const auto* number = value.as_integer()) return std::to_string(number->get());
    if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
    return std::nullopt;
}

class Loader {
public:
    explicit Loader(const Said& said) : said_(said) { loaded_.origins.resize(rows().size()); }

    // What is wrong by itself is found; not yet what contradicts each other.
    Loaded read() {
        if (said_.file) read_file(*said_.file);
        for (size_t i = 0; i < rows().size(); ++i) {
            const Row& row = rows()[i];
            const std::string variable = environment_of(row);
            const char* text = said_.environment ? said_.environment(variable) : nullptr;
            if (text && !*text) {
                problem(variable, "is set, and empty; unset it, or give it a value");
                doubt(row.name);
            } else if (text) {
                take(i, text, Source::Environment, variable);
            }
            if (const auto flag = said_.flags.find(row.name); flag != said_.flags.end())
                take(i, flag->second, Source::Flag, flag_of(row));
            if (meant_.contains(row.name) && loaded_.origins[i].source == Source::Default)
                doubt(row.name);
        }
        return std::move(loaded_);
    }

private:
    void problem(const std::string& where, const std::string& what) {
        loaded_.problems.push_back(where + ": " + what);
    }
    void problem_at(uint32_t line, std::string what) { in_file_.emplace(line, std::move(what)); }
    std::string place(uint32_t line) const { return said_.file->path + ":" + std::to_string(line); }

    void take(size_t row, const std::string& text, Source source, const std::string& where) {
        const std::string name = rows()[row].name;
        if (auto done = set(rows()[row], loaded_.settings, text); !done) {
            loaded_.doubted.insert(name);
            return problem(where, done.error().context);
        }
        loaded_.doubted.erase(name);
        loaded_.origins[row] = {source, where};
    }

    // A line that is no TOML is told and passed over, so that the others are told, too.
    void read_file(const Said::File& file) {
        std::string text = file.text;
        uint32_t passed = 0;
        bool whole = false;
        for (size_t tries = 0; tries < kBrokenLinesMax && !whole; ++tries) {
            const auto parsed = toml::parse(text);
            if (parsed) {
                read_table(parsed.table());
                whole = true;
                break;
            }
            const uint32_t line = parsed.error().source().begin.line;
            if (line <= passed) break;  // it is what was told already that ends here
            const std::string name = name_on(text, line);
            std::string why(parsed.error().description());
            if (const Row* row = find_row(find_row(name) ? name : nearest(name)))
                why = std::string(row->name) + " cannot be read: " + why + "; it takes " +
                      range_of(*row) + ", in quotes but for plain numbers, true and false";
            problem_at(line, why);
            if (name.empty()) break;
            doubt(name);
            if (text.find("[users") < bounds(text, line).first) loaded_.doubted.insert(kUsers);
            blank(text, line);
            passed = line;
        }
        if (!whole) {  // what else was said is not known
            for (const Row& row : rows())
                loaded_.doubted.insert(row.name);
            loaded_.doubted.insert(kUsers);
        }
        for (auto& [line, what] : in_file_)
            problem(place(line), what);
    }

    // Empty for the head of a table: without it what follows would be taken for something else.
    static std::string name_on(const std::string& text, uint32_t line) {
        const auto [begin, end] = bounds(text, line);
        const std::string broken = text.substr(begin, end - begin);
        const size_t name = std::min(broken.find_first_not_of(" \t"), broken.size());
        if (name == broken.size() || broken[name] == '[') return "";
        return broken.substr(name, broken.find_first_of(" \t=", name) - name);
    }
    static void blank(std::string& text, uint32_t line) {
        const auto [begin, end] = bounds(text, line);
        text.erase(begin, end - begin);
    }
    // Of line 1 and on; empty behind the last.
    static std::pair<size_t, size_t> bounds(const std::string& text, uint32_t line) {
        size_t begin = 0;
        for (uint32_t at = 1; at < line && begin < text.size(); ++at)
            begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
        return {begin, std::min(text.find('\n', begin), text.size())};
    }

    void read_table(const toml::table& table) {
        for (const auto& [key, value] : table)
            read_key(std::string(key.str()), value, key.source().begin.line);
    }

    void read_key(const std::string& name, const toml::node& value, uint32_t line) {
        if (name == kUsers) return read_users(value, line);
        const Row* row = find_row(name);
        if (!row) return unknown(name, line);
        const auto text = text_of(value);
        const auto done = text ? set(*row, loaded_.settings, *text)
                               : fail(Errc::InvalidArgument, "takes " + range_of(*row));
        if (!done) {
            problem_at(line, name + " " + done.error().context);
            return doubt(name);
        }
        loaded_.origins[static_cast<size_t>(row - rows().data())] = {Source::File, place(line)};
    }

    void unknown(const std::string& name, uint32_t line) {
        const Row* meant = find_row(nearest(name));
        if (!meant)
            return problem_at(line,
                              "there is no '" + name + "'; asterias config lists what there is");
        problem_at(line, "there is no '" + name + "'; did you mean " + meant->name + " (" +
                             range_of(*meant) + ")?");
        meant_.insert(meant->name);
    }

    // What is meant to be set is not known, and may not be what it is by default.
    void doubt(const std::string& name) {
        loaded_.doubted.insert(find_row(name) ? name : nearest(name));
    }

    // The value is never told: it may be a password that somebody forgot to hash.
    void read_users(const toml::node& value, uint32_t line) {
        const auto* users = value.as_table();
        if (!users) {
            loaded_.doubted.insert(kUsers);
            return problem_at(line, "[users] is a table of names and hashes");
        }
        for (const auto& [key, hash] : *users) {
            const auto* text = hash.as_string();
            const auto parsed = runtime::parse_password_hash(text ? text->get() : "");
            const std::string name(key.str());
            if (parsed && !name.empty()) {
                loaded_.settings.users[name] = *parsed;
                continue;
            }
            loaded_.doubted.insert(kUsers);
            problem_at(key.source().begin.line,
                       "what stands for user '" + name + "' " +
                           (parsed ? "has no name: give it one" : parsed.error().context));
        }
    }

    const Said& said_;
    Loaded loaded_;
    std::multimap<uint32_t, std::string> in_file_;  // problems, by line
    std::set<std::string> meant_;                   // by names that there are not
};

// What keeps strangers out may change while a node runs, and come, but not go.
std::vector<std::string> lost_protection(const Settings& running, const Settings& next) {
    std::vector<std::string> lost;
    if (!running.users.empty() && next.users.empty())
        lost.push_back("[users] has nobody in it: to open the door to everybody takes a restart");
    if (!running.tls_client_ca.empty() && next.tls_client_ca.empty())
        lost.push_back(
            "tls-client-ca is gone: to take clients without certificates is a restart's");
    if (running.tls_cert.empty() != next.tls_cert.empty())
        lost.push_back("tls-cert: from TLS to none or back takes a restart");
    return lost;
}

std::string quoted(const std::string& text) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
        } else {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
    }
    return out + "\"";
}

bool is_plain(const Row& row, const std::string& text) {
    return row.kind == Kind::Flag || row.kind == Kind::Signed ||
           (row.kind == Kind::Number && text.find_first_not_of("0123456789") == text.npos);
}

std::string changed_by(const Row& row) {
    if (row.change == Change::Running) return "SIGHUP, `CONFIG SET`";
    return row.change == Change::Hangup ? "SIGHUP" : "";
}

std::string written(const Row& row, const Settings& settings) {
    const std::string text = get(row, settings);
    return is_plain(row, text) ? text : quoted(text);
}

}  // namespace

Loaded load(const Said& said) {
    Loaded loaded = Loader(said).read();
    for (std::string& problem : contradictions(loaded))
        loaded.problems.push_back(std::move(problem));
    return loaded;
}

Reloaded reload(const Said& said, const Loaded& running) {
    Loaded fresh = Loader(said).read();
    Reloaded result{running, {}};
    Loaded& mixed = result.loaded;
    mixed.problems = std::move(fresh.problems);
    if (!mixed.problems.empty()) return result;
    for (size_t i = 0; i < rows().size(); ++i) {
        const Row& row = rows()[i];
        const std::string text = get(row, fresh.settings), now = get(row, running.settings);
        if (row.change != Change::Restart) {
            const auto done = set(row, mixed.settings, text);
            CHECK(done, "what was set once can be set again");
            mixed.origins[i] = fresh.origins[i];
        } else if (text != now) {
            const std::string& where = fresh.origins[i].where;
            result.waiting.push_back(std::string(row.name) + " is " +
                                     written(row, running.settings) + " until a restart, then " +
                                     written(row, fresh.settings) +
                                     (where.empty() ? "" : " (" + where + ")"));
        }
    }
    mixed.settings.users = std::move(fresh.settings.users);
    mixed.problems = contradictions(mixed);
    for (std::string& problem : lost_protection(running.settings, mixed.settings))
        mixed.problems.push_back(std::move(problem));
    return result;
}

std::string print(const Loaded& loaded) {
    std::string out;
    const char* group = "";
    for (size_t i = 0; i < rows().size(); ++i) {
        const Row& row = rows()[i];
        if (std::string_view(group) != row.group) {
            group = row.group;
            out += std::string(out.empty() ? "" : "\n") + "# " + group + "\n";
        }
        const auto& origin = loaded.origins[i];
        out += std::string(row.name) + " = " + written(row, loaded.settings) + "  # " +
               (origin.source == Source::Default ? "default" : origin.where) + "\n";
    }
    out += "\n# Users of the Redis door; their hashes are not shown:";
    for (const auto& [name, hash] : loaded.settings.users)
        out += " " + quoted(name);
    return out + (loaded.settings.users.empty() ? " none, it is open\n" : "\n");
}

std::string document() {
    const Settings defaults;
    std::string out =
        "# Configuration\n\n"
        "Written by `asterias config --markdown`; a test compares. Each row is a key of the file\n"
        "that `asterias serve --config FILE` reads (TOML), a flag (`resp-port`: `--resp-port`) and "
        "an\n"
        "environment variable (`ASTERIAS_RESP_PORT`). A flag wins over the environment, that over "
        "the\n"
        "file, that over the default. `asterias check-config FILE` says what is wrong with a "
        "file,\n"
        "`asterias config` what holds and where it came from. Sizes are written `64KiB`, `16MiB`, "
        "`1GiB`\n"
        "or as bytes, times `300ms`, `5s`, `2min`, `1h`. What is marked *SIGHUP* is read again "
        "when "
        "the\n"
        "node gets that; but TLS, the CA of clients and the last user go by a restart only. "
        "`CONFIG GET`\n"
        "shows all, `CONFIG SET` changes what is marked so: on the one node that is asked, until a "
        "restart or\na SIGHUP, which take what is said here.\n";
    const char* group = "";
    for (const Row& row : rows()) {
        if (std::string_view(group) != row.group) {
            group = row.group;
            out += std::string("\n## ") + group +
                   "\n\n| name | default | range | changes by | what |\n|---|---|---|---|---|\n";
        }
        const std::string value = get(row, defaults);
        out += std::string("| `") + row.name + "` | " + (value.empty() ? "" : "`" + value + "`") +
               " | " + range_of(row) + " | " + changed_by(row) + " | " + row.what + " |\n";
    }
    out +=
        "\n## Users\n\n"
        "The table `[users]` of the file, live: a name, and what `asterias user hash` prints for "
        "its\npassword. `default` is the user of `AUTH password`. Without any user the Redis "
        "door asks nobody.\n"
        "A connection keeps what it was when its user changes.\n\n"
        "```toml\n[users]\ndefault = \"scrypt$14$8$1$...\"\n"
        "orders = \"scrypt$14$8$1$...\"\n```\n";
    return out;
}

}  // namespace asterias::config
