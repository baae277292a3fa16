#include <cstdarg>
#include <cstdio>

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

// RocksDB's own log file would grow beside the data; its warnings go to the operator instead.
class LogBridge final : public rocksdb::Logger {
public:
    explicit LogBridge(std::optional<Log> log)
        : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(log) {}
    using rocksdb::Logger::Logv;
    void Logv(const char* format, va_list arguments) override {
        Logv(rocksdb::InfoLogLevel::WARN_LEVEL, format, arguments);
    }
    void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
        if (!log_ || level < GetInfoLogLevel()) return;
        char text[512];
        std::vsnprintf(text, sizeof text, format, arguments);
        if (level >= rocksdb::InfoLogLevel::ERROR_LEVEL)
            log_->error(text);
        else
            log_->warn(text);
    }

private:
    std::optional<Log> log_;
};

rocksdb::BlockBasedTableOptions table_options(const RocksOptions& options) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
    // Index and filters inside the cache: otherwise memory grows with the data.
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.block_size = 4 * 1024;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    return table;
}

}  // namespace

rocksdb::Options make_options(const RocksOptions& options, rocksdb::Env* env) {
    rocksdb::Options o;
    o.create_if_missing = true;
    o.env = env;
    o.info_log = std::make_shared<LogBridge>(options.log);
    o.paranoid_checks = true;
    o.max_background_jobs = static_cast<int>(options.background_jobs);
    o.max_open_files = static_cast<int>(options.open_files_max);
    // A node at rest wakes nobody.
    o.stats_dump_period_sec = 0;
    o.stats_persist_period_sec = 0;
    o.avoid_unnecessary_blocking_io = true;
    o.bytes_per_sync = 1024 * 1024;
    // Any failure ends the node; a full disk is none (disk_internal.h).
    o.max_bgerror_resume_count = 0;

    o.write_buffer_size = options.write_buffer_bytes;
    o.max_write_buffer_number = static_cast<int>(options.write_buffers_max);
    o.level_compaction_dynamic_level_bytes = true;
    o.target_file_size_base = options.write_buffer_bytes * 2;
    o.max_bytes_for_level_base = options.write_buffer_bytes * 8;
    o.compression = rocksdb::kLZ4Compression;
    // What is young is rewritten soon: compressing it would be done twice.
    o.compression_per_level = {rocksdb::kNoCompression,  rocksdb::kNoCompression,
                               rocksdb::kLZ4Compression, rocksdb::kLZ4Compression,
                               rocksdb::kLZ4Compression, rocksdb::kLZ4Compression,
                               rocksdb::kLZ4Compression};
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(options)));
    return o;
}

Error to_error(const rocksdb::Status& status, std::string_view what) {
    Errc code = Errc::Io;
    if (is_no_space(status))
        code = Errc::NoSpace;
    else if (status.IsCorruption())
        code = Errc::Corrupt;
    else if (status.IsNotSupported())
        code = Errc::Unsupported;
    return {code, "engine " + std::string(what) + ": " + status.ToString()};
}

}  // namespace asterias::engine
