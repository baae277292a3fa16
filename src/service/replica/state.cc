#include "service/replica/state.h"

#include <algorithm>

#include "base/mutant.h"
#include "core/catalogue/boundary.h"
#include "port/sync.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::replica {
namespace {
constexpr uint8_t kAppliedFormat = 2;
constexpr uint8_t kRemovedFormat = 1;
constexpr Duration kAskAgain = milliseconds(20);
constexpr Duration kProbe = seconds(1);
constexpr port::ScanLimit kSessionsStep{.entries = 1000, .bytes = 1024 * 1024};

Bytes sessions_prefix(GroupId group) { return kv::meta_key(group, "session/"); }
Bytes requests_prefix(KeyspaceId keyspace) { return kv::request_key(keyspace, ""); }
port::Span span_of(Bytes prefix) {
    Bytes end = kv::after_prefix(prefix);
    return {std::move(prefix), std::move(end)};
}
}  // namespace

Bytes encode(const Applied& a) {
    wire::Writer out(64);
    out.u8(kAppliedFormat).u64(a.index.value).u64(a.term.value).u64(a.commit_time.value);
    out.u64(a.matched_by_all.value).u64(a.membership_index.value);
    out.bytes(a.membership.voters.empty() ? Bytes() : raft::encode(a.membership));
    return out.take();
}

Result<Applied> decode_applied(const Bytes& bytes) {
    wire::Reader in(bytes);
    if (const uint8_t format = in.u8(); in.ok() && format != kAppliedFormat)
        return fail(Errc::Unsupported, "applied format " + std::to_string(format));
    Applied a{LogIndex(in.u64()), Term(in.u64()),     HybridTime(in.u64()),
              LogIndex(in.u64()), raft::Membership(), LogIndex(in.u64())};
    const Bytes membership = in.bytes();
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "applied record");
    if (!membership.empty()) a.membership = TRY(raft::decode_membership(membership));
    return a;
}

Bytes applied_key(GroupId group) { return kv::meta_key(group, "applied"); }
Bytes removed_key(GroupId group) { return kv::meta_key(group, "removed"); }

std::vector<port::Span> content_spans(GroupId group, KeyspaceId keyspace) {
    std::vector<port::Span> spans;
    if (keyspace) spans.push_back(span_of(kv::data_prefix(keyspace)));
    const Bytes boundary = catalogue::boundary_key(group);
    if (!MUTANT(replica_fence_not_in_snapshot)) spans.push_back({boundary, key_behind(boundary)});
    if (!MUTANT(replica_sessions_not_in_snapshot)) spans.push_back(span_of(sessions_prefix(group)));
    if (keyspace) spans.push_back(span_of(requests_prefix(keyspace)));
    return spans;
}

Bytes key_behind(const Bytes& key) {
    BytesBuilder next(key.size() + 1);
    next.append(key.view());
    next.push_back(0);
    return next.take();
}

port::Task<Result<std::optional<Applied>>> load_applied(port::Engine& engine, port::Shard& shard,
                                                        GroupId group) {
    const auto stored = co_await engine.get(shard, applied_key(group));
    if (!stored) co_return std::unexpected(stored.error());
    if (!*stored) co_return std::nullopt;
    auto applied = decode_applied(**stored);
    if (!applied) co_return std::unexpected(applied.error());
    co_return std::move(*applied);
}

port::Task<Result<catalogue::Boundary>> load_boundary(port::Engine& engine, port::Shard& shard,
                                                      GroupId group) {
    const auto stored = co_await engine.get(shard, catalogue::boundary_key(group));
    if (!stored) co_return std::unexpected(stored.error());
    if (!*stored) co_return catalogue::Boundary{};
    co_return catalogue::decode_boundary(**stored);
}

port::Task<Result<session::Table>> load_sessions(port::Engine& engine, port::Shard& shard,
                                                 GroupId group) {
    session::Table table;
    const Bytes end = kv::after_prefix(sessions_prefix(group));
    Bytes from = sessions_prefix(group);
    while (true) {
        const auto found = co_await engine.scan(shard, from, end, kSessionsStep);
        if (!found) co_return std::unexpected(found.error());
        for (const auto& window : *found)
            if (auto loaded = table.load(window.value); !loaded)
                co_return std::unexpected(loaded.error());
        if (!kSessionsStep.reached_by(*found)) co_return std::move(table);
        from = key_behind(found->back().key);
    }
}

port::Task<Result<ReplicaId>> load_removed(port::Engine& engine, port::Shard& shard,
                                           GroupId group) {
    const auto stored = co_await engine.get(shard, removed_key(group));
    if (!stored) co_return std::unexpected(stored.error());
    if (!*stored) co_return ReplicaId();
    wire::Reader in(**stored);
    if (in.u8() != kRemovedFormat) co_return fail(Errc::Unsupported, "removed format");
    const ReplicaId removed(in.u64());
    if (!in.ok()) co_return fail(Errc::Corrupt, "removed record");
    co_return removed;
}

port::Task<Result<void>> erase_state(port::Engine& engine, port::Shard& shard, GroupId group,
                                     KeyspaceId keyspace, ReplicaId replica,
                                     const port::Scope& scope) {
    const Error stops{Errc::Closed, "the state of a removed replica is not deleted yet"};
    port::EngineBatch batch;
    for (auto& span : content_spans(group, keyspace))
        batch.del_range(std::move(span.from), std::move(span.to));
    batch.del(applied_key(group));
    wire::Writer removed(9);
    removed.u8(kRemovedFormat).u64(replica.value);
    const Bytes word = removed.take();
    batch.put(removed_key(group), word);
    auto written = engine.write(batch);
    while (!written && written.error().code == Errc::NoSpace) {
        if (scope.stop_requested()) co_return std::unexpected(stops);
        co_await port::sleep(shard, kAskAgain);
        written = engine.write(batch);
    }
    if (!written) co_return std::unexpected(written.error());
    engine.request_flush();
    for (Duration waited{}; engine.durable() < *written; waited += kAskAgain) {
        if (scope.stop_requested()) co_return std::unexpected(stops);
        co_await port::sleep(shard, kAskAgain);
        if (waited < kProbe) continue;
        // An engine whose flush has failed says so to those who write, and perhaps nobody does.
        waited = {};
        port::EngineBatch probe;
        probe.put(removed_key(group), word);
        if (auto probed = engine.write(probe); !probed && probed.error().code != Errc::NoSpace)
            co_return std::unexpected(probed.error());
        engine.request_flush();
    }
    co_return Result<void>{};
}

}  // namespace asterias::replica
