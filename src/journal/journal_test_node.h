// A node with a journal on a simulated disk, its model, and the operations of the property test.
// Included by tests only.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "port/scope.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/tiny_shard.h"

namespace asterias::journal {

struct QuietSink final : LogSink {
    std::vector<std::string> lines;
    void write(LogLevel, std::string_view, std::string text) override {
        lines.push_back(std::move(text));
    }
    bool enabled(LogLevel level) const override { return level >= LogLevel::Warn; }
};

// What a group holds, by the contract.
struct ModelGroup {
    Vote vote;
    uint64_t purged = 0;
    Term purged_term{};
    std::optional<LogPlace> installing{};
    std::map<uint64_t, wire::Entry> entries;
    uint64_t last = 0;
    bool operator==(const ModelGroup&) const = default;
};
using Model = std::map<GroupId, ModelGroup>;

struct Op {
    enum class Kind : uint8_t { Entry, Vote, Purge, Begin, End, Reset } kind;
    GroupId group;
    BatchId batch;
    wire::Entry entry{};
    Vote vote{};
    LogPlace at{};

    void apply(Model& model) const {
        ModelGroup& g = model[group];
        switch (kind) {
            case Kind::Vote:
                g.vote = vote;
                break;
            case Kind::Entry:
                g.entries.erase(g.entries.lower_bound(entry.index.value), g.entries.end());
                g.entries[entry.index.value] = entry;
                g.last = entry.index.value;
                break;
            case Kind::Purge:
                if (at.index.value <= g.purged) break;
                g.purged = at.index.value;
                g.purged_term = {};
                g.entries.erase(g.entries.begin(), g.entries.upper_bound(g.purged));
                g.last = std::max(g.last, g.purged);
                break;
            case Kind::Begin:
                g.installing = at;
                break;
            case Kind::End:
                g.installing.reset();
                break;
            case Kind::Reset:
                g = {.vote = g.vote,
                     .purged = at.index.value,
                     .purged_term = at.term,
                     .last = at.index.value};
                break;
        }
    }
};

inline Model model_of(const Recovered& recovered) {
    Model model;
    for (const auto& [id, group] : recovered.groups) {
        ModelGroup g{.vote = group.vote,
                     .purged = group.purged_through.value,
                     .purged_term = group.purged_term,
                     .installing = group.installing,
                     .last = group.purged_through.value};
        for (const auto& entry : group.entries) {
            EXPECT_EQ(entry.index.value, g.last + 1) << "entries are contiguous";
            g.entries[entry.index.value] = entry;
            g.last = entry.index.value;
        }
        model[id] = std::move(g);
    }
    std::erase_if(model, [](const auto& g) { return g.second == ModelGroup{}; });
    return model;
}

class TestNode : Observer {
public:
    explicit TestNode(uint64_t seed, Options opts) : options(std::move(opts)), prng(seed) {}
    ~TestNode() override { stop(); }

    Options options;
    Prng prng;
    sim::DiskFaults faults;
    sim::DiskImage image;
    QuietSink sink;
    std::unique_ptr<Registry> registry;
    std::unique_ptr<sim::TinyShard> shard;
    std::unique_ptr<sim::SimDisk> disk;
    std::unique_ptr<Journal> journal;
    std::unique_ptr<port::Scope> scope;  // of an opening that may be cut short
    Recovered recovered;
    Error refusal{Errc::Closed, ""};

    Model covered;            // by on_persisted
    std::vector<Op> pending;  // not covered yet, in order
    BatchId last_persisted;

    void boot() {
        shard = std::make_unique<sim::TinyShard>(prng.next());
        disk = std::make_unique<sim::SimDisk>(image, *shard, faults, prng.split());
        shard->use(*disk);
        registry = std::make_unique<Registry>();
        auto made = sim::run(*shard, disk->create_directories(options.directory));
        last_persisted = {};
    }
    // False: refused or (after `steps` turns) interrupted.
    bool open(uint64_t steps = UINT64_MAX) {
        boot();
        std::optional<Result<Opened>> result;
        scope = std::make_unique<port::Scope>(*shard);
        scope->spawn(
            "test.open",
            sim::deliver(journal::open(*shard, options, *registry, Log(sink, "journal")), &result));
        while (!result && steps-- > 0 && shard->step()) {
        }
        if (!result) {
            stop();
            return false;
        }
        if (!*result) {
            refusal = result->error();
            result.reset();
            stop();
            return false;
        }
        recovered = std::move((*result)->recovered);
        journal = std::move((*result)->journal);
        journal->set_observer(*this);
        return true;
    }
    // As if by kill -9; what is on disk is the image's business.
    void stop() {
        if (!shard) return;
        shard->set_crashed();
        scope.reset();
        journal.reset();
        disk.reset();
        shard.reset();
        image.kill();
    }
    sim::CrashLoss crash() {
        stop();
        return image.crash(prng);
    }
    bool step() { return shard->fatal_text().empty() && shard->step(); }
    // Everything appended so far becomes durable.
    bool settle() {
        shard->touch();
        while (!pending.empty())
            if (!step()) return false;
        return true;
    }
    // Until nothing is left to do but timers of more than a second.
    void settle_all(int turns = 200) {
        shard->touch();
        while (turns-- > 0 && step()) {
        }
    }
    bool close() {
        std::optional<bool> done;
        scope->spawn("test.close", finish(this, &done));
        while (!done && shard->step()) {
        }
        if (!done) return false;
        const bool healthy = shard->fatal_text().empty();
        journal.reset();
        stop();
        return healthy;
    }

    void append(GroupId group, std::vector<wire::Entry> entries) {
        for (const auto& entry : entries)
            note(Op::Kind::Entry, group).entry = entry;
        journal->append(group, entries);
        shard->touch();
    }
    void append(uint64_t group, uint64_t term, uint64_t index, std::string payload) {
        append(GroupId(group), {wire::make_entry(GroupId(group), Term(term), LogIndex(index),
                                                 wire::EntryKind::Effects, Bytes::copy(payload))});
    }
    void vote(uint64_t group, uint64_t term, uint64_t replica, uint64_t self = 0) {
        const Vote vote{Term(term), ReplicaId(replica), ReplicaId(self)};
        note(Op::Kind::Vote, GroupId(group)).vote = vote;
        journal->set_vote(GroupId(group), vote);
        shard->touch();
    }
    void purge(uint64_t group, uint64_t through) {
        if (through > staged()[GroupId(group)].purged)
            note(Op::Kind::Purge, GroupId(group)).at.index = LogIndex(through);
        journal->purge(GroupId(group), LogIndex(through));
        shard->touch();
    }
    void begin_install(uint64_t group, uint64_t index, uint64_t term) {
        const LogPlace at{LogIndex(index), Term(term)};
        note(Op::Kind::Begin, GroupId(group)).at = at;
        journal->begin_install(GroupId(group), at);
        shard->touch();
    }
    void installed(uint64_t group) {
        if (staged()[GroupId(group)].installing) note(Op::Kind::End, GroupId(group));
        journal->installed(GroupId(group));
        shard->touch();
    }
    void reset(uint64_t group, uint64_t index, uint64_t term) {
        const LogPlace at{LogIndex(index), Term(term)};
        note(Op::Kind::Reset, GroupId(group)).at = at;
        journal->reset(GroupId(group), at);
        shard->touch();
    }
    void remove(uint64_t group) {
        note(Op::Kind::Reset, GroupId(group));
        journal->remove(GroupId(group));
        shard->touch();
    }
    // The state after everything appended, durable or not.
    Model staged() const {
        Model model = covered;
        for (const Op& op : pending)
            op.apply(model);
        return model;
    }

    // J1 and J2: what was recovered is what was covered plus a prefix of the rest.
    bool explained() {
        const Model got = model_of(recovered);
        Model model = covered;
        for (size_t k = 0;; ++k) {
            Model compare = model;
            std::erase_if(compare, [](const auto& g) { return g.second == ModelGroup{}; });
            if (compare == got) {
                covered = std::move(model);
                pending.clear();
                return true;
            }
            if (k == pending.size()) return false;
            pending[k].apply(model);
        }
    }

    std::vector<std::string> segments() const {
        std::vector<std::string> all;
        for (const std::string& path : image.paths())
            if (path.ends_with(".journal")) all.push_back(path);
        return all;
    }

private:
    // Of the batch that is collecting.
    Op& note(Op::Kind kind, GroupId group) {
        return pending.emplace_back(
            Op{.kind = kind, .group = group, .batch = journal->current_batch()});
    }
    static port::Task<> finish(TestNode* self, std::optional<bool>* done) {
        co_await self->journal->close();
        *done = true;
    }
    void on_persisted(BatchId through) override {
        EXPECT_EQ(through, last_persisted.next()) << "batches are persisted one by one";
        last_persisted = through;
        size_t n = 0;
        while (n < pending.size() && pending[n].batch <= through)
            pending[n++].apply(covered);
        pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(n));
    }
};

inline Options small_options(uint64_t segment_bytes = 8192, uint64_t slice = 1024) {
    Options options;
    options.directory = "journal";
    options.cluster = ClusterId(7);
    options.node = NodeId(3);
    options.segment_bytes = segment_bytes;
    options.slice_bytes_max = slice;
    return options;
}

}  // namespace asterias::journal
