// Batches, and random commands against a model that knows nothing of records, keys or engines.
#include <optional>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "core/kv/evaluate.h"
#include "core/kv/kv_test_store.h"

namespace asterias::kv {
namespace {

using S = Store;

TEST(Batch, EachCommandSeesThoseBeforeItAndAllIsOneWritePerKey) {
    Store s;
    s.run(S::make(Op::Set, {"gone"}, {"x"}));
    const Reply reply = s.run(S::batch({
        S::make(Op::Set, {"a"}, {"1"}),
        S::make(Op::IncrBy, {"a"}, {}, 0, 4),
        S::make(Op::Append, {"a"}, {"0"}),
        S::make(Op::Get, {"a"}),
        S::make(Op::Rename, {"a", "b"}),
        S::make(Op::Exists, {"a", "b", "gone"}),
        S::make(Op::Del, {"gone", "a"}),
        S::make(Op::MGet, {"a", "b", "gone"}),
    }));
    EXPECT_EQ(shown(reply), "[OK, 5, 2, 50, OK, 2, 1, [(nil), 50, (nil)]]");
    EXPECT_EQ(s.last_writes, 3u);
    EXPECT_EQ(shown(s.run(S::make(Op::Get, {"b"}))), "50");
    EXPECT_EQ(s.state.size(), 1u);
}

TEST(Batch, AnErrorDoesNotStopIt) {
    Store s;
    const Reply reply =
        s.run(S::batch({S::make(Op::Set, {"a"}, {"x"}), S::make(Op::IncrBy, {"a"}, {}, 0, 1),
                        S::make(Op::Append, {"a"}, {"y"})}));
    EXPECT_EQ(shown(reply), "[OK, (error) ERR value is not an integer or out of range, 2]");
    EXPECT_EQ(shown(s.run(S::make(Op::Get, {"a"}))), "xy");
}

TEST(Batch, AKeyThatMovedToAnotherGroupHasAnotherVersion) {
    const Record record{Type::String, HybridTime(1), LogIndex(5), 0, Bytes::literal("v")};
    const Command c = Store::make(Op::Version, {"k"});
    const auto told = [&](GroupId group) {
        Context context{1, HybridTime(1), LogIndex(9)};
        context.group = group;
        return evaluate(c, keys_read(c), {&record}, context).reply.items[0].integer;
    };
    EXPECT_NE(told(GroupId(2)), told(GroupId(3)));
    EXPECT_EQ(told(GroupId(3)), told(GroupId(3)));
}

TEST(Batch, NothingIsDoneOnceAWatchedVersionDiffers) {
    Store s;
    const auto version = [&s](const std::string& key) {
        return s.run(S::make(Op::Version, {key})).items[0].integer;
    };
    const auto run_if = [&s](int64_t expected) {
        return shown(s.run(S::batch(
            {S::make(Op::IfVersion, {"a"}, {}, 0, expected), S::make(Op::Set, {"b"}, {"x"})})));
    };
    EXPECT_EQ(version("a"), 0);
    EXPECT_EQ(run_if(0), "[OK]");
    s.run(S::make(Op::Set, {"a"}, {"1"}));
    EXPECT_EQ(run_if(0), "(nil)");
    EXPECT_EQ(s.last_writes, 0u);
    const int64_t first = version("a");
    EXPECT_EQ(run_if(first), "[OK]");
    s.run(S::make(Op::Set, {"a"}, {"1"}));
    EXPECT_EQ(run_if(first), "(nil)") << "the same value, written again";
    s.run(S::make(Op::ExpireAt, {"a"}, {}, 0, 5000));
    const int64_t dated = version("a");
    EXPECT_EQ(run_if(dated), "[OK]");
    s.now_ms = 5000;
    EXPECT_EQ(run_if(dated), "(nil)") << "its deadline passed in between";
    EXPECT_EQ(version("a"), 0);
    EXPECT_EQ(run_if(0), "[OK]");
}

TEST(Batch, DatabasesAreThoseOfItsCommandsAndTheKeyspaceIsItsOwn) {
    Store s;
    Command there = S::make(Op::Set, {"a"}, {"there"});
    there.database = 2;
    Command batch = S::batch({there, S::make(Op::Get, {"a"}), S::make(Op::Copy, {"a", "a"})});
    batch.batch[2].database = 2;
    batch.batch[2].number = 5;
    batch.keyspace = KeyspaceId(7);
    EXPECT_EQ(shown(s.run(batch)), "[OK, (nil), 1]");
    for (const uint16_t database : {uint16_t{2}, uint16_t{5}})
        EXPECT_TRUE(s.state.contains(data_key(KeyspaceId(7), database, "a")));
    EXPECT_EQ(s.state.size(), 2u);
}

TEST(Batch, ALimitIsThatOfTheWholeAndNothingIsDoneBeyondIt) {
    Store s;
    const std::string large(kValueBytesMax, 'x');
    std::vector<Command> sets(3, S::make(Op::Set, {"a"}, {large}));
    EXPECT_EQ(s.run(S::batch(sets)), Reply::error(kEffectsTooLong)) << "work counts, not the rest";
    EXPECT_TRUE(s.state.empty());
    s.run(sets[0]);
    std::vector<Command> gets(3, S::make(Op::Get, {"a"}));
    EXPECT_EQ(s.run(S::batch(gets)), Reply::error(kReplyTooLong));
    std::vector<std::string> keys(kKeysMax, "k");
    const Command most = S::make(Op::Exists, keys);
    EXPECT_EQ(s.run(S::batch({most})).kind, Reply::Kind::Array);
    EXPECT_EQ(s.run(S::batch({most, S::make(Op::Get, {"a"})})), Reply::error(kTooManyKeys));
}

TEST(Batch, IsAWriteAndGrowsIfOneOfItDoes) {
    const Command get = S::make(Op::Get, {"a"}), del = S::make(Op::Del, {"a"});
    const Command set = S::make(Op::Set, {"a"}, {"1"});
    EXPECT_FALSE(S::batch({get}).is_write());
    EXPECT_TRUE(S::batch({get, del}).is_write());
    EXPECT_FALSE(S::batch({get, del}).grows());
    EXPECT_TRUE(S::batch({del, set}).grows());
}

// ------------------------------------------------------------------------------------- the model

struct Held {
    std::string value;
    int64_t deadline = 0;
};

class Model {
public:
    int64_t now = 1000;

    std::string run(const Command& c) {
        if (c.op != Op::Batch) return one(c);
        std::string text;
        for (const auto& command : c.batch)
            text += (text.empty() ? "" : ", ") + one(command);
        return "[" + text + "]";
    }

private:
    using Key = std::pair<int64_t, std::string>;

    Held* at(const Command& c, size_t i, int64_t database) {
        const auto it = held_.find({database, c.keys[i].str()});
        if (it == held_.end()) return nullptr;
        if (!it->second.deadline || it->second.deadline > now) return &it->second;
        held_.erase(it);
        return nullptr;
    }
    Held* at(const Command& c, size_t i = 0) { return at(c, i, c.database); }
    void put(const Command& c, size_t i, Held held) {
        held_[{c.database, c.keys[i].str()}] = std::move(held);
    }
    void erase(const Command& c, size_t i = 0) { held_.erase({c.database, c.keys[i].str()}); }
    static std::string value_of(const Held* h) { return h ? h->value : "(nil)"; }

    std::string one(const Command& c) {
        Held* h = at(c);
        const auto has = [&c](uint16_t flag) { return (c.flags & flag) != 0; };
        switch (c.op) {
            case Op::Get:
                return value_of(h);
            case Op::Set: {
                std::string answer = has(flag::kGet) ? value_of(h) : "OK";
                if ((has(flag::kNx) && h) || (has(flag::kXx) && !h))
                    return has(flag::kGet) ? answer : "(nil)";
                const int64_t kept = has(flag::kKeepTtl) && h ? h->deadline : 0;
                put(c, 0, {c.values[0].str(), has(flag::kExpire) ? c.number : kept});
                return answer;
            }
            case Op::GetDel: {
                std::string answer = value_of(h);
                erase(c);
                return answer;
            }
            case Op::Append: {
                Held joined = h ? *h : Held{};
                joined.value += c.values[0].str();
                put(c, 0, joined);
                return std::to_string(joined.value.size());
            }
            case Op::SetRange: {
                Held joined = h ? *h : Held{};
                const std::string piece = c.values[0].str();
                const auto offset = static_cast<size_t>(c.number);
                if (!piece.empty()) {
                    joined.value.resize(std::max(joined.value.size(), offset + piece.size()));
                    joined.value.replace(offset, piece.size(), piece);
                    put(c, 0, joined);
                }
                return std::to_string(joined.value.size());
            }
            case Op::MSetNx:
                for (size_t i = 0; i < c.keys.size(); ++i)
                    if (at(c, i)) return "0";
                for (size_t i = 0; i < c.keys.size(); ++i)
                    put(c, i, {c.values[i].str()});
                return "1";
            case Op::Del:
            case Op::Exists: {
                int n = 0;
                for (size_t i = 0; i < c.keys.size(); ++i) {
                    n += at(c, i) != nullptr;
                    if (c.op == Op::Del) erase(c, i);
                }
                return std::to_string(n);
            }
            default:
                return moved(c, h);
        }
    }

    std::string moved(const Command& c, Held* h) {
        const bool nx = c.flags & flag::kNx;
        switch (c.op) {
            case Op::Rename: {
                if (!h) return "(error) ERR no such key";
                if (nx && at(c, 1)) return "0";
                const Held taken = *h;
                erase(c);
                put(c, 1, taken);
                return nx ? "1" : "OK";
            }
            case Op::Copy: {
                if (!h || (c.keys[0] == c.keys[1] && c.number == c.database)) return "0";
                if (!(c.flags & flag::kReplace) && at(c, 1, c.number)) return "0";
                const Held taken = *h;
                if (c.flags & flag::kTake) erase(c);
                held_[{c.number, c.keys[1].str()}] = taken;
                return "1";
            }
            case Op::ExpireAt: {
                if (!h) return "0";
                const bool later = !h->deadline || c.number <= h->deadline;
                const bool sooner = h->deadline && c.number >= h->deadline;
                if ((nx && h->deadline) || (c.flags & flag::kXx && !h->deadline) ||
                    (c.flags & flag::kGt && later) || (c.flags & flag::kLt && sooner))
                    return "0";
                h->deadline = c.number;
                return "1";
            }
            case Op::Persist:
                if (!h || !h->deadline) return "0";
                h->deadline = 0;
                return "1";
            case Op::Ttl:
                return std::to_string(!h ? -2 : !h->deadline ? -1 : h->deadline - now);
            default:
                ADD_FAILURE() << "not drawn";
                return "";
        }
    }

    std::map<Key, Held> held_;
};

class Draw {
public:
    explicit Draw(uint64_t seed) : prng_(seed) {}

    Command command(int64_t now) {
        static constexpr Op kOps[] = {
            Op::Get,    Op::Set,    Op::GetDel, Op::Append,   Op::SetRange, Op::MSetNx, Op::Del,
            Op::Exists, Op::Rename, Op::Copy,   Op::ExpireAt, Op::Persist,  Op::Ttl};
        Command c;
        c.op = kOps[prng_.below(std::size(kOps))];
        c.database = static_cast<uint16_t>(prng_.below(2));
        const auto& t = traits(c.op);
        const size_t keys =
            t.keys_most == OpTraits::kMany ? 1 + prng_.below(3) : size_t{t.keys_most};
        for (size_t i = 0; i < keys; ++i)
            c.keys.push_back(Bytes::copy(std::string(1, static_cast<char>('a' + prng_.below(4)))));
        for (size_t i = 0; i < (t.values == OpTraits::kMany ? keys : t.values); ++i)
            c.values.push_back(Bytes::copy(std::string(prng_.below(3), 'v')));
        const uint16_t any[] = {0, flag::kNx, flag::kXx, flag::kGt, flag::kLt};
        const uint16_t set[] = {
            0, flag::kNx, flag::kXx | flag::kGet, flag::kKeepTtl, flag::kExpire, flag::kGet};
        const uint16_t copy[] = {0, flag::kReplace, flag::kTake};
        if (c.op == Op::ExpireAt) c.flags = any[prng_.below(5)];
        if (c.op == Op::Rename) c.flags = any[prng_.below(2)];
        if (c.op == Op::Set) c.flags = set[prng_.below(6)];
        if (c.op == Op::Copy) c.flags = copy[prng_.below(3)];
        c.number = static_cast<int64_t>(prng_.below(2));  // a database, an offset
        if (c.op == Op::ExpireAt || c.op == Op::Set)
            c.number = now - 2 + static_cast<int64_t>(prng_.below(12));
        return c;
    }
    Command any(int64_t now) {
        if (!prng_.chance(0.2)) return command(now);
        std::vector<Command> commands(1 + prng_.below(8));
        for (auto& c : commands)
            c = command(now);
        return S::batch(std::move(commands));
    }
    int64_t pause() { return static_cast<int64_t>(prng_.below(3)); }

private:
    Prng prng_;
};

TEST(Model, RandomCommandsAndBatchesAnswerAsASimpleMapDoes) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Draw draw(seed);
        Store store;
        Model model;
        for (int step = 0; step < 1000; ++step) {
            model.now = store.now_ms += draw.pause();
            const Command c = draw.any(store.now_ms);
            ASSERT_EQ(shown(store.run(c)), model.run(c))
                << "seed " << seed << ", step " << step << ", op " << static_cast<int>(c.op);
        }
    }
}

}  // namespace
}  // namespace asterias::kv
