#include "runtime/sim/trace.h"

#include <cstring>

namespace asterias::sim {

void Trace::add(std::string_view text) {
    add(text.size());
    while (!text.empty()) {
        uint64_t word = 0;
        // Byte by byte, so that the hash is the same on every byte order.
        const size_t n = text.size() < 8 ? text.size() : 8;
        for (size_t i = 0; i < n; ++i)
            word |= static_cast<uint64_t>(static_cast<uint8_t>(text[i])) << (8 * i);
        add(word);
        text.remove_prefix(n);
    }
}

std::string_view to_string(Fault fault) {
    static constexpr std::array<std::string_view, static_cast<size_t>(Fault::kCount)> kNames = {
        "crash.before_turn",
        "crash.mid_turn",
        "crash.before_work",
        "crash.mid_work",
        "crash.before_flush",
        "crash.mid_flush",
        "crash.before_sync",
        "crash.mid_sync",
        "crash.after_turn",
        "crash.from_outside",
        "crash.fatal",
        "crash.power_cut",
        "crash.peer_saw_close",
        "crash.peer_saw_reset",
        "crash.peer_half_open",
        "node.paused",
        "clock.wall_stepped",
        "clock.drift_changed",
        "net.cut",
        "net.healed",
        "net.clogged",
        "net.stalled",
        "net.lost",
        "net.spike",
        "net.split",
        "net.corrupted",
        "net.broken",
        "net.gave_up",
        "net.reset_lost",
        "net.window_full",
        "net.syn_lost",
        "net.connect_refused",
        "net.connect_timed_out",
        "net.handshake_failed",
        "net.identity_forged",
        "net.identity_conflict",
        "shard.submit_delayed",
        "shard.turn_cut_short",
        "shard.turn_delayed",
        "node.out_of_files",
    };
    return kNames[static_cast<size_t>(fault)];
}

uint64_t* FaultCounters::declare(std::string_view site) {
    auto it = named_.find(site);
    if (it == named_.end()) it = named_.emplace(std::string(site), 0).first;
    return &it->second;
}

std::map<std::string, uint64_t> FaultCounters::report() const {
    std::map<std::string, uint64_t> all(named_.begin(), named_.end());
    for (size_t i = 0; i < counts_.size(); ++i)
        all[std::string(to_string(static_cast<Fault>(i)))] += counts_[i];
    return all;
}

}  // namespace asterias::sim
