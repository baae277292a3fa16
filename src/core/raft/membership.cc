// Membership, the noun: who is in it, and its bytes (docs/formats/entry.md).
#include <algorithm>

#include "core/raft/types.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::raft {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kWitness = 1;  // a member's flags
constexpr size_t kMemberBytesMin = 3;

const Member* find_in(const std::vector<Member>& members, ReplicaId replica) {
    for (const Member& m : members)
        if (m.replica == replica) return &m;
    return nullptr;
}

const Member* find_on(const std::vector<Member>& members, NodeId node) {
    for (const Member& m : members)
        if (m.node == node) return &m;
    return nullptr;
}

void write_members(wire::Writer& out, const std::vector<Member>& members) {
    out.varint(members.size());
    for (const Member& m : members)
        out.varint(m.replica.value).varint(m.node.value).u8(m.witness ? kWitness : 0);
}

std::vector<Member> read_members(wire::Reader& in) {
    std::vector<Member> members;
    const uint64_t count = in.varint();
    if (count > in.remaining() / kMemberBytesMin) in.set_failed();
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
        Member m{ReplicaId(in.varint()), NodeId(in.varint()), false};
        const uint8_t flags = in.u8();
        if (flags > kWitness) in.set_failed();
        m.witness = flags == kWitness;
        members.push_back(m);
    }
    return members;
}

bool list_is_sound(const std::vector<Member>& members, ReplicaId last) {
    for (size_t i = 0; i < members.size(); ++i) {
        const Member& m = members[i];
        if (!m.replica || !m.node || m.replica > last) return false;
        if (i > 0 && members[i - 1].replica >= m.replica) return false;
    }
    return true;
}

// Of the members that stay, no two are on one node.
bool nodes_are_apart(const Membership& m) {
    std::vector<NodeId> nodes;
    for (const auto* list : {&m.voters, &m.learners})
        for (const Member& member : *list)
            nodes.push_back(member.node);
    std::sort(nodes.begin(), nodes.end());
    return std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end();
}

bool is_sound(const Membership& m) {
    if (m.voters.empty() || !nodes_are_apart(m)) return false;
    for (const auto* list : {&m.voters, &m.outgoing, &m.learners})
        if (!list_is_sound(*list, m.last_replica)) return false;
    for (const Member& learner : m.learners)
        if (m.votes(learner.replica)) return false;
    for (const Member& leaving : m.outgoing) {
        const Member* stays = find_in(m.voters, leaving.replica);
        if (stays && *stays != leaving) return false;
    }
    if (m.promote && (m.joint() || !find_in(m.learners, m.promote))) return false;
    return !m.retire || (m.promote && find_in(m.voters, m.retire));
}

std::string list_text(const char* name, const std::vector<Member>& members) {
    std::string text;
    for (const Member& m : members)
        text += " r" + to_string(m.replica) + "@n" + to_string(m.node) + (m.witness ? "w" : "");
    return text.empty() ? text : std::string(name) + text;
}

}  // namespace

const Member* Membership::find(ReplicaId replica) const {
    for (const auto* list : {&voters, &outgoing, &learners})
        if (const Member* m = find_in(*list, replica)) return m;
    return nullptr;
}

const Member* Membership::on(NodeId node) const {
    for (const auto* list : {&voters, &learners, &outgoing})
        if (const Member* m = find_on(*list, node)) return m;
    return nullptr;
}

bool Membership::votes(ReplicaId replica) const {
    return find_in(voters, replica) || find_in(outgoing, replica);
}

Bytes encode(const Membership& membership) {
    wire::Writer out;
    out.u8(kFormat);
    write_members(out, membership.voters);
    write_members(out, membership.outgoing);
    write_members(out, membership.learners);
    out.varint(membership.last_replica.value);
    out.varint(membership.promote.value).varint(membership.retire.value);
    return out.take();
}

Result<Membership> decode_membership(const Bytes& payload) {
    wire::Reader in(payload);
    const uint8_t format = in.u8();
    if (in.ok() && format != kFormat)
        return fail(Errc::Unsupported, "membership of format " + std::to_string(format));
    Membership m;
    m.voters = read_members(in);
    m.outgoing = read_members(in);
    m.learners = read_members(in);
    m.last_replica = ReplicaId(in.varint());
    m.promote = ReplicaId(in.varint());
    m.retire = ReplicaId(in.varint());
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "membership: its bytes");
    if (!is_sound(m)) return fail(Errc::Corrupt, "membership that cannot be: " + describe(m));
    return m;
}

std::string describe(const Membership& membership) {
    if (membership.voters.empty()) return "unknown";
    std::string text = list_text("voters", membership.voters);
    if (membership.joint()) text += list_text(", outgoing", membership.outgoing);
    text += list_text(", learners", membership.learners);
    if (membership.promote) text += ", promote r" + to_string(membership.promote);
    if (membership.retire) text += " for r" + to_string(membership.retire);
    return text;
}

}  // namespace asterias::raft
