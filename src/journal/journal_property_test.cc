// J1-J3 under random work and random crashes, over many seeds. SEEDS=n and SEED=s in the
// environment choose how many and which first.
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/mutant.h"
#include "journal/journal_test_node.h"

namespace asterias::journal {
namespace {

#ifdef ASTERIAS_MUTANTS
// MUTANT=name plants that bug: at least one test of this binary must then fail.
class ChosenMutant final : public ::testing::Environment {
    void SetUp() override {
        if (const char* name = std::getenv("MUTANT")) set_mutant(name);
    }
};
[[maybe_unused]] const auto* const kChosenMutant =
    ::testing::AddGlobalTestEnvironment(new ChosenMutant);
#endif

uint64_t number_from(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Seen {
    uint64_t crashes = 0, lossy = 0, torn = 0, moved = 0, recycled = 0, fatal = 0, cut_opens = 0;
};

class Workload {
public:
    Workload(uint64_t seed, Seen& seen) : prng_(seed), seen_(seen), node_(prng_.next(), options()) {
        node_.faults.write_latency = {microseconds(0), microseconds(prng_.below(500))};
        node_.faults.sync_latency = {microseconds(0), microseconds(prng_.below(500))};
        if (prng_.chance(0.3)) node_.faults.sync_error = 0.01;
        if (prng_.chance(0.3)) node_.faults.write_error = 0.01;
        groups_ = prng_.between(1, 4);
        payload_max_ = prng_.chance(0.3) ? 40 : prng_.between(1, 3) * node_.options.slice_bytes_max;
        uniform_ = prng_.chance(0.4);
        purge_rate_ = prng_.unit() * 0.3;
        replace_rate_ = prng_.chance(0.5) ? 0 : prng_.unit() * 0.2;
        crash_rate_ = prng_.chance(0.5) ? 0.02 : 0.1;
    }

    void run(int steps) {
        reopen();
        for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
            const uint64_t ops = prng_.below(4);
            for (uint64_t k = 0; k < ops; ++k)
                work();
            for (uint64_t turns = prng_.below(4); turns > 0 && node_.step(); --turns) {
            }
            if (!node_.shard->fatal_text().empty()) {
                ++seen_.fatal;
                go_down(false);
                reopen();
            } else if (prng_.chance(crash_rate_)) {
                go_down(prng_.chance(0.15));
                reopen();
            }
        }
        if (::testing::Test::HasFailure()) return;
        node_.crash();
        reopen();
    }

private:
    Options options() {
        const uint64_t slice = prng_.chance(0.2) ? 8192 : prng_.between(2, 16) * 64;
        return small_options(prng_.between(2, 6) * 2048 + 4 * slice, slice);
    }

    std::string payload() {
        size_t bytes = uniform_ ? 24 : prng_.below(payload_max_ + 1);
        if (prng_.chance(0.005)) bytes = node_.options.segment_bytes * 2;
        std::string text(bytes, '\0');
        for (char& c : text)
            c = static_cast<char>(prng_.next());
        return text;
    }

    void work() {
        const uint64_t group = 1 + prng_.below(groups_);
        const Model model = node_.staged();
        auto found = model.find(GroupId(group));
        const ModelGroup g = found == model.end() ? ModelGroup{} : found->second;
        const bool cold = group == 2 && g.entries.size() > 3;
        if (prng_.chance(0.1)) {
            node_.vote(group, ++term_, 1 + prng_.below(3), prng_.below(3));
        } else if (prng_.chance(replace_rate_)) {
            replace(group, g);
        } else if (prng_.chance(purge_rate_) && !cold) {
            node_.purge(group, prng_.chance(0.05) ? g.last + prng_.below(5)
                                                  : g.purged + prng_.below(g.last - g.purged + 1));
        } else if (!cold) {
            uint64_t at = g.last + 1;
            if (prng_.chance(0.1)) at = g.purged + 1 + prng_.below(g.last - g.purged + 1);
            if (prng_.chance(0.2)) ++term_;
            std::vector<wire::Entry> entries;
            for (uint64_t n = prng_.between(1, 3); n > 0; --n)
                entries.push_back(wire::make_entry(GroupId(group), Term(term_), LogIndex(at++),
                                                   wire::EntryKind::Effects,
                                                   Bytes::copy(payload())));
            node_.append(GroupId(group), std::move(entries));
        }
    }

    // Installs of snapshots, and replicas that go and come.
    void replace(uint64_t group, const ModelGroup& g) {
        const uint64_t at = g.purged + 1 + prng_.below(g.last - g.purged + 5);
        switch (prng_.below(5)) {
            case 0:
                return node_.begin_install(group, at, term_);
            case 1:
                return node_.installed(group);
            case 2:  // as an install that ended; at times behind what was installed before
                return node_.reset(group, prng_.chance(0.2) ? 1 + prng_.below(at) : at, term_);
            case 3:
                return node_.reset(group, 0, 0);
            default:
                return node_.remove(group);
        }
    }

    void go_down(bool cleanly) {
        const std::string moved = node_.registry->print();
        const size_t at = moved.find("asterias_journal_moved_total{");
        if (at != std::string::npos)
            seen_.moved += std::strtoull(moved.c_str() + moved.find(' ', at), nullptr, 10);
        if (cleanly && node_.close()) {
            EXPECT_TRUE(node_.pending.empty()) << "close() writes out what was collected";
            return;
        }
        ++seen_.crashes;
        node_.stop();
        if (prng_.chance(0.3))
            node_.stop();
        else
            seen_.lossy += node_.crash().writes > 0;
    }

    void reopen() {
        for (int tries = 0; tries < 100; ++tries) {
            if (prng_.chance(0.1)) {  // a crash during recovery
                const bool opened = node_.open(prng_.below(30));
                if (opened) break;
                ++seen_.cut_opens;
                if (prng_.chance(0.5)) node_.image.crash(prng_);
                continue;
            }
            if (node_.open()) break;
            ASSERT_EQ(node_.refusal.code, Errc::Io) << node_.refusal.describe();
            node_.crash();
        }
        ASSERT_TRUE(node_.journal);
        seen_.torn += node_.recovered.torn_tail;
        ASSERT_TRUE(node_.explained()) << "what was recovered is no prefix of what was appended";
    }

    Prng prng_;
    Seen& seen_;
    TestNode node_;
    uint64_t groups_, payload_max_, term_ = 1;
    bool uniform_;
    double purge_rate_, replace_rate_, crash_rate_;
};

TEST(JournalProperty, WhatWasPersistedComesBackAndTheRestIsAPrefix) {
    const uint64_t first = number_from("SEED", 1), count = number_from("SEEDS", 1000);
    Seen seen;
    for (uint64_t seed = first; seed < first + count; ++seed) {
        SCOPED_TRACE("SEED=" + std::to_string(seed));
        Workload(seed, seen).run(150);
        if (HasFailure()) return;
    }
    if (count < 1000) return;
    // The sweep meets what it is there for.
    EXPECT_GT(seen.lossy, 1000u);
    EXPECT_GT(seen.torn, 100u);
    EXPECT_GT(seen.moved, 100u);
    EXPECT_GT(seen.fatal, 100u);
    EXPECT_GT(seen.cut_opens, 100u);
}

}  // namespace
}  // namespace asterias::journal
