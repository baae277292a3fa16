// core/kv/kv_test_store.h: a key-value state that applies what evaluate() says, as a replica does.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/kv/evaluate.h"

namespace asterias::kv {

struct Store {
    std::map<Bytes, Bytes> state;
    int64_t now_ms = 1000;
    uint64_t index = 0;
    size_t last_writes = 0;

    Reply run(const Command& c) {
        const auto keys = keys_read(c);
        std::vector<Record> records(keys.size());
        std::vector<const Record*> found;
        for (size_t i = 0; i < keys.size(); ++i) {
            const auto it = state.find(keys[i]);
            if (it != state.end())
                records[i] = decode_record(excerpt(it->second.view(),
                                                   part_read(c, value_bytes(it->second.view()))))
                                 .value();
            found.push_back(it == state.end() ? nullptr : &records[i]);
        }
        auto e = evaluate(c, keys, found, {now_ms, HybridTime(1), LogIndex(++index)});
        for (auto& w : e.writes) {
            if (!w.until.empty())
                state.erase(state.lower_bound(w.key), state.lower_bound(w.until));
            else if (w.record.empty())
                state.erase(w.key);
            else
                state[w.key] = w.record;
        }
        last_writes = e.writes.size();
        return e.reply;
    }
    static Command make(Op op, std::vector<std::string> keys, std::vector<std::string> values = {},
                        uint16_t flags = 0, int64_t number = 0, int64_t number2 = 0) {
        Command c;
        c.op = op;
        c.flags = flags;
        c.number = number;
        c.number2 = number2;
        for (auto& k : keys)
            c.keys.push_back(Bytes::copy(k));
        for (auto& v : values)
            c.values.push_back(Bytes::copy(v));
        return c;
    }
    static Command batch(std::vector<Command> commands) {
        Command c;
        c.op = Op::Batch;
        c.batch = std::move(commands);
        return c;
    }
};

// As redis-cli without a terminal shows it: "OK", "(nil)", "3", "text", "[1, 2]", "(error) ...".
inline std::string shown(const Reply& reply) {
    switch (reply.kind) {
        case Reply::Kind::Ok:
            return "OK";
        case Reply::Kind::Nil:
            return "(nil)";
        case Reply::Kind::Integer:
            return std::to_string(reply.integer);
        case Reply::Kind::Error:
            return "(error) " + reply.text.str();
        case Reply::Kind::Bulk:
        case Reply::Kind::Status:
            return reply.text.str();
        case Reply::Kind::Array:
            break;
    }
    std::string text;
    for (const auto& item : reply.items)
        text += (text.empty() ? "" : ", ") + shown(item);
    return "[" + text + "]";
}

}  // namespace asterias::kv
