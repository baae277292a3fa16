// What decides a core's future, as bytes (Core::fingerprint): for exploration.
//
// Left out, and why two cores that differ in it behave alike:
//   - The times themselves: only differences from the present are in, each cut off at the bound
//     beyond which nothing asks how long ago it was. Deadlines are in as the number of heartbeat
//     intervals until they have passed. So the driver must move time by whole heartbeat intervals,
//     and election_timeout_min be a multiple of one.
//   - The state of the Prng: what it draws are election timeouts (the driver sets both bounds
//   equal)
//     and the wait after a closed connection (at most 50 ms: one heartbeat interval, if that is not
//     shorter).
//   - The numbers of writes: only their distance to the last one given is in. The driver completes
//     writes in order, so it can say no more either.
//   - The order within tallies and held-back messages, and how often the same is held back: nothing
//     depends on it but the order and number of messages in one output. The network must be taken
//     to keep no order and to double messages.
//   - The configuration (but for the membership): it never changes.
//   - Counters that are only looked at.
//   - What only leases and quiet groups use: both have to be off.
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

class Fingerprint {
public:
    explicit Fingerprint(const Core::Impl& core) : core_(core) {}

    std::string bytes() {
        log();
        durability();
        memberships();
        installing();
        number(core_.term.value);
        number(core_.vote.value);
        number(core_.leader.value);
        age(core_.heard_leader);
        deadline(core_.election_deadline);
        number(core_.quiet);
        age(core_.disk_moved);
        number(core_.slow_writes);
        age(core_.stalled_since);
        number(core_.passed_over);
        number(core_.commit.value);
        number(core_.given.value);
        number(core_.applied_index.value);
        held();
        forwarded_reads();
        number(core_.matched.value);
        number(core_.acknowledged.value);
        number(core_.ack_is_due);
        role();
        return std::move(bytes_);
    }

private:
    void number(uint64_t n) {
        while (n >= 0x80) {
            bytes_ += static_cast<char>(n | 0x80);
            n >>= 7;
        }
        bytes_ += static_cast<char>(n);
    }
    void text(std::string_view t) {
        number(t.size());
        bytes_ += t;
    }
    void age(Instant since) {
        const Duration cut = std::max(core_.config.election_timeout_min, Duration(1));
        number(static_cast<uint64_t>(std::clamp(core_.clock - since, Duration(0), cut).count()));
    }
    void age(const std::optional<Instant>& since) {
        number(since.has_value());
        if (since) age(*since);
    }
    void deadline(Instant at) {
        const Duration step = core_.config.heartbeat_interval;
        const Duration left = std::max(at - core_.clock, Duration(1));
        number(static_cast<uint64_t>((left + step - Duration(1)) / step));
    }

    void log() {
        const Log& log = core_.log;
        number(log.start().value);
        number(log.term(log.start()).value);
        number(log.last().value);
        for (LogIndex i = log.start().next(); i <= log.last(); i = i.next()) {
            const Entry& e = log.at(i);
            number(e.term.value);
            number(static_cast<uint64_t>(e.kind));
            number(e.crc);
            text(e.payload.view());
        }
    }

    void durability() {
        const Durability& d = core_.durability;
        number(d.in_flight_.size());
        for (const auto& write : d.in_flight_) {
            number(d.issued_.value - write.id.value);
            number(write.hard_state);
            number(write.last.value);
        }
        number(d.index_.value);
        number(d.unsaved_from_.value);
        number(d.hard_state_dirty_);
    }

    void memberships() {
        number(core_.memberships.stack_.size());
        for (const Memberships::At& at : core_.memberships.stack_) {
            number(at.index.value);
            text(at.membership.voters.empty() ? "" : encode(at.membership).view());
        }
    }

    void installing() {
        number(core_.removed);
        number(core_.installing.has_value());
        if (!core_.installing) return;
        number(core_.installing->index.value);
        number(core_.installing->term.value);
        number(core_.installing->membership_index.value);
        text(encode(core_.installing->membership).view());
    }

    void forwarded_reads() {
        number(core_.reads_forwarded.size());
        for (const auto& read : core_.reads_forwarded) {
            number(read.context);
            age(read.asked);
            number(read.index.value);
        }
    }

    void held() {
        std::vector<std::string> lines;
        for (const Message& m : core_.held)
            lines.push_back(describe(m));
        std::sort(lines.begin(), lines.end());
        lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
        number(lines.size());
        for (const std::string& line : lines)
            text(line);
    }

    void tally(const Tally& t) {
        for (std::vector<ReplicaId> voters : {t.granted, t.refused}) {
            std::sort(voters.begin(), voters.end());
            number(voters.size());
            for (const ReplicaId voter : voters)
                number(voter.value);
        }
    }

    void role() {
        number(core_.role.index());
        if (const auto* pre = std::get_if<PreCandidate>(&core_.role)) {
            tally(pre->tally);
            age(pre->since);
        } else if (const auto* candidate = std::get_if<Candidate>(&core_.role)) {
            tally(candidate->tally);
        } else if (const Leader* leader = core_.leading()) {
            lead(*leader);
        }
    }

    void read(const Leader::Read& read) {
        number(read.context);
        number(read.round);
        number(read.asker.value);
        number(read.index.value);
    }

    void lead(const Leader& l) {
        number(l.noop.value);
        age(l.since);
        number(l.uncommitted_bytes);
        number(l.heartbeat_due);
        deadline(l.next_heartbeat);
        number(l.lead_offered);
        number(l.transfer.has_value());
        if (l.transfer) {
            number(l.transfer->to.value);
            deadline(l.transfer->until);
            number(l.transfer->offered);
        }
        number(l.round);
        number(l.reads_new.size());
        for (const Leader::Read& read : l.reads_new)
            this->read(read);
        number(l.reads_begun.size());
        for (const Leader::Read& read : l.reads_begun)
            this->read(read);
        for (const Progress& p : l.peers)
            progress(p);
    }

    void progress(const Progress& p) {
        number(p.member_.replica.value);
        number(static_cast<uint64_t>(p.state_));
        number(p.match_.value);
        number(p.next_.value);
        number(p.stalled_);
        number(p.snapshot_asked_);
        number(p.snapshot_failed_);
        number(p.probe_unanswered_);
        number(p.query_due_);
        number(p.inflight_.size());
        for (const auto& sent : p.inflight_) {
            number(sent.last.value);
            number(sent.bytes);
        }
        age(p.last_heard_);
        age(p.last_answer_);
        number(p.acked_round_);
    }

    const Core::Impl& core_;
    std::string bytes_;
};

std::string Core::fingerprint() const {
    CHECK(!impl_->has_output(), "a core is compared between turns");
    CHECK(impl_->config.lease_drift_ppm == 0 && impl_->config.quiesce_after == Duration(0),
          "what leases and quiet groups remember of time is not in");
    return Fingerprint(*impl_).bytes();
}

std::vector<Entry> Core::entries() const {
    std::vector<Entry> entries;
    impl_->log.copy(impl_->log.start().next(), impl_->log.last(), entries);
    return entries;
}

}  // namespace asterias::raft
