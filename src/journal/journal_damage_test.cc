// Damage at rest (D4, D6): every byte of every file, and every file. Opening either refuses by
// name, or what it returns is right.
#include <set>

#include <gtest/gtest.h>

#include "journal/journal_test_node.h"

namespace asterias::journal {
namespace {

// A journal of some segments with every kind of record, each batch settled before the next.
class Damage : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(node.open());
        history.push_back({});
        node.append(3, 1, 1, "cold");
        settle();
        for (uint64_t i = 1; i <= 20; ++i) {  // so that it is moved
            node.append(4, 1, i, std::string(200, 'g'));
            node.purge(4, i);
            settle();
            node.settle_all(5);
        }
        node.append(4, 1, 21, "holds what follows");
        for (uint64_t i = 1; i <= 20; ++i) {
            node.append(1 + i % 2, 1, (i + 1) / 2,
                        std::string(i % 5 * 150, static_cast<char>('a' + i)));
            if (i % 6 == 0) node.vote(1, i, 2, 5);
            if (i == 15) node.purge(1, 2);
            if (i == 16) node.begin_install(2, 30, 4);
            if (i == 17) node.installed(2);
            settle();
        }
        node.begin_install(1, 40, 4);
        settle();
        node.reset(1, 40, 4);
        settle();
        node.append(1, 4, 41, "behind the reset");
        settle();
        node.append(2, 2, 5, "supersedes");
        settle();
        node.remove(3);
        settle();
        node.settle_all();
        node.append(2, 2, 6, "the last");
        settle();
        node.crash();
        for (const std::string& path : node.image.paths())
            before[path] = *node.image.content(path);
        for (const std::string& file : node.segments())
            if (const uint64_t end = end_of(file); end > kSegmentHeaderBytes) used[file] = end;
        std::erase_if(used, [this](const auto& u) {
            return *parse_segment_name(u.first.substr(8)) < oldest;  // spare
        });
        ASSERT_GE(used.size(), 3u);
    }
    void settle() {
        for (const Op& op : node.pending) {
            history.push_back(history.back());
            op.apply(history.back());
        }
        ASSERT_TRUE(node.settle());
    }
    uint64_t end_of(const std::string& path) const {
        const Bytes content = *node.image.content(path);
        const auto header = decode_segment_header(content.span());
        SegmentReader reader(content.span().subspan(kSegmentHeaderBytes),
                             {header->sequence, kSegmentHeaderBytes}, header->life);
        while (auto record = reader.next()) {
            types.insert(record->header.type);
            oldest = std::max(oldest, record->header.oldest());
        }
        return reader.position().offset;
    }
    void restore() {
        node.stop();
        for (const std::string& path : node.image.paths())
            if (!before.contains(path)) node.image.erase(path);
        for (const auto& [path, content] : before)
            if (node.image.content(path) != content) node.image.put(path, content.view());
    }
    bool whole() const { return model_of(node.recovered) == without_empty(history.back()); }
    bool a_prefix() const {
        const Model got = model_of(node.recovered);
        return std::ranges::any_of(history,
                                   [&](const Model& m) { return without_empty(m) == got; });
    }
    static Model without_empty(Model model) {
        std::erase_if(model, [](const auto& g) { return g.second == ModelGroup{}; });
        return model;
    }
    // Refused as damage of that file.
    void expect_refusal(const std::string& file) {
        EXPECT_EQ(node.refusal.code, Errc::Corrupt) << node.refusal.describe();
        EXPECT_NE(node.refusal.context.find(file), std::string::npos) << node.refusal.describe();
    }

    TestNode node{3, small_options(2048, 256)};
    std::vector<Model> history;
    std::map<std::string, Bytes> before;
    std::map<std::string, uint64_t> used;  // file -> end of its records
    mutable std::set<RecordType> types;
    mutable uint64_t oldest = 0;
};

TEST_F(Damage, OfAnyByteIsRefusedByNameOrAnUnprovenTailAndNeverWrongEntries) {
    EXPECT_EQ(types.size(), 10u) << "there is every kind of record";
    uint64_t refused = 0, cut = 0, harmless = 0;
    for (const std::string& file : node.segments()) {
        const uint64_t size = node.image.content(file)->size();
        const bool newest = used.contains(file) && file == used.rbegin()->first;
        const uint64_t end = used.contains(file) ? used[file] : 0;
        const uint64_t proven = newest ? end - record_bytes(8) : end;
        for (uint64_t at = 0; at < size; at += at < end ? 1 : 13) {
            SCOPED_TRACE(file + " at " + std::to_string(at));
            ASSERT_TRUE(node.image.flip(file, at, static_cast<uint8_t>(1 << (at % 8))));
            if (!node.open()) {
                ++refused;
                expect_refusal(file);
                EXPECT_NE(node.refusal.context.find("offset "), std::string::npos);
                EXPECT_LT(at, end) << node.refusal.describe();
            } else if (at < end) {
                ++cut;
                EXPECT_GE(at, proven);
                EXPECT_TRUE(a_prefix());
            } else {
                ++harmless;
                EXPECT_TRUE(whole());
            }
            restore();
            if (HasFailure()) return;
        }
    }
    EXPECT_GT(refused, 3000u);
    EXPECT_GT(cut, 50u);
    EXPECT_GT(harmless, 300u);
}

TEST_F(Damage, OfAFileThatIsGoneOrCutShortIsRefusedByNameUnlessNothingWasInIt) {
    const auto files = node.segments();
    ASSERT_GT(files.size(), used.size() + 1) << "some are ready ahead";
    for (const std::string& file : files) {
        for (const uint64_t kept : {uint64_t{0}, uint64_t{1}, uint64_t{100}, uint64_t{511},
                                    uint64_t{512}, uint64_t{600}, uint64_t{2000}, uint64_t{4000}}) {
            SCOPED_TRACE(file + " cut to " + std::to_string(kept));
            if (kept >= before[file].size()) continue;
            ASSERT_TRUE(node.image.truncate(file, kept));
            const bool opened = node.open();
            EXPECT_FALSE(opened && used.contains(file));
            if (!opened)
                expect_refusal(file);
            else
                EXPECT_TRUE(whole()) << "nothing of it was needed";
            restore();
        }
        SCOPED_TRACE(file + " gone");
        node.image.erase(file);
        if (!node.open())
            expect_refusal(file);
        else
            EXPECT_TRUE(!used.contains(file) && whole()) << "nothing of it was needed";
        restore();
    }
}

TEST_F(Damage, OfASegmentThatIsAnOlderCopyOfItselfOrAnotherIsRefusedByName) {
    std::vector<std::string> files;
    for (const auto& [file, end] : used)
        files.push_back(file);
    for (const std::string& to : files)
        for (const std::string& from : files) {
            if (from == to) continue;
            SCOPED_TRACE(from + " in the place of " + to);
            node.image.put(to, before[from].view());
            EXPECT_FALSE(node.open());
            EXPECT_EQ(node.refusal.code, Errc::Corrupt) << node.refusal.describe();
            restore();
        }
    for (size_t i = 0; i + 1 < files.size(); ++i) {
        const std::string& file = files[i];  // as it was before its last record was written
        node.image.overwrite(file, used[file] - 8, std::string(8, '\xff'));
        EXPECT_FALSE(node.open());
        expect_refusal(file);
        restore();
    }
}

}  // namespace
}  // namespace asterias::journal
