// sim/world/workload.h: what clients ask: operations drawn by kind of workload, as RESP bytes, and
// what their replies mean.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "proto/resp/reply_parser.h"
#include "sim/check/history.h"
#include "sim/scenario/scenario.h"

namespace asterias::sim {

// Operations of one client. Every value that it writes is written once in the whole
// run, but for the one of the workload `spans`.
class OpSource {
public:
    // `number` tells workloads of one scenario apart; `keyspaces` beside the default one, at least
    // one if they `come_and_go`.
    OpSource(const Workload& workload, size_t number, uint64_t client,
             const std::vector<std::string>& keyspaces, bool come_and_go, Prng prng);

    // Client, kind, keys and arguments are filled in; `named` if it wants ASTERIAS.REQUEST.
    Op next(bool& named);

    std::vector<std::string> all_keys() const;

private:
    std::string key(uint64_t index) const;
    std::string value();
    uint64_t any_key();
    bool may_expire(uint64_t index) const;
    Op set_px(Op op);
    Op next_span(Op op, bool reads, bool& named);

    const Workload workload_;
    const std::string name_;
    const uint64_t client_;
    std::vector<std::string> prefixes_;  // of keys, by keyspace
    Prng prng_;
    uint64_t written_ = 0;
};

// The keyspace of a key, as text; empty: `default`.
std::string_view keyspace_of(std::string_view key);

// What an operation means can be asked for in several ways: as a transaction, by an older name.
// Which one depends on the operation alone; a named request is always plain.
struct Encoded {
    std::string bytes;
    size_t replies_before = 0;  // of MULTI and what it queues, before the one that tells
};
Encoded encode_command(const Op& op);

// What a reply says about an operation. Strange: a reply that no honest server gives.
struct Answered {
    std::vector<Value> results;
};
struct CertainlyNot {};
struct PerhapsDone {};
struct Strange {
    std::string what;
};
using Meaning = std::variant<Answered, CertainlyNot, PerhapsDone, Strange>;
Meaning meaning_of(const Op& op, const resp::Value& reply);

}  // namespace asterias::sim
