#include "app/config/parameters.h"

#include <algorithm>
#include <optional>
#include <set>

#include "proto/resp/arguments.h"

namespace asterias::config {
namespace {

struct Alias {
    const char *redis, *row;
};
constexpr Alias kAliases[] = {{"bind", "host"},
                              {"dir", "data"},
                              {"loglevel", "log-level"},
                              {"port", "resp-port"},
                              {"proto-max-bulk-len", "value-bytes-max"}};

// What clients ask for and nobody sets here.
struct Fixed {
    const char *name, *value;
};
constexpr Fixed kFixed[] = {{"appendfsync", "always"},
                            {"appendonly", "yes"},
                            {"cluster-enabled", "no"},
                            {"daemonize", "no"},
                            {"maxmemory", "0"},
                            {"maxmemory-policy", "noeviction"},
                            {"save", ""}};

bool equal(std::string_view a, std::string_view b) { return resp::equals_ignoring_case(a, b); }

const Row* row_of(std::string_view name) {
    for (const Alias& alias : kAliases)
        if (equal(alias.redis, name)) return find_row(alias.row);
    for (const Row& row : rows())
        if (equal(row.name, name)) return &row;
    return nullptr;
}

bool is_fixed(std::string_view name) {
    return std::ranges::any_of(kFixed, [name](const Fixed& f) { return equal(f.name, name); });
}

// As Redis writes values: bytes as a number, yes and no.
std::string shown(const Row& row, const Settings& settings) {
    const std::string text = get(row, settings);
    if (row.kind == Kind::Flag) return text == "true" ? "yes" : "no";
    if (row.kind != Kind::Bytes) return text;
    auto& fields = const_cast<Settings&>(settings);
    return std::visit(
        [&]<typename At>(At at) {
            if constexpr (std::is_same_v<At, uint64_t& (*)(Settings&)>)
                return std::to_string(at(fields));
            else
                return text;
        },
        row.field);
}

std::string failed(const std::string& name, std::string_view why) {
    return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " +
           std::string(why);
}

// Redis' words for numbers; for all else those of the file.
std::string wrong_value(const Row& row, std::string_view text, const Error& error) {
    if (row.kind != Kind::Number && row.kind != Kind::Signed) return "argument " + error.context;
    const size_t sign = text.starts_with('-');
    const bool number = text.size() > sign && text.size() < 20 &&
                        text.find_first_not_of("0123456789", sign) == text.npos;
    if (!number) return "argument couldn't be parsed into an integer";
    std::string range = range_of(row);
    range.replace(range.find(" to "), 4, " and ");
    return "argument must be between " + range + " inclusive";
}

// What is wrong with the names; empty: nothing.
std::string name_trouble(const std::vector<edge_resp::Parameters::Value>& wanted) {
    std::string trouble;
    std::set<std::string> seen;
    for (const auto& [name, value] : wanted) {
        std::string lower = name;
        for (char& c : lower)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        const Row* row = row_of(name);
        if (!seen.insert(row ? row->name : lower).second)
            return failed(name, "duplicate parameter");
        if (!trouble.empty()) continue;
        if (!row && !is_fixed(name))
            trouble = "ERR Unknown option or number of arguments for CONFIG SET - '" + name + "'";
        else if (!row || row->change != Change::Running)
            trouble = failed(name, "can't set immutable config");
    }
    return trouble;
}

}  // namespace

std::vector<edge_resp::Parameters::Value> Parameters::all() const {
    std::vector<Value> found;
    for (const Row& row : rows())
        found.push_back({row.name, shown(row, settings_)});
    for (const Alias& alias : kAliases)
        found.push_back({alias.redis, shown(*find_row(alias.row), settings_)});
    for (const Fixed& fixed : kFixed)
        found.push_back({fixed.name, fixed.value});
    std::ranges::sort(found, {}, &Value::name);
    return found;
}

std::variant<edge_resp::Live, edge_resp::Parameters::Refused> Parameters::set(
    const std::vector<Value>& wanted) {
    if (auto trouble = name_trouble(wanted); !trouble.empty()) return Refused{std::move(trouble)};
    Settings next = settings_;
    for (const auto& [name, value] : wanted)
        if (auto done = config::set(*row_of(name), next, value); !done)
            return Refused{failed(name, wrong_value(*row_of(name), value, done.error()))};
    settings_ = std::move(next);
    changed_();
    return edge_resp::Live(settings_.resp);
}

void Parameters::replace(const Settings& settings) {
    settings_ = settings;
    changed_();
}

edge_resp::Live Parameters::live() const { return settings_.resp; }

}  // namespace asterias::config
