#include "proto/resp/arguments.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "proto/resp/errors.h"
#include "proto/resp/integer.h"

namespace asterias::resp {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

enum class SetWord : uint8_t { Nx, Xx, Get, KeepTtl, Persist, Ex, Px, ExAt, PxAt, Unknown };

SetWord set_word(std::string_view text) {
    struct Entry {
        std::string_view name;
        SetWord word;
    };
    static constexpr Entry kWords[] = {
        {"nx", SetWord::Nx},           {"xx", SetWord::Xx},     {"get", SetWord::Get},
        {"keepttl", SetWord::KeepTtl}, {"ex", SetWord::Ex},     {"px", SetWord::Px},
        {"exat", SetWord::ExAt},       {"pxat", SetWord::PxAt}, {"persist", SetWord::Persist}};
    for (const auto& entry : kWords)
        if (equals_ignoring_case(text, entry.name)) return entry.word;
    return SetWord::Unknown;
}

struct SetWords {
    SetOptions options;
    SetWord expiry_word = SetWord::Unknown;
    const Bytes* expiry_text = nullptr;
};

// False: syntax error. The same word twice is legal in Redis, the last value counts.
bool take_word(SetWords& seen, SetWord word, const Bytes* next, bool& used_next) {
    using Condition = SetOptions::Condition;
    auto& condition = seen.options.condition;
    switch (word) {
        case SetWord::Nx:
            if (condition == Condition::IfPresent) return false;
            condition = Condition::IfAbsent;
            return true;
        case SetWord::Xx:
            if (condition == Condition::IfAbsent) return false;
            condition = Condition::IfPresent;
            return true;
        case SetWord::Get:
            seen.options.get = true;
            return true;
        case SetWord::KeepTtl:
            if (seen.expiry_text) return false;
            seen.options.expiry.kind = Expiry::Kind::Keep;
            return true;
        case SetWord::Persist:
            if (seen.expiry_text) return false;
            seen.options.expiry.kind = Expiry::Kind::Persist;
            return true;
        case SetWord::Unknown:
            return false;
        default:
            break;
    }
    const bool other = seen.expiry_text && seen.expiry_word != word;
    if (!next || other || seen.options.expiry.kind != Expiry::Kind::None) return false;
    seen.expiry_word = word;
    seen.expiry_text = next;
    used_next = true;
    return true;
}

std::variant<Expiry, ArgumentError> expiry_of(const Bytes& text, std::string_view command,
                                              bool seconds, bool relative) {
    int64_t value = 0;
    if (!parse_integer(text.view(), value)) return ArgumentError{std::string(kNotAnInteger)};
    if (value <= 0 || (seconds && value > kMax / 1000)) return invalid_expire_time(command);
    return Expiry{relative ? Expiry::Kind::After : Expiry::Kind::At,
                  seconds ? value * 1000 : value};
}

// The words of SET and GETEX from `first` on, of which `allowed` says which.
template <typename Allowed>
std::variant<SetOptions, ArgumentError> parse_words(const Request& request, size_t first,
                                                    std::string_view command, Allowed allowed) {
    SetWords seen;
    for (size_t i = first; i < request.size(); ++i) {
        const SetWord word = set_word(request[i].view());
        const Bytes* next = i + 1 < request.size() ? &request[i + 1] : nullptr;
        bool used_next = false;
        if (!allowed(word) || !take_word(seen, word, next, used_next))
            return ArgumentError{std::string(kSyntaxError)};
        if (used_next) ++i;
    }
    if (!seen.expiry_text) return seen.options;
    const bool seconds = seen.expiry_word == SetWord::Ex || seen.expiry_word == SetWord::ExAt;
    const bool relative = seen.expiry_word == SetWord::Ex || seen.expiry_word == SetWord::Px;
    auto expiry = expiry_of(*seen.expiry_text, command, seconds, relative);
    if (auto* error = std::get_if<ArgumentError>(&expiry)) return std::move(*error);
    seen.options.expiry = std::get<Expiry>(expiry);
    return seen.options;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

ArgumentError invalid_expire_time(std::string_view command) {
    return {"ERR invalid expire time in '" + std::string(command) + "' command"};
}

std::optional<int64_t> expiry_deadline(const Expiry& expiry, int64_t now_milliseconds) {
    CHECK(expiry.kind == Expiry::Kind::After || expiry.kind == Expiry::Kind::At,
          "only these two have a moment");
    if (expiry.kind == Expiry::Kind::At) return expiry.milliseconds;
    int64_t deadline = 0;
    if (__builtin_add_overflow(expiry.milliseconds, now_milliseconds, &deadline))
        return std::nullopt;
    return deadline;
}

std::variant<int64_t, ArgumentError> integer_argument(const Bytes& argument) {
    int64_t value = 0;
    if (!parse_integer(argument.view(), value)) return ArgumentError{std::string(kNotAnInteger)};
    return value;
}

std::variant<SetOptions, ArgumentError> parse_set_options(const Request& request) {
    return parse_words(request, 3, "set", [](SetWord w) { return w != SetWord::Persist; });
}

std::variant<Expiry, ArgumentError> parse_getex_options(const Request& request) {
    auto parsed = parse_words(request, 2, "getex",
                              [](SetWord w) { return w == SetWord::Persist || w >= SetWord::Ex; });
    if (auto* error = std::get_if<ArgumentError>(&parsed)) return std::move(*error);
    return std::get<SetOptions>(parsed).expiry;
}

std::variant<Expiry, ArgumentError> setex_argument(const Bytes& argument, std::string_view command,
                                                   bool seconds) {
    return expiry_of(argument, command, seconds, true);
}

std::variant<ExpireOptions, ArgumentError> parse_expire_options(const Request& request,
                                                                std::string_view command,
                                                                bool seconds) {
    ExpireOptions options;
    for (size_t i = 3; i < request.size(); ++i) {
        const std::string_view word = request[i].view();
        if (equals_ignoring_case(word, "nx"))
            options.if_none = true;
        else if (equals_ignoring_case(word, "xx"))
            options.if_some = true;
        else if (equals_ignoring_case(word, "gt"))
            options.if_later = true;
        else if (equals_ignoring_case(word, "lt"))
            options.if_earlier = true;
        else
            return ArgumentError{"ERR Unsupported option " + std::string(word)};
    }
    if (options.if_none && (options.if_some || options.if_later || options.if_earlier))
        return ArgumentError{"ERR NX and XX, GT or LT options at the same time are not compatible"};
    if (options.if_later && options.if_earlier)
        return ArgumentError{"ERR GT and LT options at the same time are not compatible"};

    int64_t value = 0;
    if (!parse_integer(request[2].view(), value)) return ArgumentError{std::string(kNotAnInteger)};
    if (seconds && (value > kMax / 1000 || value < kMin / 1000))
        return invalid_expire_time(command);
    options.milliseconds = seconds ? value * 1000 : value;
    return options;
}

std::variant<int64_t, ArgumentError> database_argument(const Bytes& argument, int64_t databases) {
    auto number = integer_argument(argument);
    const auto* value = std::get_if<int64_t>(&number);
    if (value && (*value < 0 || *value >= databases))
        return ArgumentError{std::string(kDbIndexOutOfRange)};
    return number;
}

std::variant<CopyOptions, ArgumentError> parse_copy_options(const Request& request,
                                                            int64_t databases) {
    CopyOptions options;
    for (size_t i = 3; i < request.size(); ++i) {
        if (equals_ignoring_case(request[i].view(), "replace")) {
            options.replace = true;
        } else if (i + 1 < request.size() && equals_ignoring_case(request[i].view(), "db")) {
            auto number = database_argument(request[++i], databases);
            if (auto* error = std::get_if<ArgumentError>(&number)) return std::move(*error);
            options.database = std::get<int64_t>(number);
        } else {
            return ArgumentError{std::string(kSyntaxError)};
        }
    }
    return options;
}

std::variant<LcsOptions, ArgumentError> parse_lcs_options(const Request& request) {
    LcsOptions options;
    for (size_t i = 3; i < request.size(); ++i) {
        const std::string_view word = request[i].view();
        if (equals_ignoring_case(word, "idx")) {
            options.indexes = true;
        } else if (equals_ignoring_case(word, "len")) {
            options.length = true;
        } else if (equals_ignoring_case(word, "withmatchlen")) {
            options.match_lengths = true;
        } else if (i + 1 < request.size() && equals_ignoring_case(word, "minmatchlen")) {
            auto number = integer_argument(request[++i]);
            if (auto* error = std::get_if<ArgumentError>(&number)) return std::move(*error);
            options.shortest = std::get<int64_t>(number);
        } else {
            return ArgumentError{std::string(kSyntaxError)};
        }
    }
    if (options.indexes && options.length)
        return ArgumentError{"ERR If you want both the length and indexes, please just use IDX."};
    return options;
}

std::variant<RestoreOptions, ArgumentError> parse_restore_options(const Request& request) {
    RestoreOptions options;
    bool absolute = false, idle = false, frequency = false;
    for (size_t i = 4; i < request.size(); ++i) {
        const std::string_view word = request[i].view();
        const bool more = i + 1 < request.size();
        int64_t value = 0;
        if (equals_ignoring_case(word, "replace")) {
            options.replace = true;
        } else if (equals_ignoring_case(word, "absttl")) {
            absolute = true;
        } else if (more && !frequency && equals_ignoring_case(word, "idletime")) {
            idle = true;
            if (!parse_integer(request[++i].view(), value))
                return ArgumentError{std::string(kNotAnInteger)};
            if (value < 0) return ArgumentError{"ERR Invalid IDLETIME value, must be >= 0"};
        } else if (more && !idle && equals_ignoring_case(word, "freq")) {
            frequency = true;
            if (!parse_integer(request[++i].view(), value))
                return ArgumentError{std::string(kNotAnInteger)};
            if (value < 0 || value > 255)
                return ArgumentError{"ERR Invalid FREQ value, must be >= 0 and <= 255"};
        } else {
            return ArgumentError{std::string(kSyntaxError)};
        }
    }
    int64_t milliseconds = 0;
    if (!parse_integer(request[2].view(), milliseconds))
        return ArgumentError{std::string(kNotAnInteger)};
    if (milliseconds < 0) return ArgumentError{"ERR Invalid TTL value, must be >= 0"};
    if (milliseconds > 0)
        options.expiry = {absolute ? Expiry::Kind::At : Expiry::Kind::After, milliseconds};
    return options;
}

std::optional<ArgumentError> check_usage_options(const Request& request) {
    for (size_t i = 3; i < request.size(); ++i) {
        if (i + 1 == request.size() || !equals_ignoring_case(request[i].view(), "samples"))
            return ArgumentError{std::string(kSyntaxError)};
        auto number = integer_argument(request[++i]);
        if (auto* error = std::get_if<ArgumentError>(&number)) return std::move(*error);
        if (std::get<int64_t>(number) < 0) return ArgumentError{std::string(kSyntaxError)};
    }
    return std::nullopt;
}

std::string_view client_name_error(std::string_view name) {
    if (name.size() > 256) return kClientNameLength;
    const bool shown = std::ranges::all_of(name, [](char c) { return c >= '!' && c <= '~'; });
    return shown ? std::string_view() : kClientNameCharacters;
}

std::variant<HelloOptions, ArgumentError> parse_hello_options(const Request& request) {
    HelloOptions options;
    if (request.size() < 2) return options;
    int64_t version = 0;
    if (!parse_integer(request[1].view(), version))
        return ArgumentError{std::string(kProtocolNotInteger)};
    if (version != 2 && version != 3) return ArgumentError{std::string(kUnsupportedProtocol)};
    options.version = static_cast<int>(version);
    for (size_t i = 2; i < request.size(); ++i) {
        const std::string_view word = request[i].view();
        const size_t behind = request.size() - 1 - i;
        if (behind >= 2 && equals_ignoring_case(word, "auth")) {
            options.credentials = {request[i + 1], request[i + 2]};
            i += 2;
        } else if (behind >= 1 && equals_ignoring_case(word, "setname")) {
            options.client_name = request[i + 1];
            const auto error = client_name_error(options.client_name->view());
            if (!error.empty()) return ArgumentError{std::string(error)};
            i += 1;
        } else {
            return ArgumentError{"ERR Syntax error in HELLO option '" + std::string(word) + "'"};
        }
    }
    return options;
}

}  // namespace asterias::resp
