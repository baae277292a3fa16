#include "core/catalogue/catalogue.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/mutant.h"
#include "core/kv/record.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::catalogue {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kMove = 1, kForce = 2, kServed = 4;

// Next on the way in, and on the way out.
std::optional<State> next_of(State state) {
    switch (state) {
        case State::Founding:
            return State::Fencing;
        case State::Fencing:
            return State::Copying;
        case State::Copying:
            return State::Opening;
        case State::Opening:
            return State::Clearing;
        case State::Clearing:
            return State::Serving;
        case State::Closing:
            return State::Lifting;
        case State::Serving:
        case State::Lifting:
            break;
    }
    return std::nullopt;
}

Keyspace& in(Catalogue& catalogue, KeyspaceId id) {
    for (auto& k : catalogue.keyspaces)
        if (k.id == id) return k;
    CHECK(false, "a step is of a keyspace that the catalogue has");
    return catalogue.keyspaces.front();
}

Catalogue changed(const Catalogue& catalogue) {
    Catalogue next = catalogue;
    ++next.generation;
    return next;
}

bool plausible(const Catalogue& c) {
    if (c.keyspaces.empty() || c.keyspaces.front().id != kDefault ||
        c.keyspaces.front().name != "default" || c.keyspaces.front().state != State::Serving)
        return false;
    for (size_t i = 0; i < c.keyspaces.size(); ++i) {
        const Keyspace& k = c.keyspaces[i];
        if (k.id >= c.next || k.members.empty() || (i && k.id <= c.keyspaces[i - 1].id) ||
            (i && !check_name(k.name)))
            return false;
        for (size_t m = 0; m < k.members.size(); ++m)
            if (!k.members[m].node || (m && k.members[m].node <= k.members[m - 1].node))
                return false;
        for (size_t j = 0; j < i; ++j)
            if (c.keyspaces[j].name == k.name) return false;
    }
    return c.next.value <= kNumberMax;
}

Keyspace read_keyspace(wire::Reader& reader) {
    Keyspace k;
    k.id = KeyspaceId(reader.varint());
    k.name = reader.bytes().str();
    const uint8_t state = reader.u8();
    if (state < 1 || state > kLastState) reader.set_failed();
    k.state = static_cast<State>(state);
    const uint64_t copies = reader.varint();
    if (copies < 1 || copies > kCopiesMax) reader.set_failed();
    k.copies = static_cast<uint32_t>(copies);
    const uint8_t flags = reader.u8();
    if (flags > (kMove | kForce | kServed)) reader.set_failed();
    k.move = (flags & kMove) != 0;
    k.force = (flags & kForce) != 0;
    k.served = (flags & kServed) != 0;
    for (uint64_t n = reader.varint(); n > 0 && reader.ok(); --n) {
        const NodeId node(reader.varint());
        const uint64_t life = reader.varint();
        if (life > UINT32_MAX) reader.set_failed();
        k.members.push_back({node, static_cast<uint32_t>(life)});
    }
    return k;
}

}  // namespace

const Keyspace* Catalogue::find(std::string_view name) const {
    for (const auto& k : keyspaces)
        if (k.name == name) return &k;
    return nullptr;
}

const Keyspace* Catalogue::find(KeyspaceId id) const {
    for (const auto& k : keyspaces)
        if (k.id == id) return &k;
    return nullptr;
}

const Keyspace* Catalogue::of(GroupId group) const {
    for (const auto& k : keyspaces)
        if (k.group() == group) return &k;
    return nullptr;
}

bool Catalogue::unsettled() const {
    return std::ranges::any_of(keyspaces, [](const auto& k) { return k.state != State::Serving; });
}

bool Catalogue::moving() const {
    return std::ranges::any_of(keyspaces, [](const auto& k) {
        return k.state == State::Fencing || k.state == State::Copying ||
               k.state == State::Opening || k.state == State::Lifting;
    });
}

KeyspaceId keyspace_of(GroupId group) {
    return group.value < 2 ? kSystemKeyspace : KeyspaceId(group.value - 1);
}

Bytes record_key() { return kv::data_key(kSystemKeyspace, 0, kRecordKey); }

Bytes encode(const Catalogue& c) {
    wire::Writer out(64 + c.keyspaces.size() * 40);
    out.u8(kFormat).varint(c.generation).varint(c.next.value).varint(c.keyspaces.size());
    for (const auto& k : c.keyspaces) {
        out.varint(k.id.value).bytes(k.name).u8(static_cast<uint8_t>(k.state)).varint(k.copies);
        out.u8(static_cast<uint8_t>((k.move ? kMove : 0) | (k.force ? kForce : 0) |
                                    (k.served ? kServed : 0)));
        out.varint(k.members.size());
        for (const auto& m : k.members)
            out.varint(m.node.value).varint(m.life);
    }
    out.varint(c.refusals.size());
    for (const auto& r : c.refusals)
        out.varint(r.id.value).bytes(r.name).bytes(r.why);
    return out.take();
}

Result<Catalogue> decode_catalogue(const Bytes& bytes) {
    wire::Reader reader(bytes);
    const uint8_t format = reader.u8();
    if (reader.ok() && format != kFormat)
        return fail(Errc::Unsupported, "catalogue format " + std::to_string(format));
    Catalogue c;
    c.generation = reader.varint();
    c.next = KeyspaceId(reader.varint());
    const uint64_t keyspaces = reader.varint();
    if (keyspaces > kKeyspacesMax) reader.set_failed();
    for (uint64_t n = keyspaces; n > 0 && reader.ok(); --n)
        c.keyspaces.push_back(read_keyspace(reader));
    for (uint64_t n = reader.varint(); n > 0 && reader.ok(); --n) {
        Refusal r;
        r.id = KeyspaceId(reader.varint());
        r.name = reader.bytes().str();
        r.why = reader.bytes().str();
        c.refusals.push_back(std::move(r));
    }
    if (!reader.ok() || !reader.at_end() || !plausible(c)) return fail(Errc::Corrupt, "catalogue");
    return c;
}

Result<void> check_name(std::string_view name) {
    const auto odd = [](char c) {
        return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' &&
               c != '-' && c != '.';
    };
    if (name.empty() || name.size() > kNameBytesMax || name == "default" || name == "system" ||
        std::ranges::any_of(name, odd))
        return fail(Errc::InvalidArgument, "keyspace '" + std::string(name) + "': names are 1 to " +
                                               std::to_string(kNameBytesMax) +
                                               " letters, digits, '.', '_' or '-', not 'default' "
                                               "or 'system', and each is given once");
    return {};
}

Result<Catalogue> with(const Catalogue& catalogue, const Wish& wish) {
    if (auto fine = check_name(wish.name); !fine) return std::unexpected(fine.error());
    if (wish.copies < 1 || wish.copies > kCopiesMax)
        return fail(Errc::InvalidArgument,
                    "a keyspace has 1 to " + std::to_string(kCopiesMax) + " copies");
    if (wish.members.size() != wish.copies)
        return fail(Errc::InvalidArgument, std::to_string(wish.copies) + " copies need as many " +
                                               "nodes, and there are " +
                                               std::to_string(wish.members.size()) + " to take");
    if (const Keyspace* there = catalogue.find(wish.name))
        return fail(Errc::Conflict, "there is a keyspace " + wish.name + " already (" +
                                        std::string(word_of(there->state)) + ")");
    if (catalogue.keyspaces.size() >= kKeyspacesMax)
        return fail(Errc::Limit, "there are " + std::to_string(kKeyspacesMax) +
                                     " keyspaces, and no more can be made; drop one first");
    if (catalogue.next.value >= kNumberMax)
        return fail(Errc::Limit, "all numbers for keyspaces were given");
    Catalogue next = changed(catalogue);
    Keyspace made{next.next, wish.name, State::Founding, wish.copies,
                  wish.move, false,     wish.members,    false};
    std::ranges::sort(made.members, {}, &Birth::node);
    for (size_t i = 1; i < made.members.size(); ++i)
        if (made.members[i].node == made.members[i - 1].node)
            return fail(Errc::InvalidArgument,
                        "node " + to_string(made.members[i].node) + " is named twice");
    next.keyspaces.push_back(std::move(made));
    next.next = KeyspaceId(next.next.value + 1);
    return next;
}

Result<Catalogue> without(const Catalogue& catalogue, std::string_view name, bool force) {
    const Keyspace* there = catalogue.find(name);
    if (name == "default" || name == "system")
        return fail(Errc::InvalidArgument,
                    "keyspace " + std::string(name) + " is there as long as the cluster");
    if (!there) return fail(Errc::Conflict, "there is no keyspace " + std::string(name));
    Catalogue next = changed(catalogue);
    Keyspace& k = in(next, there->id);
    if (may_be_called_off(k)) {
        k.state = State::Lifting;
        return next;
    }
    switch (k.state) {
        case State::Serving:
            k.state = State::Closing;
            k.force = force;
            return next;
        case State::Founding:
        case State::Fencing:
        case State::Copying:
        case State::Opening:
        case State::Clearing:
            return fail(Errc::Conflict, "keyspace " + k.name +
                                            " is about to serve; drop it when it does "
                                            "(asterias keyspace list)");
        case State::Closing:
            if (force && !k.force) {
                k.force = true;
                return next;
            }
            break;
        case State::Lifting:
            break;
    }
    return fail(Errc::Conflict, "keyspace " + k.name + " is being dropped already");
}

bool may_be_called_off(const Keyspace& k) {
    switch (k.state) {
        case State::Founding:
        case State::Fencing:
        case State::Copying:
            return true;
        case State::Opening:  // no gateway leads there yet, but what served is nowhere else
            return !k.served || MUTANT(catalogue_reopened_called_off);
        default:
            return false;
    }
}

Catalogue advanced(const Catalogue& catalogue, KeyspaceId id) {
    Catalogue next = changed(catalogue);
    Keyspace& k = in(next, id);
    const auto state = next_of(k.state);
    CHECK(state.has_value(), "what serves or goes has no next state");
    k.state = *state;
    return next;
}

Catalogue refused(const Catalogue& catalogue, KeyspaceId id, std::string why) {
    Catalogue next = changed(catalogue);
    Keyspace& k = in(next, id);
    CHECK(k.state == State::Fencing || k.state == State::Closing,
          "only what somebody has just ordered is refused");
    k.served = k.state == State::Closing;
    k.state = k.served ? State::Opening : State::Lifting;
    next.refusals.push_back({k.id, k.name, std::move(why)});
    if (next.refusals.size() > kRefusalsKept) next.refusals.erase(next.refusals.begin());
    return next;
}

Catalogue gone(const Catalogue& catalogue, KeyspaceId id) {
    Catalogue next = changed(catalogue);
    CHECK(in(next, id).state == State::Lifting, "a keyspace goes when its prefix was given back");
    std::erase_if(next.keyspaces, [id](const auto& k) { return k.id == id; });
    return next;
}

std::vector<Birth> choose(const Catalogue& catalogue, std::vector<Birth> nodes, uint32_t copies) {
    std::map<NodeId, size_t> replicas;
    for (const auto& k : catalogue.keyspaces)
        for (const auto& m : k.members)
            ++replicas[m.node];
    std::ranges::sort(nodes, {},
                      [&](const Birth& b) { return std::pair(replicas[b.node], b.node); });
    if (nodes.size() > copies) nodes.resize(copies);
    std::ranges::sort(nodes, {}, &Birth::node);
    return nodes;
}

}  // namespace asterias::catalogue
