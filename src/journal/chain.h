// journal/chain.h: what the journal remembers of one group: its vote, how far it is purged, an
// install under way, and the crc of each retained entry (4 bytes each), so that every new record
// can name its predecessor. Writer and replay use the same code: what one knows when it writes, the
// other knows or forgot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/check.h"
#include "base/ids.h"
#include "journal/record.h"

namespace asterias::journal {

class GroupChain {
public:
    Vote vote;

    std::optional<LogPlace> installing;

    LogIndex purged_through() const { return purged_.index; }
    Term purged_term() const { return purged_.term; }  // 0 unless a reset said it
    LogIndex last() const { return LogIndex(known_from_ + crcs_.size() - 1); }
    // The crc of the entry at `index`; nothing if it is not known here. Entry 0 has crc 0.
    std::optional<uint32_t> crc(LogIndex index) const {
        if (index.value < known_from_ || index > last()) return std::nullopt;
        return crcs_[index.value - known_from_];
    }

    // 1 <= index <= last() + 1; supersedes everything at and above it.
    void append(LogIndex index, uint32_t crc) {
        CHECK(index.value >= 1 && index <= last().next(), "entries of a group are contiguous");
        if (index.value <= known_from_) {
            known_from_ = index.value;
            crcs_.clear();
        } else {
            crcs_.resize(index.value - known_from_);
        }
        crcs_.push_back(crc);
    }
    void purge(LogIndex through) {
        if (through <= purged_.index) return;
        purged_ = {through, Term()};
        if (through > last()) {  // a snapshot from elsewhere: what follows begins a new chain
            known_from_ = through.value;
            crcs_.assign(1, 0);
        } else if (through.value > known_from_) {
            crcs_.erase(crcs_.begin(),
                        crcs_.begin() + static_cast<ptrdiff_t>(through.value - known_from_));
            known_from_ = through.value;
        }
    }

    // The log is void, and what follows at.index begins a new chain.
    void reset(LogPlace at) {
        purged_ = at;
        installing.reset();
        known_from_ = at.index.value;
        crcs_.assign(1, 0);
    }

    GroupMark mark(GroupId group) const {
        return {group, vote, purged_, installing.value_or(LogPlace()), last(), crcs_.back()};
    }
    // As it was when the mark was made, but for the crcs before the last.
    static GroupChain from(const GroupMark& mark) {
        GroupChain chain;
        chain.vote = mark.vote;
        chain.purged_ = mark.purged;
        if (mark.installing != LogPlace()) chain.installing = mark.installing;
        chain.known_from_ = mark.last.value;
        chain.crcs_.assign(1, mark.last_crc);
        return chain;
    }

private:
    LogPlace purged_;
    uint64_t known_from_ = 0;       // index of crcs_.front()
    std::deque<uint32_t> crcs_{0};  // never empty
};

}  // namespace asterias::journal
