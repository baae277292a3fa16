// MONITOR: a connection is shown the commands of all clients of this node, on all its shards, as
// they come in; those of a transaction when it is done. Lines, quoting and what is left out are
// those of Redis 7.0 (replication.c: replicationFeedMonitors; sds.c: sdscatrepr). Lines of a turn
// are handed out at its end; while nobody looks, nothing is made.
#include <algorithm>
#include <cstdio>

#include "base/mutant.h"
#include "edge/resp/session.h"
#include "proto/resp/arguments.h"

namespace asterias::edge_resp {

using resp::CommandClass;
using resp::CommandId;

namespace {

constexpr size_t kShownBytesMax = 16 * 1024;        // of one command: monitor-line-bytes-max
constexpr size_t kShownQueueMax = 4 * 1024 * 1024;  // of what one EXEC runs, about
constexpr std::string_view kRedacted = "(redacted)";

void append_quoted(std::string& out, std::string_view text) {
    out += " \"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        constexpr std::string_view kNamed = "\n\r\t\a\b", kNames = "nrtab";
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (const size_t i = kNamed.find(c); i != std::string_view::npos) {
            out += '\\';
            out += kNames[i];
        } else if (byte >= 0x20 && byte < 0x7F) {
            out += c;
        } else {
            constexpr std::string_view kDigits = "0123456789abcdef";
            out += "\\x";
            out += kDigits[byte >> 4];
            out += kDigits[byte & 15];
        }
    }
    out += '"';
}

std::string line_of(const resp::CommandSpec& spec, const resp::Request& request, WallTime now,
                    uint16_t database, const std::string& peer) {
    char head[64];
    std::snprintf(head, sizeof head, "+%lld.%06d [", static_cast<long long>(now.micros / 1000000),
                  static_cast<int>(now.micros % 1000000));
    std::string line = head + std::to_string(database) + " " + peer + "]";
    const Secrets secrets(spec, request);
    size_t left = kShownBytesMax;
    for (size_t i = 0; i < request.size(); ++i) {
        if (left == 0) {
            const size_t more = request.size() - i;
            append_quoted(line, "... (" + std::to_string(more) + " more arguments)");
            break;
        }
        if (secrets.covers(i) && !MUTANT(resp_monitor_shows_passwords)) {
            append_quoted(line, kRedacted);
            continue;
        }
        const std::string_view text = request[i].view();
        if (text.size() <= left) {
            append_quoted(line, text);
            left -= std::max<size_t>(text.size(), 1);
        } else {
            append_quoted(line, std::string(text.substr(0, left)) + "... (" +
                                    std::to_string(text.size() - left) + " more bytes)");
            left = 0;
        }
    }
    return line + "\r\n";
}

}  // namespace

void Session::begin_monitor(resp::ReplyWriter& out) {
    out.ok();
    if (std::exchange(monitoring_, true)) return;
    monitors_from_ = first_slot_ + slots_.size() + !slots_.empty();
    door_.monitors_.push_back(id_);
    door_.count_monitors();
}

void Session::end_monitor() {
    if (!std::exchange(monitoring_, false)) return;
    std::erase(door_.monitors_, id_);
    door_.count_monitors();
}

// As Redis has it, where a monitor is held for a replica.
bool Session::may_while_monitoring(const resp::CommandSpec& spec) const {
    const auto touches = [](const resp::CommandSpec& one) {
        return one.flags & (resp::CommandFlags::kWrite | resp::CommandFlags::kReadOnly) ||
               one.id == CommandId::Publish || one.id == CommandId::SPublish ||
               one.id == CommandId::AsteriasRequest;
    };
    if (spec.id != CommandId::Exec) return !touches(spec);
    return std::ranges::none_of(transaction_.queued,
                                [&](const Queued& queued) { return touches(*queued.spec); });
}

// What is queued is shown with its EXEC.
void Session::show(const resp::CommandSpec& spec, const resp::Request& request) {
    const bool queued = transaction_.open &&
                        (spec.by != CommandClass::Batch || spec.id == CommandId::Unwatch) &&
                        spec.id != CommandId::Quit && spec.id != CommandId::Reset;
    if (queued || spec.id == CommandId::Exec || spec.flags & resp::CommandFlags::kAdmin) return;
    door_.show(
        line_of(spec, request, door_.shard_.clock().wall(), database_, connection_->peer().name));
}

Shown Session::shown_exec(const std::vector<Queued>& queued, const resp::Request& exec) const {
    Shown shown;
    const auto line = [&](const resp::CommandSpec& spec, const resp::Request& request,
                          uint16_t database) {
        return line_of(spec, request, door_.shard_.clock().wall(), database,
                       connection_->peer().name);
    };
    uint16_t database = database_;
    for (const auto& [spec, request, verdict] : queued) {
        if (spec->flags & resp::CommandFlags::kAdmin) continue;
        if (shown.queued.size() > kShownQueueMax) {
            resp::Request rest;
            rest.push_back(Bytes::literal("... (more commands)"));
            shown.queued += line(*spec, rest, database);
            break;
        }
        shown.queued += line(*spec, request, database);
        if (spec->id != CommandId::Select) continue;
        const auto number = resp::database_argument(request[1], door_.options_.databases);
        if (const auto* n = std::get_if<int64_t>(&number)) database = static_cast<uint16_t>(*n);
    }
    shown.itself = line(resp::command_spec(CommandId::Exec), exec, database);
    return shown;
}

// Not in the middle of a reply; from its answer to MONITOR on.
void Session::hear(const Bytes& lines) {
    if (ended_ || replies_off_ || first_slot_ < monitors_from_) return;
    (holding_ ? held_ : connection_->out()).append(lines);
    if (connection_->unsent() + held_.size() <= door_.options_.pubsub_unsent_bytes_max) return;
    door_.slow_listeners_.add();
    end();
}

void Door::count_monitors() {
    everywhere([at = shard_.id(), count = monitors_.size()](Door& door) {
        if (count)
            door.monitors_at_[at] = count;
        else
            door.monitors_at_.erase(at);
    });
}

void Door::hand_out_shown() {
    const Bytes lines = Bytes::copy(std::exchange(shown_, {}));
    hear(lines);
    const bool others = monitors_at_.size() > monitors_at_.count(shard_.id());
    if (others && about_.other_doors) about_.other_doors([lines](Door& door) { door.hear(lines); });
}

void Door::hear(const Bytes& lines) {
    for (const uint64_t id : std::vector(monitors_))  // who does not read leaves it
        if (Session* session = find(id)) session->hear(lines);
}

}  // namespace asterias::edge_resp
