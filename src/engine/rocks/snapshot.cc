#include <rocksdb/snapshot.h>

#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

// An iterator of RocksDB 7.8 that meets a damaged block and then a range tombstone forgets the
// damage and leaves rows out or serves older ones (facebook/rocksdb#11786, fixed in 8.6; found by
// the conformance suite). An iterator that ignores tombstones does not seek again, so it reports:
// scan() walks such a guard beside the real one, over at least the same blocks. A snapshot holds a
// sequence number and no iterator: an iterator would keep memtables in memory.
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
                                             port::ScanLimit limit) override {
        std::vector<port::KeyValue> found;
        if (!to.empty() && from >= to) return found;
        rocksdb::ReadOptions how;
        how.snapshot = snapshot_.snapshot();
        how.fill_cache = false;  // a bulk read would push out what clients read
        const rocksdb::Slice bound = slice(to);
        if (!to.empty()) how.iterate_upper_bound = &bound;
        std::unique_ptr<rocksdb::Iterator> rows(db_.NewIterator(how));
        how.ignore_range_deletions = true;
        std::unique_ptr<rocksdb::Iterator> guard(db_.NewIterator(how));
        guard->Seek(slice(from));
        size_t bytes = 0;
        const auto more = [&] { return !limit.reached(found.size(), bytes); };
        for (rows->Seek(slice(from)); rows->Valid(); rows->Next()) {
            bytes += rows->key().size() + rows->value().size();
            found.push_back({copy(rows->key()), copy(rows->value())});
            while (guard->Valid() && guard->key().compare(rows->key()) < 0)
                guard->Next();
            if (!more()) break;  // not behind Next(): it reads the next value
        }
        while (more() && guard->Valid())
            guard->Next();
        for (const auto* it : {rows.get(), guard.get()})
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
