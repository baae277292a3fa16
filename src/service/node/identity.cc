#include "service/node/identity.h"

#include <algorithm>

#include "base/crc32c.h"
#include "wire/fields.h"

namespace asterias::node {
namespace {

constexpr uint8_t kFormat = 1;  // of a founding record
constexpr uint8_t kIdentityFormat = 4;
constexpr uint64_t kFirstKeyspaceGroup = 2;  // 1 is the system group
constexpr size_t kReplicas = 3;

void write_address(wire::Writer& out, const port::Address& a) { out.bytes(a.host).u16(a.port); }
port::Address read_address(wire::Reader& in) { return {in.bytes().str(), in.u16()}; }

Founding read_founding(wire::Reader& in) {
    Founding f;
    if (in.u8() != kFormat) in.set_failed();
    f.cluster = ClusterId(in.u64());
    f.cluster_incarnation = Incarnation(in.u32());
    f.expected = in.u32();
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n)
        f.members.push_back({NodeId(in.u64()), in.u64(), read_address(in), read_address(in)});
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n)
        f.keyspaces.push_back(in.bytes().str());
    // What follows from it asks for somebody, and for each once.
    if (f.expected == 0 || f.members.size() > f.expected) in.set_failed();
    for (size_t i = 0; i < f.members.size() && in.ok(); ++i)
        for (size_t k = 0; k <= i; ++k)
            if (!f.members[i].node || (k < i && f.members[i].node == f.members[k].node))
                in.set_failed();
    return f;
}

void write_founding(wire::Writer& out, const Founding& f) {
    out.u8(kFormat).u64(f.cluster.value).u32(static_cast<uint32_t>(f.cluster_incarnation.value));
    out.u32(f.expected).varint(f.members.size());
    for (const auto& m : f.members) {
        out.u64(m.node.value).u64(m.nonce);
        write_address(out, m.peer_address);
        write_address(out, m.door_address);
    }
    out.varint(f.keyspaces.size());
    for (const auto& k : f.keyspaces)
        out.bytes(k);
}

}  // namespace

Bytes encode(const Founding& founding) {
    wire::Writer out(256);
    write_founding(out, founding);
    return out.take();
}

Result<Founding> decode_founding(const Bytes& bytes) {
    wire::Reader in(bytes);
    Founding f = read_founding(in);
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "founding record");
    return f;
}

Bytes encode(const Identity& identity) {
    wire::Writer body(256);
    body.u64(identity.node.value).u64(identity.incarnation.value).u64(identity.nonce);
    body.u32(identity.shards).u8(identity.born);
    write_founding(body, identity.founding);
    body.varint(identity.earlier.size());
    for (Incarnation start : identity.earlier)
        body.u64(start.value);
    body.varint(identity.seen.size());
    for (const auto& [node, start] : identity.seen)
        body.u64(node.value).u64(start.value);
    body.bytes(identity.fenced);
    body.varint(identity.held.size());
    for (const auto& [group, replica] : identity.held)
        body.u64(group.value).u64(replica.value);
    wire::Writer out(body.size() + 16);
    out.raw("ASTERIAS").u8(kIdentityFormat).u32(crc32c(body.view())).raw(body.view());
    return out.take();
}

Result<Identity> decode_identity(const Bytes& bytes) {
    wire::Reader in(bytes);
    if (in.raw(8).view() != "ASTERIAS") return fail(Errc::Corrupt, "identity: no magic");
    const uint8_t format = in.u8();
    if (format != kIdentityFormat)
        return fail(Errc::Unsupported, "identity: format " + std::to_string(format));
    const uint32_t crc = in.u32();
    if (!in.ok() || crc32c(bytes.view().substr(in.position())) != crc)
        return fail(Errc::Corrupt, "identity: checksum");
    Identity id;
    id.node = NodeId(in.u64());
    id.incarnation = Incarnation(in.u64());
    id.nonce = in.u64();
    id.shards = in.u32();
    id.born = in.u8() != 0;
    id.founding = read_founding(in);
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n)
        id.earlier.push_back(Incarnation(in.u64()));
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        const NodeId node(in.u64());
        if (!id.seen.emplace(node, Incarnation(in.u64())).second) in.set_failed();
    }
    id.fenced = in.bytes().str();
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        const GroupId group(in.u64());
        if (!id.held.emplace(group, ReplicaId(in.u64())).second) in.set_failed();
    }
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "identity: body");
    return id;
}

port::Task<Result<Identity>> load_identity(port::Disk& disk, std::string directory) {
    const std::string path = directory + "/" + std::string(kIdentityFile);
    auto bytes = co_await port::read_file(disk, path);
    if (!bytes) co_return std::unexpected(bytes.error());
    auto identity = decode_identity(*bytes);
    if (!identity) identity.error().context += " (" + path + ")";
    co_return identity;
}

port::Task<Result<void>> store_identity(port::Disk& disk, std::string directory,
                                        Identity identity) {
    co_return co_await port::replace_file(disk, directory, std::string(kIdentityFile),
                                          encode(identity));
}

namespace {

size_t digits_at(std::string_view text, size_t at) {
    size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9')
        ++end;
    return end - at;
}

// "10.0.0.9" before "10.0.0.10": runs of digits by value.
bool host_less(std::string_view a, std::string_view b) {
    while (!a.empty() && !b.empty()) {
        const size_t n = digits_at(a, 0), m = digits_at(b, 0);
        if (n != m && n > 0 && m > 0) return n < m;
        const size_t step = n > 0 && m > 0 ? n : 1;
        if (a.substr(0, step) != b.substr(0, step)) return a.substr(0, step) < b.substr(0, step);
        a.remove_prefix(step);
        b.remove_prefix(step);
    }
    return a.size() < b.size();
}

}  // namespace

void number_members(std::vector<FoundingMember>& members) {
    if (members.empty()) return;
    std::sort(members.begin() + 1, members.end(), [](const auto& a, const auto& b) {
        if (a.peer_address.host == b.peer_address.host)
            return a.peer_address.port < b.peer_address.port;
        return host_less(a.peer_address.host, b.peer_address.host);
    });
    for (size_t i = 0; i < members.size(); ++i)
        members[i].node = NodeId(i + 1);
}

router::Catalogue catalogue_of(const Founding& founding) {
    router::Catalogue c;
    uint64_t n = 0;
    c.keyspaces.push_back({KeyspaceId(1), "default", GroupId(kFirstKeyspaceGroup)});
    for (const auto& name : founding.keyspaces) {
        ++n;
        c.keyspaces.push_back({KeyspaceId(1 + n), name, GroupId(kFirstKeyspaceGroup + n)});
    }
    return c;
}

std::string keyspace_name(const router::Catalogue& catalogue, GroupId group) {
    if (group == kSystemGroup) return "system";
    for (const auto& k : catalogue.keyspaces)
        if (k.group == group) return k.name;
    return "";
}

std::vector<GroupId> groups_of(const Founding& founding) {
    std::vector<GroupId> groups{kSystemGroup};
    for (const auto& k : catalogue_of(founding).keyspaces)
        groups.push_back(k.group);
    return groups;
}

std::vector<NodeId> members_of(const Founding& founding, GroupId group) {
    std::vector<NodeId> nodes;
    const size_t all = founding.members.size();
    const size_t n = group == kSystemGroup ? all : std::min(all, kReplicas);
    for (size_t i = 0; i < n; ++i)
        nodes.push_back(founding.members[(group.value + i) % all].node);
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

}  // namespace asterias::node
