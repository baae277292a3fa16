#include <algorithm>
#include <map>

#include <rocksdb/sst_file_writer.h>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {

StagedFiles::StagedFiles(const rocksdb::Options& options, std::string prefix, Limits limits,
                         std::vector<port::Span> spans)
    : options_(options),
      prefix_(std::move(prefix)),
      limits_(limits),
      rules_(std::move(spans)),
      from_(rules_.spans().front().from.str()) {}

Result<void> StagedFiles::check_space(uint64_t bytes) const {
    uint64_t available = 0;
    const auto status =
        options_.env->GetFreeSpace(prefix_.substr(0, prefix_.rfind('/')), &available);
    if (!status.ok() || available >= limits_.reserve_bytes + bytes) return {};
    return fail(Errc::NoSpace, "engine: staging would use up the reserve");
}

Result<void> StagedFiles::add(const std::vector<port::KeyValue>& content) {
    rules_.check_content(content);
    const size_t rows_before = rows_.size();
    uint64_t growth = 0;
    for (const auto& [key, value] : content) {
        // A slice would hold on to the frame that it came with.
        rows_.push_back({Bytes::copy(key.view()), Bytes::copy(value.view())});
        growth += key.size() + value.size();
    }
    if (rows_bytes_ + growth >= limits_.file_bytes) {
        auto written = check_space(rows_bytes_ + growth);
        if (written) written = write_rows(false);
        if (!written) {
            rows_.resize(rows_before);
            return written;
        }
    } else {
        rows_bytes_ += growth;
    }
    rules_.took(content);
    bytes_ += growth;
    return {};
}

// Makes files of the rows, one for each span that they lie in; with `all` also of what is left of
// the spans. A file leaves of its part of a span exactly its rows: all entries of an ingested file
// share one sequence number, and a range tombstone covers only what is older, so it never hides
// rows of its own file. Parts end right behind a row, before the next one is known.
Result<void> StagedFiles::write_rows(bool all) {
    const auto& spans = rules_.spans();
    std::vector<std::string> made;
    size_t span = span_, row = 0;
    std::string from = from_;
    auto done = [&]() -> Result<void> {
        while (span < spans.size()) {
            size_t end = row;
            while (end < rows_.size() && rows_[end].key < spans[span].to)
                ++end;
            const bool last = all || end < rows_.size();  // part of this span
            if (row == end && !last) break;
            const std::string to = last ? spans[span].to.str() : rows_[end - 1].key.str() + '\0';
            if (from < to) {
                made.push_back(next_path());
                TRY(write_file(made.back(), {rows_.data() + row, end - row}, from, to));
            }
            row = end;
            if (!last) {
                from = to;
                break;
            }
            if (++span < spans.size()) from = spans[span].from.str();
        }
        return {};
    }();
    if (!done) {
        remove(made);
        return done;
    }
    files_.insert(files_.end(), made.begin(), made.end());
    span_ = span;
    from_ = std::move(from);
    rows_.clear();
    rows_bytes_ = 0;
    return {};
}

Result<void> StagedFiles::write_file(const std::string& path, std::span<const port::KeyValue> rows,
                                     std::string_view from, std::string_view to) const {
    rocksdb::SstFileWriter file(rocksdb::EnvOptions(options_), options_);
    auto status = file.Open(path);
    for (const auto& [key, value] : rows)
        if (status.ok()) status = file.Put(slice(key), slice(value));
    const bool replaces = from < to && (rows.empty() || !MUTANT(engine_install_keeps_old_keys));
    if (status.ok() && replaces) status = file.DeleteRange(slice(from), slice(to));
    if (status.ok()) status = file.Finish();  // syncs
    if (!status.ok()) return std::unexpected(to_error(status, "install file"));
    return {};
}

// A file for the meta in each gap between spans, so that no two files of an install overlap:
// RocksDB then gives all of them one sequence number.
Result<std::vector<std::string>> StagedFiles::finish(const port::EngineBatch& meta) {
    rules_.check_meta(meta);
    TRY(check_space(rows_bytes_));
    if (span_ < rules_.spans().size()) TRY(write_rows(true));
    std::map<std::string_view, port::KeyValue> puts;
    for (const auto& op : meta.ops())
        puts[op.key.view()] = {op.key, op.value};
    std::vector<std::vector<port::KeyValue>> gaps(rules_.spans().size() + 1);
    for (auto& [key, pair] : puts) {
        const auto behind = std::ranges::count_if(
            rules_.spans(), [&](const port::Span& s) { return s.to.view() <= key; });
        gaps[static_cast<size_t>(behind)].push_back(std::move(pair));
    }
    remove(meta_files_);  // of an earlier try
    meta_files_.clear();
    for (const auto& gap : gaps) {
        if (gap.empty()) continue;
        meta_files_.push_back(next_path());
        TRY(write_file(meta_files_.back(), gap, {}, {}));
    }
    std::vector<std::string> all = files_;
    all.insert(all.end(), meta_files_.begin(), meta_files_.end());
    return all;
}

void StagedFiles::remove() {
    remove(files_);
    remove(meta_files_);
}

void StagedFiles::remove(const std::vector<std::string>& paths) const {
    for (const auto& path : paths)
        options_.env->DeleteFile(path).PermitUncheckedError();
}

std::string StagedFiles::next_path() {
    return prefix_ + "-" + std::to_string(++made_) + std::string(kInstallSuffix);
}

}  // namespace asterias::engine
