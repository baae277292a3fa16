// CLIENT about the connections of this door: who they are, to end them, to be silent.
#include <algorithm>
#include <optional>
#include <set>

#include "edge/resp/session.h"
#include "proto/resp/arguments.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {

using resp::CommandId;

namespace {

bool is(const Bytes& argument, std::string_view word) {
    return resp::equals_ignoring_case(word, argument.view());
}

// Of Redis; there are neither replicas nor masters among the clients here.
enum class Type : uint8_t { Normal, PubSub, Other };
std::optional<Type> type_of(const Bytes& argument) {
    if (is(argument, "normal")) return Type::Normal;
    if (is(argument, "pubsub")) return Type::PubSub;
    for (const char* word : {"slave", "replica", "master"})
        if (is(argument, word)) return Type::Other;
    return std::nullopt;
}

std::string unknown_type(const Bytes& argument) {
    return "ERR Unknown client type '" + argument.str() + "'";
}

}  // namespace

// What CLIENT KILL looks for.
struct Session::Filter {
    std::optional<uint64_t> id;
    std::optional<Type> type;
    std::optional<Bytes> address, local, user;
    bool skip_me = true;

    // The error, if the arguments are none.
    std::string parse(const resp::Request& request, const Door& door) {
        for (size_t i = 2; i < request.size(); i += 2) {
            if (i + 1 == request.size()) return std::string(resp::kSyntaxError);
            if (auto error = take(request[i], request[i + 1], door); !error.empty()) return error;
        }
        return {};
    }

private:
    std::string take(const Bytes& name, const Bytes& value, const Door& door) {
        if (is(name, "id")) {
            const auto parsed = resp::integer_argument(value);
            const auto* number = std::get_if<int64_t>(&parsed);
            if (!number || *number < 1) return "ERR client-id should be greater than 0";
            id = static_cast<uint64_t>(*number);
        } else if (is(name, "type")) {
            type = type_of(value);
            if (!type) return unknown_type(value);
        } else if (is(name, "addr")) {
            address = value;
        } else if (is(name, "laddr")) {
            local = value;
        } else if (is(name, "user")) {
            user = value;
            if (!door.knows_user(value.str())) return "ERR No such user '" + value.str() + "'";
        } else if (is(name, "skipme") && (is(value, "yes") || is(value, "no"))) {
            skip_me = is(value, "yes");
        } else {
            return std::string(resp::kSyntaxError);
        }
        return {};
    }
};

bool Session::fits(const Filter& filter) const {
    const Type mine = subscribed() ? Type::PubSub : Type::Normal;
    return (!filter.id || *filter.id == id_) && (!filter.type || *filter.type == mine) &&
           (!filter.user || filter.user->view() == user_) &&
           (!filter.address || filter.address->view() == connection_->peer().name) &&
           (!filter.local || filter.local->view() == door_.address().describe());
}

// A line of CLIENT LIST. What Redis counts of its own buffers is 0 here.
std::string Session::describe() const {
    const Instant now = door_.shard_.clock().now();
    const auto whole_seconds = [](Duration d) {
        return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count());
    };
    const auto sizes = [this](size_t i) { return std::to_string(subscriptions_[i].size()); };
    std::string flags = subscribed() ? "P" : "";
    if (monitoring_) flags += "O";
    if (transaction_.open) flags += "x";
    if (postponed_) flags += "b";
    if (ending_) flags += "c";
    const std::string unsent = std::to_string(connection_->unsent());
    return "id=" + std::to_string(id_) + " addr=" + connection_->peer().name +
           " laddr=" + door_.address().describe() + " fd=0 name=" + name_ +
           " age=" + whole_seconds(now - began_) + " idle=" + whole_seconds(now - active_) +
           " flags=" + (flags.empty() ? "N" : flags) + " db=" + std::to_string(database_) +
           " sub=" + sizes(0) + " psub=" + sizes(1) + " ssub=" + sizes(2) +
           " multi=" + (transaction_.open ? std::to_string(transaction_.queued.size()) : "-1") +
           " qbuf=" + std::to_string(query_bytes_) +
           " qbuf-free=0 argv-mem=0 multi-mem=" + std::to_string(transaction_.bytes) +
           " rbs=0 rbp=0 obl=" + unsent + " oll=0 omem=" + unsent + " tot-mem=" + unsent +
           " events=r cmd=" + (last_command_ ? std::string(last_command_->name) : "NULL") +
           " user=" + user_ + " redir=-1 resp=" + std::to_string(static_cast<int>(version_)) + "\n";
}

void Session::list_clients(const resp::Request& request, resp::ReplyWriter& out) {
    std::optional<Type> type;
    std::vector<uint64_t> ids = door_.session_ids();
    std::set<uint64_t> once;
    if (request.size() == 4 && is(request[2], "type")) {
        type = type_of(request[3]);
        if (!type) return out.error(unknown_type(request[3]));
    } else if (request.size() > 3 && is(request[2], "id")) {
        ids.clear();
        for (const auto& argument : request.arguments().subspan(3)) {
            const auto parsed = resp::integer_argument(argument);
            const auto* number = std::get_if<int64_t>(&parsed);
            if (!number) return out.error("ERR Invalid client ID");
            const auto id = static_cast<uint64_t>(*number);
            if (door_.find(id) && once.insert(id).second) ids.push_back(id);
        }
    } else if (request.size() != 2) {
        return out.error(resp::kSyntaxError);
    }
    Filter filter;
    filter.type = type;
    BytesBuilder text;
    for (const uint64_t id : ids) {
        const Session* session = door_.find(id);
        if (session && !session->ended_ && session->fits(filter)) text.append(session->describe());
    }
    out.verbatim("txt", text.take());
}

// By an address alone, or by what all have in common.
void Session::kill_clients(const resp::Request& request, resp::ReplyWriter& out) {
    Filter filter;
    const bool by_address = request.size() == 3;
    if (by_address) {
        filter.address = request[2];
        filter.skip_me = false;
    } else if (auto error = filter.parse(request, door_); !error.empty()) {
        return out.error(error);
    }
    int64_t killed = 0;
    for (const uint64_t id : door_.session_ids()) {
        Session* session = door_.find(id);
        if (session->ended_ || !session->fits(filter)) continue;
        if (session == this && filter.skip_me) continue;
        ++killed;
        if (session == this)
            ending_ = true;  // behind the answer
        else
            session->end();
    }
    if (!by_address) return out.integer(killed);
    killed ? out.ok() : out.error("ERR No such client");
}

// OFF and SKIP are silent themselves; what comes unasked is not.
void Session::reply_mode(const resp::Request& request) {
    if (is(request[2], "on")) {
        replies_off_ = silent_ = false;
        return reply_now([](resp::ReplyWriter& out) { out.ok(); });
    }
    if (is(request[2], "off"))
        replies_off_ = true;
    else if (is(request[2], "skip"))
        skip_next_ = !replies_off_;
    else
        reply_error(resp::kSyntaxError);
}

// Or did: its connections stay when a user is taken from the settings.
bool Door::knows_user(const std::string& user) const {
    if (user == kDefaultUser || (options_.guard && options_.guard->knows(user))) return true;
    return std::ranges::any_of(sessions_,
                               [&](const auto& one) { return one.second->user_ == user; });
}

std::vector<uint64_t> Door::session_ids() const {
    std::vector<uint64_t> ids;
    for (const auto& [id, session] : sessions_)
        ids.push_back(id);
    std::ranges::sort(ids);
    return ids;
}

}  // namespace asterias::edge_resp
