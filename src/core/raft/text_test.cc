// Runs testdata/*.txt: scenarios of the Raft checklist as documents. Commands (ids are replicas;
// `only=(1,2)` restricts to messages among these, all others stay in the bag and may come late;
// `quiet` hides the trace):
//
// clang-format off
//   cluster nodes=N [seed=S] [append_bytes=N] [quiesce_ms=N]
//                        input lines "ID term=T vote=V applied=A log=(terms)": recovered
//   manual ID.. | automatic ID..       disk writes wait for `persist` | complete at once
//   pass ID ms=N         its clock moves in ticks of 20 ms
//   run ms=N             all clocks move, and all is delivered, persisted and applied; no trace
//   elect ID [only=..]   its clock moves until it asks for votes; then settles
//   deliver [from=] [to=] [kind=] [keep] | lose [from=] [to=] [kind=]     one sweep over the bag
//   settle [only=..]     deliver until nothing moves
//   persist ID [all] | crash ID [kept=N] | start ID
//   cut A B | cut from=A to=B | heal | disconnect ID peer=ID | wake ID
//   propose ID text.. | read ID context
//   add ID node=N [witness=1] | remove ID node=N | replace ID node=N by=N | transfer ID to=N
//   flush ID             the engine becomes durable
//   compact ID through=N | snapshot deliver | snapshot lose               the first one under way
//   install ID [all]     one step of the install under way: engine, then journal and core
//   bag | snapshots | status | log ID
// clang-format on
#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "core/raft/testing/cluster.h"
#include "test_support/datadriven.h"

namespace asterias::raft::testing {
namespace {

using test::DatadrivenCommand;

ReplicaId id_of(const std::string& text) {
    return ReplicaId(std::strtoull(text.c_str(), nullptr, 10));
}

std::string kind_of(const Message& m) {
    static const char* const kNames[] = {
        "vote",       "vote-reply",      "append",      "append-reply",
        "heartbeat",  "heartbeat-reply", "timeout-now", "removed",
        "read-index", "read-index-reply"};
    return kNames[m.body.index()];
}

class Script {
public:
    std::string run(const DatadrivenCommand& c) {
        trace_.clear();
        if (c.name == "cluster") return make_cluster(c);
        if (!cluster_) return "no cluster yet";
        std::string result = disturb(c) + look(c);
        const bool quiet =
            std::find(c.positional.begin(), c.positional.end(), "quiet") != c.positional.end();
        std::string text = (quiet ? "" : trace_) + result;
        for (const auto& violation : cluster_->violations)
            text += "VIOLATION " + violation + "\n";
        return text.empty() ? "ok" : text;
    }

private:
    std::string make_cluster(const DatadrivenCommand& c) {
        cluster_ = std::make_unique<Cluster>(
            c.number("nodes", 3), c.number("seed", 1),
            [bytes = c.number("append_bytes"),
             quiesce = milliseconds(c.number("quiesce_ms"))](Config& config) {
                if (bytes) config.append_bytes_max = bytes;
                config.quiesce_after = quiesce;
            });
        const auto recovered = test::parse_lines(c);
        for (const DatadrivenCommand& line : recovered) {
            Disk& disk = cluster_->node(id_of(line.name)).disk;
            disk.hard_state = {Term(line.number("term")), ReplicaId(line.number("vote"))};
            disk.applied = LogIndex(line.number("applied"));
            for (const auto& term : line.values("log")) {
                const LogIndex index(disk.entries.size() + 1);
                disk.entries.push_back(
                    wire::make_entry(GroupId(7), Term(std::strtoull(term.c_str(), nullptr, 10)),
                                     index, EntryKind::Effects, Bytes::copy("r" + term)));
            }
            for (const Entry& e : disk.entries)
                if (e.index <= disk.applied) cluster_->history.emplace(e.index, e);
        }
        for (const ReplicaId id : cluster_->ids())
            cluster_->start(id);
        for (const ReplicaId id : cluster_->ids())
            cluster_->node(id).applied = cluster_->node(id).disk.applied;
        cluster_->snapshots_at_once = false;
        cluster_->on_output = [this](ReplicaId id, const Output& out) {
            std::string text = describe(out);
            for (size_t at = 0; at < text.size();) {
                const size_t end = std::min(text.find('\n', at), text.size());
                trace_ += to_string(id) + "| " + text.substr(at, end - at) + "\n";
                at = end + 1;
            }
        };
        return "ok";
    }

    // Commands that change something. Anything they say beyond the trace is returned.
    std::string disturb(const DatadrivenCommand& c) {
        const ReplicaId id = c.positional.empty() ? ReplicaId(0) : id_of(c.positional[0]);
        Cluster& k = *cluster_;
        if (c.name == "manual" || c.name == "automatic") {
            for (const auto& p : c.positional)
                k.node(id_of(p)).writes_at_once = c.name == "automatic";
        } else if (c.name == "pass") {
            k.pass(id, milliseconds(c.number("ms")));
        } else if (c.name == "run") {
            k.run(milliseconds(c.number("ms")));
            trace_.clear();
        } else if (c.name == "elect") {
            return elect(id, c);
        } else if (c.name == "deliver" || c.name == "lose") {
            sweep(c);
        } else if (c.name == "settle") {
            settle(c);
        } else if (c.name == "persist") {
            if (!k.persist(id)) return "nothing to persist\n";
            while (c.positional.size() > 1 && c.positional[1] == "all" && k.persist(id)) {
            }
        } else if (c.name == "crash") {
            k.crash(id, c.number("kept"));
        } else if (c.name == "start") {
            k.node(id).applied = k.node(id).disk.applied;
            k.start(id);
        } else if (c.name == "cut") {
            if (c.has("from")) {
                k.set_link(id_of(c.value("from")), id_of(c.value("to")), false);
            } else {
                k.set_link(id, id_of(c.positional[1]), false);
                k.set_link(id_of(c.positional[1]), id, false);
            }
        } else if (c.name == "heal") {
            k.heal();
        } else if (c.name == "propose") {
            return propose(id, c);
        } else if (c.name == "read") {
            k.feed(id, ReadRequested{std::strtoull(c.positional[1].c_str(), nullptr, 10)});
        } else if (c.name == "wake") {
            k.feed(id, Wake{});
        } else if (c.name == "disconnect") {
            k.feed(id, PeerDisconnected{NodeId(c.number("peer"))});
        } else if (c.name == "add" || c.name == "remove" || c.name == "replace") {
            return told(k.change(id, change_of(c)));
        } else if (c.name == "transfer") {
            return told(k.transfer(id, NodeId(c.number("to"))));
        } else if (c.name == "flush") {
            k.flush(id);
        } else if (c.name == "compact") {
            if (!k.compact(id, LogIndex(c.number("through")))) return "cannot\n";
        } else if (c.name == "snapshot") {
            if (k.snapshots.empty()) return "none under way\n";
            k.deliver_snapshot(0, c.positional[0] == "lose");
        } else if (c.name == "install") {
            if (!k.step_install(id)) return "nothing to install\n";
            while (c.positional.size() > 1 && c.positional[1] == "all" && k.step_install(id)) {
            }
        } else if (c.name != "bag" && c.name != "snapshots" && c.name != "status" &&
                   c.name != "log") {
            return "unknown command " + c.name + "\n";
        }
        return "";
    }

    std::string look(const DatadrivenCommand& c) {
        std::string text;
        if (c.name == "bag") {
            for (const Message& m : cluster_->bag)
                text += describe(m) + "\n";
            return text.empty() ? "empty\n" : text;
        }
        if (c.name == "snapshots") {
            for (const Snapshot& s : cluster_->snapshots)
                text += to_string(s.from) + "->" + to_string(s.to) + " of " +
                        to_string(s.meta.index) + "/" + to_string(s.meta.term) + ", " +
                        describe(s.meta.membership) + "\n";
            return text.empty() ? "none\n" : text;
        }
        if (c.name == "status")
            for (const ReplicaId id : cluster_->ids())
                text += status_line(id);
        if (c.name == "log") {
            const Disk& disk = cluster_->node(id_of(c.positional[0])).disk;
            text = "durable:";
            if (disk.log_start)
                text += " behind " + to_string(disk.log_start) + "/" +
                        to_string(disk.log_start_term) + ":";
            for (const Entry& e : disk.entries)
                text += " " + to_string(e.index) + "/" + to_string(e.term);
            text += "\n";
        }
        return text;
    }

    std::string status_line(ReplicaId id) {
        if (cluster_->node(id).removed) return to_string(id) + " removed\n";
        if (!cluster_->up(id)) return to_string(id) + " down\n";
        const Status s = cluster_->core(id).status();
        std::string text = to_string(id) + " " + std::string(to_string(s.role)) +
                           " term=" + to_string(s.term) + " leader=n" + to_string(s.leader) +
                           " last=" + to_string(s.last) + " durable=" + to_string(s.durable) +
                           " commit=" + to_string(s.commit) + " applied=" + to_string(s.applied);
        if (s.membership_index)
            text += "\n    " + describe(s.membership) +
                    (s.membership_committed ? "" : " (not committed)");
        if (s.quiet) text += " quiet";
        if (s.transferring_to) text += "\n    handing over to n" + to_string(s.transferring_to);
        if (s.foreign_messages) text += " foreign=" + std::to_string(s.foreign_messages);
        for (const auto& p : s.peers)
            text += std::string("\n    ") + to_string(p.member.replica) +
                    " match=" + to_string(p.match) + " next=" + to_string(p.next) +
                    (p.recently_heard ? "" : " silent") +
                    (p.needs_snapshot ? " needs-snapshot" : "");
        return text + "\n";
    }

    static Change change_of(const DatadrivenCommand& c) {
        const NodeId node(c.number("node"));
        if (c.name == "add") return AddReplica{node, c.has("witness")};
        if (c.name == "remove") return RemoveReplica{node};
        return ReplaceReplica{node, NodeId(c.number("by"))};
    }

    static std::string told(const ChangeOutcome& outcome) {
        if (auto* accepted = std::get_if<Accepted>(&outcome))
            return "accepted " + to_string(accepted->index) + "/" + to_string(accepted->term) +
                   "\n";
        if (auto* not_leader = std::get_if<NotLeader>(&outcome))
            return "not leader, ask n" + to_string(not_leader->leader) + "\n";
        return "refused: " + std::get<Refused>(outcome).why + "\n";
    }

    std::string elect(ReplicaId id, const DatadrivenCommand& c) {
        for (int i = 0; i < 100 && cluster_->core(id).role() == Role::Follower; ++i)
            cluster_->pass(id, milliseconds(20));
        settle(c);
        trace_.clear();
        return status_line(id);
    }

    std::string propose(ReplicaId id, const DatadrivenCommand& c) {
        std::string text;
        for (size_t i = 1; i < c.positional.size(); ++i) {
            if (c.positional[i] == "quiet") continue;
            // All of one command in one turn, as a driver does it.
            const auto outcome = cluster_->core(id).propose(
                cluster_->node(id).now, EntryKind::Effects, Bytes::copy(c.positional[i]));
            if (auto* accepted = std::get_if<Accepted>(&outcome))
                text += c.positional[i] + " is " + to_string(accepted->index) + "/" +
                        to_string(accepted->term) + "\n";
            else if (auto* not_leader = std::get_if<NotLeader>(&outcome))
                text += "not leader, ask n" + to_string(not_leader->leader) + "\n";
            else
                text += "overloaded\n";
        }
        cluster_->drain(id);
        return text;
    }

    bool picked(const Message& m, const DatadrivenCommand& c) {
        const auto only = c.values("only");
        auto among = [&](ReplicaId id) {
            return only.empty() || std::find(only.begin(), only.end(), to_string(id)) != only.end();
        };
        return (!c.has("from") || c.value("from") == to_string(m.from)) &&
               (!c.has("to") || c.value("to") == to_string(m.to)) &&
               (!c.has("kind") || c.value("kind") == kind_of(m)) && among(m.from) && among(m.to);
    }

    void sweep(const DatadrivenCommand& c) {
        const bool keep =
            std::find(c.positional.begin(), c.positional.end(), "keep") != c.positional.end();
        size_t left = cluster_->bag.size();  // not what the sweep itself causes
        for (size_t at = 0; left > 0; --left) {
            if (!picked(cluster_->bag[at], c)) {
                ++at;
            } else if (c.name == "lose") {
                cluster_->bag.erase(cluster_->bag.begin() + static_cast<ptrdiff_t>(at));
            } else {
                cluster_->deliver(at, keep);
                at += keep ? 1 : 0;
            }
        }
    }

    void settle(const DatadrivenCommand& c) {
        for (int i = 0; i < 10'000; ++i) {
            auto it = std::find_if(cluster_->bag.begin(), cluster_->bag.end(),
                                   [&](const Message& m) { return picked(m, c); });
            if (it == cluster_->bag.end()) return;
            cluster_->deliver(static_cast<size_t>(it - cluster_->bag.begin()));
        }
    }

    std::unique_ptr<Cluster> cluster_;
    std::string trace_;
};

class RaftScript : public ::testing::TestWithParam<std::string> {};

TEST_P(RaftScript, GoesAsWritten) {
    Script script;
    for (const auto& failure : test::run_datadriven(
             GetParam(), [&](const DatadrivenCommand& c) { return script.run(c); }))
        ADD_FAILURE() << failure;
}

std::string script_name(const ::testing::TestParamInfo<std::string>& info) {
    std::string name = std::filesystem::path(info.param).stem().string();
    std::replace_if(name.begin(), name.end(), [](char ch) { return !std::isalnum(ch); }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Checklist, RaftScript,
                         ::testing::ValuesIn(test::datadriven_files(ASTERIAS_TESTDATA)),
                         script_name);

}  // namespace
}  // namespace asterias::raft::testing
