// When an answer leaves: a write's with its commit, a read's with a heartbeat round and the commit
// of what it saw.
#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {

Answer Replica::done(kv::Reply reply, LogIndex index) const {
    return {Answer::Kind::Done, parts_.surroundings.self(), core_->term(), index, std::move(reply)};
}

// A commit may come before the entry is applied here (a quorum of others was faster than this
// disk). Then the proposal stays, answered, until the session table knows its requests: one that is
// delivered again meanwhile must not look as if it had been overtaken.
void Replica::answer_committed() {
    const LogIndex commit = core_->commit();
    for (auto& p : proposed_) {
        if (p.index > commit) break;
        if (std::exchange(p.answered, true)) continue;
        for (auto& w : p.writes)
            parts_.surroundings.answer(config_.group, w.origin, done(w.reply, p.index));
    }
    const LogIndex known = MUTANT(replica_answered_forgotten) ? commit : applied_.index;
    while (!proposed_.empty() && proposed_.front().answered && proposed_.front().index <= known) {
        proposed_bytes_ -= proposed_.front().bytes;
        release(proposed_.front().reply_bytes);
        proposed_.pop_front();
    }
    while (!waiting_for_commit_.empty() && waiting_for_commit_.begin()->first <= commit) {
        auto node = waiting_for_commit_.extract(waiting_for_commit_.begin());
        release(node.mapped().reply.content_bytes());
        parts_.surroundings.answer(config_.group, node.mapped().origin,
                                   done(std::move(node.mapped().reply), node.key()));
    }
}

void Replica::confirm_read(uint64_t context) {
    confirm_spans(context);
    const auto it = reads_.find(context);
    if (it == reads_.end()) return;
    const LogIndex commit = core_->commit();
    for (auto& r : it->second) {
        if (r.depends_on <= commit) {
            release(r.reply.content_bytes());
            parts_.surroundings.answer(config_.group, r.origin,
                                       done(std::move(r.reply), r.depends_on));
        } else {
            const LogIndex at = r.depends_on;
            waiting_for_commit_.emplace(at, std::move(r));
        }
    }
    reads_.erase(it);
}

void Replica::refuse_read(uint64_t context) {
    refuse_spans(context);
    const auto it = reads_.find(context);
    if (it == reads_.end()) return;
    for (auto& r : it->second) {
        release(r.reply.content_bytes());
        parts_.surroundings.answer(config_.group, r.origin,
                                   {Answer::Kind::Lost, core_->leader(), term_seen_, {}, {}});
    }
    reads_.erase(it);
}

}  // namespace asterias::replica
