// What the keys of the command at the head of the queue hold: from the overlay, the engine's
// memory, or its disk.
#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
// Reads from disk under way for one command: nobody knows how large what they bring is.
constexpr size_t kFetchesMax = 16;
constexpr size_t kLookupWork = 1024;

bool is_data(const Bytes& key) { return key[0] == static_cast<uint8_t>(kv::Space::Data); }

// What the evaluation of a command keeps in memory of what is stored at a key.
struct Keeper {
    const kv::Command& command;
    const bool whole;
    size_t stored = 0;  // bytes, once it is known
    kv::Excerpt excerpt{};

    Keeper(const kv::Command& of, const Bytes& key)
        : command(of), whole(!is_data(key) || kv::reads_whole_values(of)) {}
    void keep(std::string_view value) {
        stored = value.size();
        excerpt = kv::excerpt(value, kv::part_read(command, kv::value_bytes(value)));
    }
    void keep(Bytes value) {
        if (!whole) return keep(value.view());
        stored = value.size();
        excerpt = {std::move(value)};
    }
};
}  // namespace

// All keys from the overlay and the engine's memory; or starts fetching what is not there and says
// no. It goes on where it stopped: each key is looked up once, however many have to be fetched.
// Values that exceed the limit on replies are dropped while they come. It also stops, for the next
// round, where the work of this one is done.
bool Replica::look_up(const kv::Command& command, Round& round) {
    if (!std::exchange(head_.begun, true)) {
        head_.keys = kv::keys_read(command);
        const auto& client = command.request.client;
        if (!client.empty()) head_.request_key = kv::request_key(command.keyspace, client.view());
        head_.found.reserve(head_.size());
    }
    for (const size_t i : std::exchange(head_.fetched_next, {})) {
        if (head_.too_long && i < head_.keys.size()) continue;
        const auto it = head_.fetched.find(head_.key(i));
        CHECK(it != head_.fetched.end(), "the head waits for all that it fetches");
        head_.found[i].value = it->second;
        count_value(command, i);
    }
    while (head_.found.size() < head_.size() && head_.fetched_next.size() < kFetchesMax) {
        if (round.work >= kRoundWorkMax && !MUTANT(replica_round_works_on)) break;
        const size_t i = head_.found.size();
        head_.found.emplace_back();
        if (head_.too_long && i < head_.keys.size()) continue;
        if (!look_up_one(command, i, round)) return false;
        count_value(command, i);
        if (head_.too_long && i < head_.keys.size()) head_.fetched_next.clear();
    }
    if (head_.fetched_next.empty()) return head_.found.size() == head_.size();
    fetch();
    return false;
}

void Replica::count_value(const kv::Command& command, size_t i) {
    const auto& value = head_.found[i].value;
    if (!value || i >= head_.keys.size() || !kv::traits(command.op).needs_values) return;
    head_.bytes += kv::reply_bytes(kv::value_bytes(value->bytes.view()));
    if (head_.bytes <= kv::kReplyBytesMax) return;
    head_.too_long = true;
    for (auto& seen : head_.found)
        seen.value.reset();
}

// False: the group stopped, and there is no head any more.
bool Replica::look_up_one(const kv::Command& command, size_t i, Round& round) {
    const Bytes& key = head_.key(i);
    round.work += kLookupWork;
    Lookup& slot = head_.found[i];
    if (const auto over = overlay_.find(key); over != overlay_.end()) {
        slot.depends_on = over->second.index;
        if (!over->second.value.empty()) slot.value = {over->second.value};
        return true;
    }
    if (slot.depends_on = flushed_at(key); slot.depends_on) return true;
    if (const auto it = head_.fetched.find(key); it != head_.fetched.end()) {
        slot.value = it->second;
        return true;
    }
    Keeper keeper(command, key);
    const auto take = [&keeper](std::string_view value) {
        keeper.keep(value);
        return Bytes();
    };
    auto got = keeper.whole ? parts_.engine.try_get(key.view())
                            : parts_.engine.try_get_part(key.view(), take);
    if (auto* value = std::get_if<Bytes>(&got)) {
        if (keeper.whole) keeper.keep(std::move(*value));
        // All of it: an engine may have to copy what its memory table has.
        round.work += keeper.stored;
        slot.value = std::move(keeper.excerpt);
    } else if (std::holds_alternative<port::WouldBlock>(got)) {
        head_.fetched_next.push_back(i);
    } else if (auto* error = std::get_if<Error>(&got)) {
        stop("the engine cannot read a key: " + error->describe());
        return false;
    }
    return true;
}

void Replica::fetch() {
    fetching_ += head_.fetched_next.size();
    for (const size_t i : head_.fetched_next)
        scope_.spawn("replica.fetch", fetch_task(head_.key(i), fetch_generation_));
}

// Sound because only the head of the queue fetches and nothing is evaluated meanwhile: a key
// without an overlay has no write on its way, so what the engine says stays true until the head is
// evaluated.
port::Task<> Replica::fetch_task(Bytes key, uint64_t generation) {
    auto got = co_await parts_.engine.get(parts_.shard, key);
    if (generation != fetch_generation_ || stopped_) co_return;
    --fetching_;
    if (!got) {
        stop("the engine cannot read a key: " + got.error().describe());
        co_return;
    }
    std::optional<kv::Excerpt>& slot = head_.fetched[key];
    if (*got) {
        Keeper keeper(queue_.front().command, key);
        keeper.keep(std::move(**got));
        slot = std::move(keeper.excerpt);
    }
    wake();
}

}  // namespace asterias::replica
