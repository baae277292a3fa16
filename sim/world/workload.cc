#include "sim/world/workload.h"

#include "base/check.h"
#include "base/crc32c.h"

namespace asterias::sim {

namespace {
constexpr std::string_view kThere = "1";
}  // namespace

OpSource::OpSource(const Workload& workload, size_t number, uint64_t client,
                   const std::vector<std::string>& keyspaces, bool come_and_go, Prng prng)
    : workload_(workload),
      name_(workload.kind + std::to_string(number)),
      client_(client),
      prng_(prng) {
    // All keys of a keyspace are asked for at a time, of several one after the other: so these keys
    // are together, in one that comes and goes if there are such.
    const bool one = workload.kind == "spans";
    prefixes_.push_back(one && come_and_go ? keyspaces.front() + ":" : "");
    for (const std::string& keyspace : one ? std::vector<std::string>() : keyspaces)
        prefixes_.push_back(keyspace + ":");
}

std::string OpSource::key(uint64_t index) const {
    return prefixes_[index % prefixes_.size()] + name_ + "." + std::to_string(index);
}

std::vector<std::string> OpSource::all_keys() const {
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < workload_.keys.low; ++i)
        keys.push_back(key(i));
    return keys;
}

std::string OpSource::value() {
    std::string text = std::to_string(client_) + "." + std::to_string(++written_);
    const uint64_t bytes = prng_.between(workload_.value_bytes.low, workload_.value_bytes.high);
    if (text.size() < bytes) text.append(bytes - text.size(), '.');
    return text;
}

uint64_t OpSource::any_key() {
    const uint64_t keys = workload_.keys.low;
    // A client of `order` stays within one keyspace: order is promised within one only.
    if (workload_.kind == "order" && keys >= prefixes_.size()) {
        const uint64_t mine = client_ % prefixes_.size();
        const uint64_t count = (keys - mine + prefixes_.size() - 1) / prefixes_.size();
        return mine + prefixes_.size() * prng_.below(count);
    }
    return prng_.below(keys);
}

Op OpSource::next(bool& named) {
    Op op;
    op.client = client_;
    const bool reads = prng_.chance(workload_.reads.low);
    named = !reads && prng_.chance(workload_.request.low);
    if (workload_.kind == "pairs") {
        // Both keys of pair p live in one keyspace.
        const uint64_t pairs = std::max<uint64_t>(workload_.keys.low / 2, 1);
        const std::string base = key(prng_.below(pairs));
        op.keys = {base + "x", base + "y"};
        op.kind = reads ? OpKind::MGet : OpKind::MSet;
        if (!reads) op.arguments.assign(2, value());
        return op;
    }
    if (workload_.kind == "spans") return next_span(std::move(op), reads, named);
    const uint64_t index = any_key();
    op.keys = {key(index)};
    if (reads) return op;
    if (workload_.kind == "counter") {
        op.kind = OpKind::Incr;
        op.arguments = {std::to_string(prng_.between(1, 5))};
        return op;
    }
    if (may_expire(index)) {
        if (prng_.chance(workload_.expire.low)) return set_px(std::move(op));
        // Fails on the values written here; on a key that has expired it begins anew.
        if (prng_.chance(0.1)) {
            op.kind = OpKind::Incr;
            op.arguments = {std::to_string(prng_.between(1, 5))};
            return op;
        }
    }
    const uint64_t die = workload_.kind == "order" ? 0 : prng_.below(10);
    op.kind = die < 6 ? OpKind::Set : die < 8 ? OpKind::SetNx : OpKind::Del;
    if (op.kind != OpKind::Del) op.arguments = {value()};
    return op;
}

// A key is there or not: its value is always the same, so that KEYS tells all that MGET does.
Op OpSource::next_span(Op op, bool reads, bool& named) {
    const uint64_t keys = workload_.keys.low, first = prng_.below(keys);
    const uint64_t die = prng_.below(10);
    const bool all = reads || die == 9;
    for (uint64_t i = 0; i < (all ? keys : 1); ++i)
        op.keys.push_back(key((first + i) % keys));
    if (reads) {
        op.kind = OpKind::MGet;
    } else if (die == 9) {
        op.kind = OpKind::Wipe;
        named = false;
    } else {
        op.kind = die < 4 ? OpKind::Set : die < 7 ? OpKind::SetNx : OpKind::Del;
        if (op.kind != OpKind::Del) op.arguments = {std::string(kThere)};
    }
    return op;
}

// Two keys of five; which, does not depend on the keyspace.
bool OpSource::may_expire(uint64_t index) const {
    return workload_.kind == "kv" && workload_.expire.high > 0 && index % 5 < 2;
}

Op OpSource::set_px(Op op) {
    const auto millis = [](Duration d) { return static_cast<uint64_t>(d / milliseconds(1)); };
    op.kind = OpKind::SetPx;
    op.arguments = {value(), std::to_string(prng_.between(millis(workload_.ttl.low),
                                                          millis(workload_.ttl.high)))};
    return op;
}

namespace {

uint32_t spelling_of(const Op& op) {
    if (op.request) return 0;
    uint32_t hash = static_cast<uint32_t>(op.client);
    for (const auto* texts : {&op.keys, &op.arguments})
        for (const std::string& text : *texts)
            hash = crc32c(text, hash);
    return hash;
}

// It tells what was there before.
bool is_getset(const Op& op) { return op.kind == OpKind::Set && spelling_of(op) % 3 == 1; }

// Not FLUSHDB: here are several keyspaces.
bool is_transaction(const Op& op) {
    return op.kind != OpKind::Wipe && spelling_of(op) / 16 % 4 == 1;
}

// Of the workload `spans`, whose keys are all that there are.
bool reads_all(const Op& op) {
    return op.kind == OpKind::MGet && op.keys[0].find("spans") != std::string::npos &&
           !is_transaction(op) && spelling_of(op) % 4 != 0;
}

}  // namespace

std::string_view keyspace_of(std::string_view key) {
    const size_t colon = key.find(':');
    return colon == std::string_view::npos ? std::string_view() : key.substr(0, colon);
}

namespace {

using Words = std::vector<std::string>;

// The commands of an operation; `spelling` is any number.
std::vector<Words> commands_of(const Op& op, uint32_t spelling) {
    const std::string& key = op.keys[0];
    const auto argument = [&op](size_t i) { return op.arguments[i]; };
    switch (op.kind) {
        case OpKind::Get:
            return {{"GET", key}};
        case OpKind::Set:
            if (is_getset(op)) return {{"GETSET", key, argument(0)}};
            return {{"SET", key, argument(0)}};
        case OpKind::SetNx:
            if (spelling % 3 == 1) return {{"SETNX", key, argument(0)}};
            if (spelling % 3 == 2) return {{"MSETNX", key, argument(0)}};
            return {{"SET", key, argument(0), "NX"}};
        case OpKind::SetPx:
            if (spelling % 2) return {{"PSETEX", key, argument(1), argument(0)}};
            return {{"SET", key, argument(0), "PX", argument(1)}};
        case OpKind::Del:
            if (spelling % 3 == 1) return {{"GETDEL", key}};
            return {{"DEL", key}};
        case OpKind::Incr:
            return {{"INCRBY", key, argument(0)}};
        case OpKind::Wipe:
            return {{spelling % 2 ? "FLUSHALL" : "FLUSHDB"}};
        case OpKind::MGet:
            if (reads_all(op) && spelling % 4 == 1) return {{"SCAN", "0", "COUNT", "10000"}};
            if (reads_all(op)) return {{"KEYS", "*spans*"}};
            break;
        case OpKind::MSet:
            break;
    }
    const bool reads = op.kind == OpKind::MGet, apart = is_transaction(op);
    std::vector<Words> commands;
    for (size_t i = 0; i < op.keys.size(); ++i) {
        if (apart)
            commands.push_back({reads ? "GET" : "SET", op.keys[i]});
        else if (i == 0)
            commands.push_back({reads ? "MGET" : "MSET", op.keys[i]});
        else
            commands.back().push_back(op.keys[i]);
        if (!reads) commands.back().push_back(op.arguments[i]);
    }
    return commands;
}

void append_words(std::string& out, const Words& words) {
    out += "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words)
        out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
}

}  // namespace

Encoded encode_command(const Op& op) {
    std::vector<Words> commands = commands_of(op, spelling_of(op));
    Encoded asked;
    if (op.request) {
        Words named{"ASTERIAS.REQUEST", "client" + std::to_string(op.client),
                    std::to_string(op.request)};
        named.insert(named.end(), commands[0].begin(), commands[0].end());
        commands[0] = std::move(named);
    }
    if (is_transaction(op)) {
        asked.replies_before = 1 + commands.size();
        commands.insert(commands.begin(), {"MULTI"});
        commands.push_back({"EXEC"});
    }
    for (const Words& words : commands)
        append_words(asked.bytes, words);
    return asked;
}

namespace {

using resp::ValueKind;

Meaning meaning_of_error(const Op& op, std::string_view text) {
    for (const std::string_view refusal : {"CLUSTERDOWN ", "TRYAGAIN ", "EXECABORT "})
        if (text.starts_with(refusal)) return CertainlyNot{};
    if (text.starts_with("UNKNOWN ")) return PerhapsDone{};
    if (reads_all(op) && text.starts_with("ERR to read all keys took too long"))
        return CertainlyNot{};
    if (op.kind == OpKind::Incr && text.starts_with("ERR value is not an integer"))
        return Answered{{std::string(kNotAnInteger)}};
    return Strange{std::string(text)};
}

// The number that the reply of SETNX, DEL and their like comes to: it, "OK", or a value that was
// there.
std::optional<std::string> count_in(const resp::Value& reply) {
    if (reply.is_null()) return "0";
    if (reply.kind == ValueKind::Integer) return std::to_string(reply.integer);
    if (reply.kind == ValueKind::Simple || reply.kind == ValueKind::Bulk) return "1";
    return {};
}

bool is_value(const resp::Value& v) { return v.is_null() || v.kind == ValueKind::Bulk; }

// Of KEYS or of a SCAN that goes through all keys of the first keyspace at once.
Meaning meaning_of_names(const Op& op, const resp::Value& reply) {
    const Strange strange{reply.describe()};
    if (reply.kind != ValueKind::Array) return strange;
    const bool scan = reply.items.size() == 2 && reply.items[1].kind == ValueKind::Array;
    // The keys are in another keyspace than the first, now or a moment ago.
    if (scan && keyspace_of(op.keys[0]) != "" && reply.items[0].text.view() != "0")
        return CertainlyNot{};
    std::vector<std::string> there;
    for (const resp::Value& item : scan ? reply.items[1].items : reply.items)
        there.push_back(item.text.str());
    Answered answered;
    for (const std::string& key : op.keys) {
        const bool found = std::erase(there, key) > 0;
        answered.results.push_back(found ? Value(kThere) : std::nullopt);
    }
    // What nobody writes, or one twice.
    if (!there.empty()) return strange;
    return answered;
}

Meaning meaning_of_one(const Op& op, const resp::Value& reply) {
    if (reply.is_error()) return meaning_of_error(op, reply.text.view());
    const Strange strange{reply.describe()};
    const auto value = [](const resp::Value& v) -> Value {
        if (v.is_null()) return std::nullopt;
        return v.text.str();
    };
    switch (op.kind) {
        case OpKind::Get:
            if (!is_value(reply)) return strange;
            return Answered{{value(reply)}};
        case OpKind::Set:
            if (is_getset(op) && is_value(reply)) return Answered{};
            [[fallthrough]];
        case OpKind::SetPx:
        case OpKind::MSet:
        case OpKind::Wipe:
            if (reply.kind != ValueKind::Simple) return strange;
            return Answered{};
        case OpKind::SetNx:
        case OpKind::Del:
            if (auto count = count_in(reply)) return Answered{{std::move(*count)}};
            return strange;
        case OpKind::Incr:
            if (reply.kind != ValueKind::Integer) return strange;
            return Answered{{std::to_string(reply.integer)}};
        case OpKind::MGet: {
            if (reads_all(op)) return meaning_of_names(op, reply);
            if (reply.kind != ValueKind::Array || reply.items.size() != op.keys.size())
                return strange;
            Answered answered;
            for (const resp::Value& item : reply.items) {
                if (!is_value(item)) return strange;
                answered.results.push_back(value(item));
            }
            return answered;
        }
    }
    return strange;
}

}  // namespace

Meaning meaning_of(const Op& op, const resp::Value& reply) {
    if (!is_transaction(op) || reply.is_error() || op.kind == OpKind::MGet)
        return meaning_of_one(op, reply);
    const size_t commands = op.kind == OpKind::MSet ? op.keys.size() : 1;
    if (reply.kind != ValueKind::Array || reply.items.size() != commands)
        return Strange{reply.describe()};
    return meaning_of_one(op, reply.items.back());
}

}  // namespace asterias::sim
