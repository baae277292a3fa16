// What says who belongs to a cluster and to its groups, from whoever says it: memberships in the
// log and in the state, questions and answers of joiners, orders of operators, addresses. What is
// accepted can be written and is read again as the same.
#include <cstdlib>

#include "core/raft/types.h"
#include "service/node/join.h"
#include "service/node/orders.h"
#include "service/replica/state.h"

using namespace asterias;
using namespace asterias::node;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

void membership(const Bytes& data) {
    const auto m = raft::decode_membership(data);
    if (!m) return;
    require(*raft::decode_membership(raft::encode(*m)) == *m);
    require(!raft::describe(*m).empty() && !m->voters.empty());
    for (const auto& member : m->voters)
        require(m->votes(member.replica) && m->find(member.replica) && m->on(member.node));
}

void applied(const Bytes& data) {
    const auto a = replica::decode_applied(data);
    if (a) require(*replica::decode_applied(replica::encode(*a)) == *a);
}

void join(const Bytes& data) {
    if (const auto request = decode_join(data)) {
        const Bytes written = encode(*request);
        const auto same = decode_join(written);
        require(same && encode(*same).view() == written.view());
    }
    if (const auto joined = decode_joined(data)) {
        const Bytes written = encode(*joined);
        const auto same = decode_joined(written);
        require(same && same->founding == joined->founding &&
                encode(*same).view() == written.view());
    }
}

void order(const Bytes& data) {
    const auto o = decode_order(data);
    if (!o) return;
    require(*decode_order(encode(*o)) == *o);
    Founding founding;
    founding.expected = 2;
    for (uint64_t n : {1, 2})
        founding.members.push_back({NodeId(n), n, {"h", 1}, {"h", 2}});
    if (!check(*o, founding)) return;
    if (o->what != Order::What::List && o->what != Order::What::Transfer) (void)change_of(*o);
}

void address(const Bytes& data) {
    const auto a = port::Address::parse(data.view());
    if (a) require(!a->host.empty());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    constexpr void (*kParts[])(const Bytes&) = {membership, applied, join, order, address};
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    kParts[bytes[0] % std::size(kParts)](data);
    return 0;
}
