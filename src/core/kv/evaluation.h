// core/kv/evaluation.h: one command being evaluated, inside this room: what each key holds, and
// what becomes of it. evaluate.cc has the table of who does what.
#pragma once

#include "core/kv/evaluate.h"

namespace asterias::kv {

// What the commands of a batch may spend together.
struct Allowance {
    size_t lcs_cells = kLcsCellsMax;
    uint64_t expired = 0;  // keys found past their deadline
};

class Run {
public:
    // `keyspace` is that of the whole; what is passed by reference outlives it.
    Run(const Command& command, KeyspaceId keyspace, const std::vector<Bytes>& read_keys,
        const std::vector<const Record*>& records, const Context& evaluated_in, Allowance& left)
        : c(command),
          keys(read_keys),
          context(evaluated_in),
          allowance(left),
          keyspace_(keyspace),
          records_(records) {}

    // The engine key of c.keys[i], also where nothing was read.
    Bytes key(size_t i) const;

    // The live record of keys[i]; nullptr: none. A passed deadline becomes a deletion in the log,
    // decided here once.
    const Record* live(size_t i);
    const Record* stored(size_t i) const { return records_[i]; }  // live or not
    void put(const Bytes& key, Bytes value, int64_t expiry_ms);
    void remove(size_t i) { writes.push_back({keys[i], {}}); }
    void remove_range(Bytes from, Bytes to) {
        writes.push_back({std::move(from), {}, std::move(to)});
    }
    KeyspaceId keyspace() const { return keyspace_; }
    // The absolute deadline that the command asks for; false if it cannot be represented.
    bool deadline(int64_t& at) const;

    const Command& c;
    const std::vector<Bytes>& keys;  // engine keys, of keys_read()
    const Context& context;
    Allowance& allowance;
    std::vector<Write> writes;

private:
    const KeyspaceId keyspace_;
    const std::vector<const Record*>& records_;
};

// OBJECT ENCODING tells what is in no longer value.
inline constexpr size_t kEmbeddedMost = 44;
// The bytes of a value that GetRange is about.
Part range_of(const Command& command, uint64_t value_bytes);
// Redis' string2ll: the canonical decimal form and nothing else.
bool parse_integer(std::string_view text, int64_t& out);
// The error text of a deadline that cannot be.
Reply invalid_expire(const Command& command);

// strings.cc
Reply get(Run& run);
Reply set(Run& run);
Reply get_del(Run& run);
Reply get_ex(Run& run);
Reply mget(Run& run);
Reply mset(Run& run);
Reply mset_nx(Run& run);
Reply str_len(Run& run);
Reply append(Run& run);
Reply set_range(Run& run);
Reply get_range(Run& run);
// counters.cc
Reply incr_by(Run& run);
Reply incr_by_float(Run& run);
// expiry.cc
Reply ttl(Run& run);
Reply expire_at(Run& run);
Reply persist(Run& run);
// keys.cc
Reply del(Run& run);
Reply exists(Run& run);
Reply type(Run& run);
Reply rename(Run& run);
Reply copy(Run& run);
Reply object(Run& run);
Reply version(Run& run);
// span.cc
Reply flush(Run& run);
// lcs.cc
Reply lcs(Run& run);

}  // namespace asterias::kv
