// MEMORY STATS and MEMORY DOCTOR: what the clients of this shard hold, and how near its limits are.
// LOLWUT.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "edge/resp/session.h"
#include "proto/resp/arguments.h"
#include "proto/resp/command_info.h"

namespace asterias::edge_resp {

using resp::CommandId;

namespace {

// An asterias is a starfish: five arms, each a bulge of the outline.
std::string starfish(size_t columns, size_t rows) {
    std::string text;
    const auto half = [](size_t n) { return (static_cast<double>(n) - 1) / 2; };
    for (size_t row = 0; row < rows; ++row) {
        std::string line;
        for (size_t column = 0; column < columns; ++column) {
            const double x = (static_cast<double>(column) - half(columns)) / (half(columns) + 0.5);
            const double y = (half(rows) - static_cast<double>(row)) / (half(rows) + 0.5);
            const double arm = std::cos(2.5 * (std::atan2(y, x) - std::numbers::pi / 2));
            const double inside = 0.34 + 0.62 * arm * arm * arm * arm - std::hypot(x, y);
            line += inside < 0 ? ' ' : inside < 0.12 ? '.' : inside < 0.3 ? 'o' : '*';
        }
        line.resize(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

}  // namespace

// LOLWUT [VERSION n] [columns [rows]]; what is no such number does not matter, as in Redis.
void Session::lolwut(const resp::Request& request, resp::ReplyWriter& out) {
    size_t at = 1;
    if (request.size() > 2 && resp::equals_ignoring_case(request[1].view(), "version")) {
        const auto asked = resp::integer_argument(request[2]);
        if (const auto* e = std::get_if<resp::ArgumentError>(&asked)) return out.error(e->text);
        at = 3;
    }
    std::array<size_t, 2> size = {44, 21};
    constexpr std::array<int64_t, 2> kMost = {66, 32};  // a cell takes some 0.1 us
    for (size_t i = 0; i < size.size() && at + i < request.size(); ++i) {
        const auto given = resp::integer_argument(request[at + i]);
        if (const auto* n = std::get_if<int64_t>(&given))
            size[i] = static_cast<size_t>(std::clamp<int64_t>(*n, 1, kMost[i]));
    }
    out.verbatim("txt", starfish(size[0], size[1]) + "\nAsterias " + door_.about_.version +
                            ", speaking as Redis ver. 7.0.15\n");
}

Door::Held Door::held() const {
    Held held;
    held.commands = inflight_bytes_;
    held.requests = unfinished_bytes_;
    for (const auto& [id, session] : sessions_)
        held.replies += session->connection_->unsent() + session->raw_bytes_;
    return held;
}

void Session::memory(const resp::CommandSpec& spec, resp::ReplyWriter& out) {
    if (spec.id != CommandId::MemoryStats && spec.id != CommandId::MemoryDoctor)
        return resp::write_help(out, resp::command_spec(CommandId::Memory));
    const Door::Held held = door_.held();
    const Options& o = door_.options_;
    if (spec.id == CommandId::MemoryStats) {
        const std::pair<std::string_view, size_t> figures[] = {
            {"clients.count", door_.sessions_.size()},
            {"clients.normal", held.commands + held.requests + held.replies},
            {"clients.commands", held.commands},
            {"clients.commands.max", o.inflight_bytes_max},
            {"clients.requests", held.requests},
            {"clients.requests.max", o.requests_bytes_max},
            {"clients.replies", held.replies},
            {"clients.replies.awaited", door_.replies_owed_ * door_.reply_bytes_},
            {"clients.replies.awaited.max", o.replies_bytes_max},
        };
        out.map(std::size(figures));
        for (const auto& [name, value] : figures)
            out.bulk(name), out.integer(static_cast<int64_t>(value));
        return;
    }
    std::string text;
    const auto look = [&text](const char* what, const char* limit, size_t bytes, size_t most) {
        if (bytes <= most / 4 * 3) return;
        text += std::string(what) + " hold " + std::to_string(bytes) + " of " +
                std::to_string(most) + " bytes (" + limit + ").\n";
    };
    look("Commands on their way", "inflight-bytes-max", held.commands, o.inflight_bytes_max);
    look("Unfinished requests", "requests-bytes-max", held.requests, o.requests_bytes_max);
    if (door_.replies_full()) text += "Connections rest because of replies-bytes-max.\n";
    if (text.empty()) text = "No limit on the memory of this shard's clients is near.\n";
    out.verbatim("txt", text);
}

}  // namespace asterias::edge_resp
