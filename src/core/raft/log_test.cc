#include "core/raft/log.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/prng.h"

namespace asterias::raft {
namespace {

Entry entry(Term term, LogIndex index) {
    return {term, index, EntryKind::Effects, 0, Bytes::copy(to_string(index))};
}

TEST(RaftLog, EqualsAPlainVectorUnderRandomUse) {
    Prng prng(5);
    Log log(LogIndex(0), Term(0), {});
    std::vector<Entry> model;  // with everything ever compacted
    uint64_t start = 0;
    Term term(1);
    for (int step = 0; step < 20'000; ++step) {
        const uint64_t kind = prng.below(100);
        if (kind < 85) {
            if (prng.chance(0.1)) term = term.next();
            model.push_back(entry(term, LogIndex(model.size() + 1)));
            log.append(model.back());
        } else if (kind < 93 && model.size() > start) {
            const uint64_t from = prng.between(start + 1, model.size());
            if (model.size() - from > 40) continue;
            log.truncate_from(LogIndex(from), LogIndex(start));
            model.resize(from - 1);
        } else if (model.size() > start) {
            start = prng.between(start, model.size());
            log.compact(LogIndex(start));
        }
        ASSERT_EQ(log.last().value, model.size());
        ASSERT_EQ(log.start().value, start);
        if (model.size() == start) continue;
        const uint64_t at = prng.between(start + 1, model.size());
        ASSERT_EQ(log.at(LogIndex(at)), model[at - 1]);
        uint64_t first = at;
        while (first - 1 > start && model[first - 2].term == model[at - 1].term)
            --first;
        if (start > 0 && first == start + 1 && model[start - 1].term == model[at - 1].term) --first;
        ASSERT_EQ(log.run_start(LogIndex(at)).value, first);
        uint64_t last = at;
        while (last < model.size() && model[last].term == model[at - 1].term)
            ++last;
        ASSERT_EQ(log.last_of_term(model[at - 1].term).value, last);
        ASSERT_FALSE(log.last_of_term(term.next()));
        std::vector<Entry> copy;
        log.copy(LogIndex(at), log.last(), copy);
        ASSERT_TRUE(std::equal(copy.begin(), copy.end(), model.begin() + static_cast<long>(at) - 1,
                               model.end()));
    }
}

TEST(RaftLog, RefusesGapsFallingTermsAndTruncatingWhatIsCommitted) {
    Log log(LogIndex(4), Term(2), {entry(Term(2), LogIndex(5)), entry(Term(3), LogIndex(6))});
    CheckTrap trap;
    EXPECT_THROW(log.append(entry(Term(3), LogIndex(8))), CheckFailed);
    EXPECT_THROW(log.append(entry(Term(2), LogIndex(7))), CheckFailed);
    EXPECT_THROW(log.truncate_from(LogIndex(5), LogIndex(5)), CheckFailed);
    EXPECT_THROW((void)log.term(LogIndex(3)), CheckFailed);
    EXPECT_TRUE(log.matches(LogIndex(4), Term(2)));
    EXPECT_FALSE(log.matches(LogIndex(7), Term(3)));
    EXPECT_EQ(log.run_start(LogIndex(5)), LogIndex(4));
}

}  // namespace
}  // namespace asterias::raft
