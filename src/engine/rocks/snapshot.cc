#include <rocksdb/snapshot.h>

#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

// Holds a sequence number, no iterator: an iterator would keep memtables in memory.
class RocksSnapshot final : public port::EngineSnapshot {
public:
    explicit RocksSnapshot(rocksdb::DB& db) : db_(db), snapshot_(&db) {}

    Result<std::optional<Bytes>> get(std::string_view key) override {
        rocksdb::ReadOptions how;
        how.snapshot = snapshot_.snapshot();
        rocksdb::PinnableSlice value;
        auto status = db_.Get(how, db_.DefaultColumnFamily(), slice(key), &value);
        if (status.IsNotFound()) return std::nullopt;
        if (!status.ok()) return std::unexpected(to_error(status, "snapshot read"));
        return copy(value);
    }

    Result<std::vector<port::KeyValue>> scan(std::string_view from, std::string_view to,
                                             size_t limit) override {
        std::vector<port::KeyValue> found;
        if (!to.empty() && from >= to) return found;
        rocksdb::ReadOptions how;
        how.snapshot = snapshot_.snapshot();
        how.fill_cache = false;  // a bulk read would push out what clients read
        const rocksdb::Slice bound = slice(to);
        if (!to.empty()) how.iterate_upper_bound = &bound;
        std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(how));
        for (it->Seek(slice(from)); it->Valid() && found.size() < limit; it->Next())
            found.push_back({copy(it->key()), copy(it->value())});
        if (!it->status().ok()) return std::unexpected(to_error(it->status(), "scan"));
        return found;
    }

private:
    rocksdb::DB& db_;
    rocksdb::ManagedSnapshot snapshot_;
};

}  // namespace

std::unique_ptr<port::EngineSnapshot> make_snapshot(rocksdb::DB& db) {
    return std::make_unique<RocksSnapshot>(db);
}

}  // namespace asterias::engine
