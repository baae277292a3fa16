#include "journal/replay.h"

#include <iterator>

#include "base/mutant.h"

namespace asterias::journal {

Replay::Verdict Replay::apply(const Record& record) {
    const RecordHeader& h = record.header;
    const bool entry = h.type == RecordType::Entry || h.type == RecordType::Moved;
    const bool marks = h.type == RecordType::Start || h.type == RecordType::Groups;
    const bool continues = entry && h.fragment >= Fragment::Middle;
    if (sliced_ && !continues && !marks) return breaks("a sliced entry is not continued");

    Verdict verdict = Verdict::Applied;
    switch (h.type) {
        case RecordType::Start:
            verdict = apply_start(record);
            break;
        case RecordType::Groups:
            verdict = apply_groups(record);
            break;
        case RecordType::Vote:
            verdict = apply_vote(record);
            break;
        case RecordType::Purge:
            purge(h);
            break;
        case RecordType::Entry:
        case RecordType::Moved:
            if (h.fragment == Fragment::Whole)
                verdict = place(h,
                                Bytes::copy({reinterpret_cast<const char*>(record.body.data()),
                                             record.body.size()}),
                                h.at.segment, record_bytes(h.body_bytes));
            else
                verdict = apply_slice(record);
            break;
        case RecordType::Release:
            break;
        case RecordType::Begin:
            verdict = begin_install(h);
            break;
        case RecordType::End:
            groups_[h.group].chain.installing.reset();
            break;
        case RecordType::Reset:
            reset(h);
            break;
    }
    if (verdict == Verdict::Applied) {
        if (!marks && (!continues || h.fragment == Fragment::Last)) at_head_ = false;
        ++records_;
        bytes_ += record_bytes(h.body_bytes);
    }
    return verdict;
}

Replay::Verdict Replay::apply_start(const Record& record) {
    auto start = decode_start(record);
    if (!start) return breaks("a segment's first record has no meaning");
    // The rest of a sliced entry was lost with a tail that was cut off.
    if (start->opening) sliced_.reset();
    return Verdict::Applied;
}

Replay::Verdict Replay::apply_groups(const Record& record) {
    auto marks = decode_groups(record);
    if (!marks) return breaks("group marks have no meaning");
    if (record.header.at.segment == first_segment_) {
        for (const GroupMark& mark : *marks) {
            Group group;
            group.chain = GroupChain::from(mark);
            group.base = mark.last.value;
            groups_[mark.group] = std::move(group);
        }
        return Verdict::Applied;
    }
    for (const GroupMark& mark : *marks) {
        auto known = groups_.find(mark.group);
        // A group whose first record is still to come has the mark of an empty chain.
        if (mark == (known == groups_.end() ? GroupChain().mark(mark.group)
                                            : known->second.chain.mark(mark.group)))
            continue;
        why_ = "records of group " + to_string(mark.group) +
               " that were durable before this segment are missing";
        return Verdict::Damage;
    }
    return Verdict::Applied;
}

Replay::Verdict Replay::apply_vote(const Record& record) {
    const auto vote = decode_vote(record);
    if (!vote) return breaks("a vote has no meaning");
    groups_[record.header.group].chain.vote = *vote;
    return Verdict::Applied;
}

Replay::Verdict Replay::begin_install(const RecordHeader& h) {
    if (h.index.value == 0) return breaks("an install of index 0");
    groups_[h.group].chain.installing = LogPlace{h.index, h.term};
    return Verdict::Applied;
}

void Replay::reset(const RecordHeader& h) {
    Group& group = groups_[h.group];
    group.moved.clear();
    group.tail.clear();
    group.base = h.index.value;
    group.chain.reset({h.index, h.term});
    retention_.forget(h.group);
}

void Replay::purge(const RecordHeader& h) {
    Group& group = groups_[h.group];
    const uint64_t through = h.index.value;
    if (h.index <= group.chain.purged_through()) return;
    if (h.index >= group.chain.last()) {
        group.moved.clear();
        group.tail.clear();
        group.base = std::max(through, group.base);
    } else {
        group.moved.erase(group.moved.begin(), group.moved.upper_bound(through));
        if (through > group.base) {
            group.tail.erase(group.tail.begin(),
                             group.tail.begin() + static_cast<ptrdiff_t>(through - group.base));
            group.base = through;
        }
    }
    group.chain.purge(h.index);
    retention_.purge(h.group, h.index);
}

Replay::Verdict Replay::apply_slice(const Record& record) {
    const RecordHeader& h = record.header;
    const std::string_view body{reinterpret_cast<const char*>(record.body.data()),
                                record.body.size()};
    if (h.fragment == Fragment::First) {
        Sliced sliced{h, BytesBuilder(body.size()), record_bytes(h.body_bytes)};
        sliced.payload.append(body);
        sliced_.emplace(std::move(sliced));
        return Verdict::Applied;
    }
    if (!sliced_ && at_head_) return apply_headless(h);
    if (!sliced_) return breaks("the first slice of an entry is missing");
    const RecordHeader& first = sliced_->first;
    if (h.type != first.type || h.group != first.group || h.term != first.term ||
        h.index != first.index || h.entry_crc != first.entry_crc ||
        h.entry_bytes != first.entry_bytes || h.entry_kind != first.entry_kind)
        return breaks("a slice belongs to another entry");
    const size_t so_far = sliced_->payload.size();
    const bool last = h.fragment == Fragment::Last;
    if (so_far + body.size() > h.entry_bytes || (last != (so_far + body.size() == h.entry_bytes)))
        return breaks("the slices of an entry do not add up");
    sliced_->payload.append(body);
    sliced_->record_bytes += record_bytes(h.body_bytes);
    if (!last) return Verdict::Applied;

    const uint64_t segment = first.at.segment, bytes = sliced_->record_bytes;
    Bytes payload = sliced_->payload.take();
    sliced_.reset();
    return place(h, std::move(payload), segment, bytes);
}

// The entry began in a segment that is no longer needed, so its content is not, either; but it was
// the last of its group when its last slice was written.
Replay::Verdict Replay::apply_headless(const RecordHeader& h) {
    if (h.fragment != Fragment::Last || h.type == RecordType::Moved) return Verdict::Applied;
    Group& group = groups_[h.group];
    if (h.index <= group.chain.purged_through() || h.index > group.chain.last().next())
        return breaks("an entry without its beginning does not follow");
    if (const auto previous = group.chain.crc(h.index.prev()); previous && *previous != h.prev_crc)
        return breaks("an entry without its beginning does not follow");
    group.chain.append(h.index, h.entry_crc);
    group.base = h.index.value;
    return Verdict::Applied;
}

Replay::Verdict Replay::place(const RecordHeader& h, Bytes payload, uint64_t segment,
                              uint64_t bytes) {
    wire::Entry entry{h.term, h.index, wire::EntryKind{h.entry_kind}, h.entry_crc,
                      std::move(payload)};
    if (h.fragment != Fragment::Whole && !wire::entry_intact(h.group, entry))
        return breaks("an entry put together from slices fails its checksum");
    if (h.index.value == 0) return breaks("an entry has index 0");
    auto [found, fresh] = groups_.try_emplace(h.group);
    Group& group = found->second;
    const bool moved = h.type == RecordType::Moved;
    const Verdict verdict =
        moved ? place_moved(h, group, std::move(entry)) : place_entry(h, group, std::move(entry));
    if (verdict != Verdict::Applied) {
        if (fresh) groups_.erase(found);
    } else if (!moved) {
        retention_.entry(h.group, h.index, segment, bytes);
    } else if (h.index > group.chain.purged_through()) {
        retention_.moved(h.group, h.index, segment, bytes);
    }
    return verdict;
}

Replay::Verdict Replay::place_entry(const RecordHeader& h, Group& group, wire::Entry entry) {
    if (h.index <= group.chain.purged_through())
        return breaks("an entry lies below its purge mark");
    if (h.index > group.chain.last().next()) {
        if (!MUTANT(journal_chain_ignored)) return breaks("entries before this one are missing");
        group.chain.purge(h.index.prev());
        group.base = h.index.value - 1;
        group.tail.clear();
    }
    const auto previous = group.chain.crc(h.index.prev());
    if (previous && *previous != h.prev_crc && !MUTANT(journal_chain_ignored))
        return breaks("an entry does not follow from the one before it");
    if (h.index.value <= group.base) {
        group.moved.erase(group.moved.lower_bound(h.index.value), group.moved.end());
        group.tail.clear();
        group.base = h.index.value - 1;
    } else {
        group.tail.erase(
            group.tail.begin() + static_cast<ptrdiff_t>(h.index.value - 1 - group.base),
            group.tail.end());
    }
    group.tail.push_back(std::move(entry));
    group.chain.append(h.index, h.entry_crc);
    return Verdict::Applied;
}

Replay::Verdict Replay::place_moved(const RecordHeader& h, Group& group, wire::Entry entry) {
    if (h.index > group.chain.last()) return breaks("a moved entry was never there");
    if (h.index <= group.chain.purged_through()) return Verdict::Applied;
    if (auto known = group.chain.crc(h.index); known && *known != h.entry_crc)
        return breaks("a moved entry is not the one that was there");
    if (h.index.value <= group.base) group.moved.insert_or_assign(h.index.value, std::move(entry));
    return Verdict::Applied;
}

Result<Replay::Result> Replay::finish() {
    Result result;
    for (auto& [id, group] : groups_) {
        RecoveredGroup out;
        out.vote = group.chain.vote;
        out.purged_through = group.chain.purged_through();
        out.purged_term = group.chain.purged_term();
        out.installing = group.chain.installing;
        uint64_t next = out.purged_through.value;
        out.entries.reserve(group.moved.size() + group.tail.size());
        for (auto& [index, entry] : group.moved) {
            if (index != ++next) break;
            out.entries.push_back(std::move(entry));
        }
        if (out.entries.size() != group.moved.size() || next != group.base)
            return fail(Errc::Corrupt,
                        "group " + to_string(id) + ": entries above " +
                            std::to_string(out.purged_through.value + out.entries.size()) +
                            " are missing, those above " + std::to_string(group.base) +
                            " are there");
        std::move(group.tail.begin(), group.tail.end(), std::back_inserter(out.entries));
        result.recovered.emplace(id, std::move(out));
        result.chains.emplace(id, std::move(group.chain));
    }
    result.retention = std::move(retention_);
    return result;
}

}  // namespace asterias::journal
