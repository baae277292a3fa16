#include "sim/world/workload.h"

#include "base/check.h"

namespace asterias::sim {

OpSource::OpSource(const Workload& workload, size_t number, uint64_t client,
                   const std::vector<std::string>& keyspaces, Prng prng)
    : workload_(workload),
      name_(workload.kind + std::to_string(number)),
      client_(client),
      prng_(prng) {
    prefixes_.emplace_back();
    for (const std::string& keyspace : keyspaces)
        prefixes_.push_back(keyspace + ":");
}

std::string OpSource::key(uint64_t index) const {
    return prefixes_[index % prefixes_.size()] + name_ + "." + std::to_string(index);
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

std::string_view keyspace_of(std::string_view key) {
    const size_t colon = key.find(':');
    return colon == std::string_view::npos ? std::string_view() : key.substr(0, colon);
}

std::string encode_command(const Op& op) {
    std::vector<std::string> words;
    if (op.request)
        words = {"ASTERIAS.REQUEST", "client" + std::to_string(op.client),
                 std::to_string(op.request)};
    const auto add = [&words](std::initializer_list<std::string> more) {
        words.insert(words.end(), more);
    };
    switch (op.kind) {
        case OpKind::Get:
            add({"GET", op.keys[0]});
            break;
        case OpKind::Set:
            add({"SET", op.keys[0], op.arguments[0]});
            break;
        case OpKind::SetNx:
            add({"SET", op.keys[0], op.arguments[0], "NX"});
            break;
        case OpKind::SetPx:
            add({"SET", op.keys[0], op.arguments[0], "PX", op.arguments[1]});
            break;
        case OpKind::Del:
            add({"DEL", op.keys[0]});
            break;
        case OpKind::Incr:
            add({"INCRBY", op.keys[0], op.arguments[0]});
            break;
        case OpKind::MGet:
            add({"MGET"});
            for (const auto& key : op.keys)
                add({key});
            break;
        case OpKind::MSet:
            add({"MSET"});
            for (size_t i = 0; i < op.keys.size(); ++i)
                add({op.keys[i], op.arguments[i]});
            break;
    }
    std::string out = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words)
        out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    return out;
}

namespace {

using resp::ValueKind;

Meaning meaning_of_error(const Op& op, std::string_view text) {
    if (text.starts_with("CLUSTERDOWN ") || text.starts_with("TRYAGAIN ")) return CertainlyNot{};
    if (text.starts_with("UNKNOWN ")) return PerhapsDone{};
    if (op.kind == OpKind::Incr && text.starts_with("ERR value is not an integer"))
        return Answered{{std::string(kNotAnInteger)}};
    return Strange{std::string(text)};
}

}  // namespace

Meaning meaning_of(const Op& op, const resp::Value& reply) {
    if (reply.is_error()) return meaning_of_error(op, reply.text.view());
    const Strange strange{reply.describe()};
    const auto value = [](const resp::Value& v) -> Value {
        if (v.is_null()) return std::nullopt;
        return v.text.str();
    };
    const auto is_value = [](const resp::Value& v) {
        return v.is_null() || v.kind == ValueKind::Bulk;
    };
    switch (op.kind) {
        case OpKind::Get:
            if (!is_value(reply)) return strange;
            return Answered{{value(reply)}};
        case OpKind::Set:
        case OpKind::SetPx:
        case OpKind::MSet:
            if (reply.kind != ValueKind::Simple) return strange;
            return Answered{};
        case OpKind::SetNx:
            if (reply.kind != ValueKind::Simple && !reply.is_null()) return strange;
            return Answered{{std::string(reply.is_null() ? "0" : "1")}};
        case OpKind::Del:
        case OpKind::Incr:
            if (reply.kind != ValueKind::Integer) return strange;
            return Answered{{std::to_string(reply.integer)}};
        case OpKind::MGet: {
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

}  // namespace asterias::sim
