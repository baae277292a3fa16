// Damage at rest (D4): bytes of every file of a database, and every file. Opening refuses, or reads
// report it, or nothing of it was needed: never another value, and never the end of the process.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <future>
#include <mutex>

#include <gtest/gtest.h>

#include "engine/conformance/test_shard.h"
#include "engine/rocks/rocks_fault_fs_internal.h"
#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

Bytes b(std::string_view text) { return Bytes::copy(text); }

char under_test[256];
void name_the_place(int) { std::fprintf(stderr, "aborted by damage of %s\n", under_test); }

class RocksDamage : public ::testing::Test {
protected:
    RocksDamage() : fs_(std::make_shared<FaultFs>(Prng(1))), env_(make_fault_env(fs_)) {}

    Result<std::unique_ptr<port::Engine>> open() {
        return open_rocks_with({.directory = "/db",
                                .write_buffer_bytes = 64 * 1024,
                                .block_cache_bytes = 64 * 1024,
                                .read_threads = 1},
                               {.env = env_.get(), .space_retry = microseconds(200), .news = {}});
    }
    void SetUp() override {
        std::signal(SIGABRT, name_the_place);
        auto engine = open();
        ASSERT_TRUE(engine);
        port::EngineBatch batch;
        State state;
        for (int i = 0; i < 60; ++i) {
            const std::string key = "k" + std::to_string(i);
            batch.put(b(key), b("value of " + key));
            state[key] = "value of " + key;
        }
        state["x/old"] = "replaced";
        history_.push_back(state);
        batch.put(b("x/old"), b("replaced"));
        ASSERT_TRUE((*engine)->write(batch));
        TestShard shard;
        ASSERT_TRUE(shard.install(**engine, {{b("x/"), b("x0")}},
                                  {{b("x/1"), b("installed")}, {b("x/2"), b("installed")}}));
        state.erase("x/old");
        state["x/1"] = state["x/2"] = "installed";
        history_.push_back(state);
        engine->reset();
        before_ = fs_->files();
    }
    void restore() {
        for (const auto& [name, content] : fs_->files())
            if (!before_.contains(name)) fs_->remove(name);
        for (const auto& [name, content] : before_)
            fs_->put(name, content);
    }
    enum class Outcome { Refused, Reported, Older, Harmless };
    // What became of the database as it lies there.
    Outcome outcome() {
        auto engine = open();
        if (!engine) return Outcome::Refused;
        auto snapshot = (*engine)->snapshot();
        State found;
        bool reported = false;
        for (const auto& [key, value] : history_.back()) {
            auto got = snapshot->get(key);
            reported = reported || !got;
            if (got && *got) found[key] = (**got).str();
        }
        auto all = snapshot->scan("", "", {});
        reported = reported || !all;
        if (all)
            for (const auto& [key, value] : *all)
                found[key.str()] = value.str();
        if (reported) {
            for (const auto& [key, value] : found)
                EXPECT_EQ(history_.back()[key], value) << key;
            return Outcome::Reported;
        }
        if (found == history_.back()) return Outcome::Harmless;
        EXPECT_TRUE(std::ranges::find(history_, found) != history_.end());
        return Outcome::Older;
    }

    using State = std::map<std::string, std::string>;
    std::shared_ptr<FaultFs> fs_;
    std::unique_ptr<rocksdb::Env> env_;
    std::vector<State> history_{{}};  // after each durable step
    std::map<std::string, std::string> before_;
};

TEST_F(RocksDamage, of_any_byte_is_refused_or_reported_or_of_no_meaning) {
    int count[4] = {};
    for (const auto& [name, content] : before_) {
        // RocksDB reads its options back for nothing.
        const size_t step = name.find("/OPTIONS-") != name.npos ? 50 : 1;
        for (size_t at = 0; at < content.size(); at += step) {
            // The top bit of zeros, too: assertions were seen to read it.
            const bool meta = name.ends_with(".sst") && at + 1000 > content.size();
            const size_t bits = meta && content[at] == 0 ? 2 : 1;
            for (size_t i = 0; i < bits; ++i) {
                const int bit = i == 0 ? static_cast<int>(at % 8) : 7;
                std::snprintf(under_test, sizeof under_test, "%s at %zu of %zu, bit %d",
                              name.c_str(), at, content.size(), bit);
                SCOPED_TRACE(under_test);
                std::string damaged = content;
                damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
                fs_->put(name, damaged);
                const Outcome seen = outcome();
                ++count[static_cast<int>(seen)];
                // A manifest that seems torn in the middle of a record ends there.
                EXPECT_TRUE(seen != Outcome::Older || name.find("/MANIFEST-") != name.npos);
                restore();
                if (HasFailure()) return;
            }
        }
    }
    std::printf("refused %d, reported %d, older %d, harmless %d\n", count[0], count[1], count[2],
                count[3]);
    EXPECT_GT(count[0], 50);
    EXPECT_GT(count[1], 50);
}

TEST_F(RocksDamage, of_a_file_that_is_gone_or_cut_short_is_refused_or_reported) {
    for (const auto& [name, content] : before_) {
        const bool needed = !name.ends_with("/LOCK") && !name.ends_with("/IDENTITY") &&
                            !name.ends_with(".log") && name.find("/OPTIONS-") == name.npos;
        SCOPED_TRACE(name);
        std::snprintf(under_test, sizeof under_test, "%s", name.c_str());
        for (const size_t kept : {size_t{0}, content.size() / 2, content.size() - 1}) {
            if (content.empty()) break;
            fs_->put(name, content.substr(0, kept));
            EXPECT_FALSE(outcome() == Outcome::Harmless && needed) << kept;
            restore();
        }
        fs_->remove(name);
        EXPECT_FALSE(outcome() == Outcome::Harmless && needed);
        restore();
    }
}

TEST_F(RocksDamage, that_a_compaction_reads_is_told_with_the_name_of_the_file) {
    std::string table;
    for (const auto& [name, content] : fs_->files())
        if (name.ends_with(".sst") && content.find("value of") != content.npos) table = name;
    ASSERT_FALSE(table.empty());
    std::string damaged = before_[table];
    damaged[5] = static_cast<char>(damaged[5] ^ 1);
    fs_->put(table, damaged);
    const std::string value(500, 'v');
    std::promise<Error> told;
    RocksOptions options{.directory = "/db", .write_buffer_bytes = 64 * 1024, .read_threads = 1};
    options.on_damage = [&told, once = std::make_shared<std::once_flag>()](const Error& error) {
        std::call_once(*once, [&] { told.set_value(error); });
    };
    auto engine =
        open_rocks_with(options, {.env = env_.get(), .space_retry = microseconds(200), .news = {}});
    ASSERT_TRUE(engine);
    auto damage = told.get_future();
    for (int round = 0; round < 10'000; ++round) {
        if (damage.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready) break;
        port::EngineBatch batch;  // over the keys of the damaged table
        for (int i = 0; i < 60; ++i)
            batch.put(b("k" + std::to_string(i)), b(value));
        if ((*engine)->write(batch)) (*engine)->request_flush();
    }
    ASSERT_EQ(damage.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    const Error error = damage.get();
    EXPECT_EQ(error.code, Errc::Corrupt);
    EXPECT_NE(error.context.find(table), std::string::npos) << error.context;
}

}  // namespace
}  // namespace asterias::engine
