#include <algorithm>
#include <map>
#include <optional>

#include <rocksdb/sst_file_writer.h>

#include "base/check.h"
#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

using Kind = port::EngineBatch::Kind;
using Span = std::pair<std::string_view, std::string_view>;

// What `meta` comes to. All entries of an ingested file share one sequence number, and a range
// tombstone covers only what is older: so it never hides rows of its own file, and rows that a
// later operation of `meta` deletes must be left out here.
struct Meta {
    std::map<std::string_view, std::optional<std::string_view>> rows;
    std::vector<Span> ranges;

    explicit Meta(const port::EngineBatch& batch) {
        for (const auto& op : batch.ops()) {
            const std::string_view key = op.key.view();
            if (op.kind == Kind::Put) rows[key] = op.value.view();
            if (op.kind == Kind::Delete) rows[key] = std::nullopt;
            if (op.kind != Kind::DeleteRange) continue;
            const std::string_view end = op.value.view();
            CHECK(!end.empty(), "a deleted range has an upper bound");
            if (key >= end) continue;
            rows.erase(rows.lower_bound(key), rows.lower_bound(end));
            ranges.emplace_back(key, end);
        }
    }
    bool decides(std::string_view key) const {
        return rows.contains(key) || std::ranges::any_of(ranges, [key](const Span& r) {
                   return r.first <= key && key < r.second;
               });
    }
};

rocksdb::Status add_rows(rocksdb::SstFileWriter& file, const std::vector<port::KeyValue>& content,
                         const Meta& meta) {
    rocksdb::Status status;
    auto next_meta = meta.rows.begin();
    const auto add_meta_below = [&](std::optional<std::string_view> key) {
        for (; status.ok() && next_meta != meta.rows.end() && (!key || next_meta->first < *key);
             ++next_meta)
            status = next_meta->second
                         ? file.Put(slice(next_meta->first), slice(*next_meta->second))
                         : file.Delete(slice(next_meta->first));
    };
    for (const auto& pair : content) {
        if (meta.decides(pair.key.view())) continue;
        add_meta_below(pair.key.view());
        if (status.ok()) status = file.Put(slice(pair.key), slice(pair.value));
        if (!status.ok()) return status;
    }
    add_meta_below(std::nullopt);
    return status;
}

}  // namespace

Result<bool> write_install_file(const rocksdb::Options& options, const std::string& path,
                                std::string_view from, std::string_view to,
                                const std::vector<port::KeyValue>& content,
                                const port::EngineBatch& batch) {
    const Meta meta(batch);
    const bool replaces = from < to;
    if (!replaces && meta.rows.empty() && meta.ranges.empty()) return false;
    rocksdb::SstFileWriter file(rocksdb::EnvOptions(options), options);
    auto status = file.Open(path);
    if (status.ok()) status = add_rows(file, content, meta);
    if (status.ok() && replaces) status = file.DeleteRange(slice(from), slice(to));
    for (const auto& [begin, end] : meta.ranges)
        if (status.ok()) status = file.DeleteRange(slice(begin), slice(end));
    if (status.ok()) status = file.Finish();  // syncs
    if (!status.ok()) return std::unexpected(to_error(status, "install file"));
    return true;
}

}  // namespace asterias::engine
