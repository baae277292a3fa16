#include "core/raft/memberships.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::raft {
namespace {

// A member keeps its node for life, so that equal replicas are one member.
void sort_and_unite(std::vector<Member>& members) {
    const auto before = [](const Member& a, const Member& b) { return a.replica < b.replica; };
    const auto same = [](const Member& a, const Member& b) { return a.replica == b.replica; };
    std::sort(members.begin(), members.end(), before);
    members.erase(std::unique(members.begin(), members.end(), same), members.end());
}

}  // namespace

std::vector<Member> voting_members(const Membership& membership) {
    std::vector<Member> members = membership.voters;
    members.insert(members.end(), membership.outgoing.begin(), membership.outgoing.end());
    sort_and_unite(members);
    return members;
}

std::vector<Member> all_members(const Membership& membership) {
    std::vector<Member> members = voting_members(membership);
    members.insert(members.end(), membership.learners.begin(), membership.learners.end());
    sort_and_unite(members);
    return members;
}

Memberships::Memberships(At base) { stack_.push_back(std::move(base)); }

const Memberships::At& Memberships::as_of(LogIndex index) const {
    auto after = std::upper_bound(stack_.begin(), stack_.end(), index,
                                  [](LogIndex i, const At& at) { return i < at.index; });
    return after == stack_.begin() ? *after : *std::prev(after);
}

const Member* Memberships::find(ReplicaId replica) const {
    for (auto at = stack_.rbegin(); at != stack_.rend(); ++at)
        if (const Member* m = at->membership.find(replica)) return m;
    return nullptr;
}

bool Memberships::votes_since(LogIndex from, ReplicaId replica) const {
    const LogIndex first = as_of(from).index;
    return std::any_of(stack_.begin(), stack_.end(), [&](const At& at) {
        return at.index >= first && at.membership.votes(replica);
    });
}

std::vector<Member> Memberships::named(LogIndex from, LogIndex through) const {
    std::vector<Member> members;
    const LogIndex first = as_of(from).index;
    for (const At& at : stack_) {
        if (at.index < first || at.index > through) continue;
        const std::vector<Member> all = all_members(at.membership);
        members.insert(members.end(), all.begin(), all.end());
    }
    sort_and_unite(members);
    return members;
}

void Memberships::appended(LogIndex index, Membership membership) {
    CHECK(index > stack_.back().index, "a log grows at its end");
    stack_.push_back({index, std::move(membership)});
}

bool Memberships::truncated(LogIndex from) {
    const LogIndex before = index();
    if (MUTANT(raft_config_not_rolled_back)) return false;
    while (stack_.size() > 1 && stack_.back().index >= from)
        stack_.pop_back();
    return index() != before;
}

void Memberships::compacted(LogIndex start) {
    while (stack_.size() > 1 && stack_[1].index <= start)
        stack_.erase(stack_.begin());
}

void Memberships::installed(const SnapshotMeta& meta, bool keep_later) {
    std::vector<At> stack{{meta.membership_index, meta.membership}};
    for (At& at : stack_)
        if (keep_later && at.index > meta.index) stack.push_back(std::move(at));
    stack_ = std::move(stack);
}

}  // namespace asterias::raft
