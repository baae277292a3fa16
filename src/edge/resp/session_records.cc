// What a session and its door note of the commands that ran, and those who ask: SLOWLOG, LATENCY,
// CONFIG; and DEBUG SLEEP. Texts of errors are those of Redis 7.0.
#include <algorithm>
#include <charconv>
#include <set>

#include "base/glob.h"
#include "edge/resp/session.h"
#include "proto/resp/arguments.h"
#include "proto/resp/command_info.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {

using resp::CommandId;

namespace {

constexpr Duration kSleepMost = seconds(60);
constexpr size_t kNotesKept = 4096;
constexpr Duration kIdleLook = seconds(1);
constexpr std::string_view kWrongCount = "ERR count should be greater than or equal to -1";

std::string wrong_form(const resp::Request& request, std::string_view container) {
    return "ERR unknown subcommand or wrong number of arguments for '" +
           request[1].str().substr(0, 128) + "'. Try " + std::string(container) + " HELP.";
}

bool is(const Bytes& argument, std::string_view word) {
    return resp::equals_ignoring_case(word, argument.view());
}

}  // namespace

// ------------------------------------------------------------------------------- what ran

void Session::note(const resp::CommandSpec& spec, const resp::Request& request) {
    noted_.spec = &spec;
    noted_.began = active_;
    const bool here = spec.by == resp::CommandClass::Local && spec.id != CommandId::Debug &&
                      spec.id != CommandId::AsteriasRequest;
    if (here || !door_.logs_slow()) return;
    const size_t before = notes_.size();
    append_note(notes_, spec, request);
    noted_.note_bytes = static_cast<uint32_t>(notes_.size() - before);
}

void Session::drop_note() {
    notes_.resize(notes_.size() - noted_.note_bytes);
    noted_ = {};
}

void Session::tell_front() {
    const Slot& s = slots_.front();
    told(*s.noted.spec, std::string_view(notes_).substr(notes_done_, s.noted.note_bytes),
         micros_since(s.noted.began), s.noted.failed || s.reply.kind == kv::Reply::Kind::Error);
    notes_done_ += s.noted.note_bytes;
    // Who has nothing under way holds next to nothing; who always has moves it now and then.
    if (notes_done_ == notes_.size()) {
        notes_.capacity() > kNotesKept ? std::string().swap(notes_) : notes_.clear();
        notes_done_ = 0;
    } else if (notes_done_ > kNotesKept && notes_done_ > notes_.size() / 2) {
        notes_.erase(0, notes_done_);
        notes_done_ = 0;
    }
}

// To measure what runs here at once: now() stands still for the turn. What is fast takes less than
// two looks at the time.
int64_t Session::micros_for(const resp::CommandSpec& spec) const {
    return spec.flags & resp::kFast ? 0 : door_.shard_.clock().wall().micros;
}

// Of a command that the node answers by itself, in bytes as spend() takes them: answers about the
// node are short to ask for and long to make. 0: it is a command like others.
size_t Session::work_of(const resp::CommandSpec& spec, size_t written) const {
    constexpr size_t kOfByte = 16, kOfSession = 32, kShort = 1024;
    size_t work = written < kShort ? 0 : written * kOfByte;
    if (!(spec.flags & resp::kFast) || spec.id == CommandId::Lolwut) work += kWorkOfLocal;
    if (spec.id == CommandId::ClientList || spec.id == CommandId::ClientKill)
        work += door_.sessions_.size() * kOfSession;
    return work;
}

void Session::run_here(const resp::CommandSpec& spec, const resp::Request& request) {
    noted_.spec = nullptr;
    const uint64_t errors = door_.errors_written_;
    const int64_t began = micros_for(spec);
    size_t written = 0;
    reply_now([&](resp::ReplyWriter& out) {
        const size_t before = out.size();
        run_local(spec, request, out);
        written = out.size() - before;
    });
    if (const size_t work = work_of(spec, written)) spend(work);
    const auto took = static_cast<uint64_t>(std::max<int64_t>(micros_for(spec) - began, 0));
    const bool slow = door_.is_slow(took) && door_.logs_slow();
    told(spec, slow ? note_of(spec, request) : std::string(), took,
         door_.errors_written_ != errors);
}

uint64_t Session::micros_since(Instant began) const {
    const Duration took = door_.shard_.clock().now() - began;
    return static_cast<uint64_t>(std::max<int64_t>(took / microseconds(1), 0));
}

void Session::told(const resp::CommandSpec& spec, std::string_view note, uint64_t micros,
                   bool failed) {
    door_.ran(spec, micros, failed);
    if (door_.is_slow(micros)) [[unlikely]]
        door_.note_slow(
            spec, {0, door_.shard_.clock().wall().micros / 1'000'000, static_cast<int64_t>(micros),
                   std::string(note), connection_->peer().name, name_});
}

void Session::reject(const resp::Request& request) {
    const resp::CommandSpec* spec = resp::find_command(request[0].view());
    if (!spec || spec->is_subcommand()) return;
    if (request.size() > 1 && !resp::subcommands(*spec).empty())
        if (const auto* one = resp::find_command(std::string(spec->name) + "|" + request[1].str()))
            spec = one;
    door_.figures_[static_cast<size_t>(spec->id)].rejected.add();
}

void Door::with_records(const std::function<void(Records&)>& use) {
    options_.records ? options_.records->with(use) : use(own_records_);
}

void Door::note_slow(const resp::CommandSpec& spec, SlowCommand command) {
    const auto micros = static_cast<uint64_t>(command.micros);
    const uint64_t millis = micros / 1000;
    with_records([&](Records& records) {
        if (options_.latency_threshold > 0 && millis >= options_.latency_threshold)
            records.add_event(spec.flags & resp::kFast ? "fast-command" : "command",
                              command.seconds, millis);
        if (logs_slow() && !command.note.empty() &&
            micros >= static_cast<uint64_t>(options_.slowlog_slower_than))
            records.add_slow(std::move(command), options_.slowlog_max_len);
    });
}

void Door::on_error(std::string_view text) {
    ++errors_written_;
    with_records([text](Records& records) { records.note_error(text); });
}

void Door::tune(const Live& live) {
    static_cast<Live&>(options_) = live;
    slow_from_ = UINT64_MAX;
    if (logs_slow()) slow_from_ = static_cast<uint64_t>(live.slowlog_slower_than);
    if (live.latency_threshold > 0)
        slow_from_ = std::min(slow_from_, live.latency_threshold * 1000);
    with_records([&live](Records& records) { records.trim_slow(live.slowlog_max_len); });
    if (live.idle_timeout > 0 && !idle_timer_)
        idle_timer_ = shard_.timers().after(kIdleLook, [this] { end_idle(); });
}

// Not who listens, nor who waits for an answer.
void Door::end_idle() {
    idle_timer_ = {};
    if (options_.idle_timeout == 0) return;
    const Instant now = shard_.clock().now();
    for (const uint64_t id : session_ids()) {
        Session* s = find(id);
        const bool busy = s->ended_ || s->subscribed() || s->monitoring_ || s->postponed_ ||
                          !s->slots_.empty() || s->asked_ || s->waiting_exec_;
        if (!busy && now - s->active_ >= seconds(options_.idle_timeout)) s->end();
    }
    idle_timer_ = shard_.timers().after(kIdleLook, [this] { end_idle(); });
}

// ------------------------------------------------------------------------------- DEBUG SLEEP

bool Session::may_debug() const {
    if (door_.options_.debug != DebugFor::Loopback)
        return door_.options_.debug == DebugFor::Everybody;
    // A certificate's subject says nothing of the address.
    const auto& peer = connection_->peer();
    return !peer.authenticated &&
           (peer.name.starts_with("127.0.0.1:") || peer.name.starts_with("[::1]:"));
}

Duration sleep_of(const Queued& command) {
    if (command.spec->id != CommandId::Debug || command.request.size() != 3 ||
        !is(command.request[1], "sleep"))
        return {};
    const std::string_view text = command.request[2].view();
    double wanted = 0;  // as Redis: what is no number is 0
    std::from_chars(text.data(), text.data() + text.size(), wanted);
    const double most = std::chrono::duration<double>(kSleepMost).count();
    if (!(wanted > 0)) return {};
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::min(wanted, most)));
}

namespace {
bool is_sleep(const resp::Request& request) {
    return request.size() == 3 && is(request[1], "sleep");
}
}  // namespace

// Of a transaction, which has slept.
void Session::debug_in_exec(const resp::Request& request, resp::ReplyWriter& out) {
    if (is_sleep(request)) return out.ok();
    if (request.size() != 2 || !is(request[1], "help"))
        return out.error(wrong_form(request, "DEBUG"));
    out.array(2);
    out.simple("DEBUG SLEEP <seconds>");
    out.simple("    Holds up this connection for so long, a minute at most.");
}

// It holds up this connection only: the loop has others.
void Session::debug(const resp::Request& request) {
    if (!is_sleep(request))
        return reply_now([&](resp::ReplyWriter& out) { debug_in_exec(request, out); });
    Queued command{noted_.spec, {}};
    for (const auto& argument : request)
        command.request.push_back(argument);
    const uint64_t slot = first_slot_ + slots_.size();
    slots_.push_back({false, Show::AsIs, version_, kv::Reply::ok(), {}, nullptr, silent_});
    keep_noted();
    stalled_ = true;
    sleep(slot, sleep_of(command));
}

void Session::sleep(uint64_t slot, Duration most) {
    door_.shard_.timers().after(std::min(most, kSleepMost), [door = door_.self_, id = id_, slot] {
        if (!door.get()) return;
        if (Session* s = door.get()->find(id)) s->wake(slot);
    });
}

void Session::wake(uint64_t slot) {
    Slot& s = slots_[slot - first_slot_];
    s.ready = true;
    if (!s.pending) stalled_ = false;  // EXEC ends it itself
    slot == first_slot_ ? write_ready() : regulate();
}

// ------------------------------------------------------------------------------- SLOWLOG

void Session::slow_log(const resp::CommandSpec& spec, const resp::Request& request,
                       resp::ReplyWriter& out) {
    int64_t most = 10;
    if (spec.id == CommandId::SlowLogGet && request.size() > 2) {
        if (request.size() > 3) return out.error(wrong_form(request, "SLOWLOG"));
        const auto parsed = resp::integer_argument(request[2]);
        const auto* number = std::get_if<int64_t>(&parsed);
        if (!number || *number < -1) return out.error(kWrongCount);
        most = *number == -1 ? INT64_MAX : *number;
    }
    if (spec.id == CommandId::SlowLogHelp)
        return resp::write_help(out, resp::command_spec(CommandId::SlowLog));
    door_.with_records([&](Records& records) {
        if (spec.id == CommandId::SlowLogLen)
            return out.integer(static_cast<int64_t>(records.slow().size()));
        if (spec.id == CommandId::SlowLogReset) {
            records.trim_slow(0);
            return out.ok();
        }
        size_t left = std::min(records.slow().size(), static_cast<size_t>(most));
        out.array(left);
        for (const SlowCommand& command : records.slow()) {
            if (left-- == 0) break;
            out.array(6);
            out.integer(static_cast<int64_t>(command.id));
            out.integer(command.seconds);
            out.integer(command.micros);
            const auto arguments = arguments_of(command.note);
            out.array(arguments.size());
            for (const auto& argument : arguments)
                out.bulk(argument);
            out.bulk(command.peer);
            out.bulk(command.name);
        }
    });
}

// ------------------------------------------------------------------------------- LATENCY

namespace {

void write_history(resp::ReplyWriter& out, const Records& records, std::string_view event) {
    const auto it = records.events().find(event);
    if (it == records.events().end()) return out.array(0);
    out.array(it->second.samples.size());
    for (const auto& sample : it->second.samples) {
        out.array(2);
        out.integer(sample.seconds);
        out.integer(static_cast<int64_t>(sample.millis));
    }
}

void write_latest(resp::ReplyWriter& out, const Records& records) {
    out.array(records.events().size());
    for (const auto& [name, event] : records.events()) {
        out.array(4);
        out.bulk(name);
        out.integer(event.samples.back().seconds);
        out.integer(static_cast<int64_t>(event.samples.back().millis));
        out.integer(static_cast<int64_t>(event.longest));
    }
}

void reset_events(resp::ReplyWriter& out, Records& records, const resp::Request& request) {
    size_t count = 0;
    if (request.size() == 2) {
        count = records.events().size();
        records.events().clear();
    }
    for (const auto& name : request.arguments().subspan(2))
        count += records.events().erase(name.str());
    out.integer(static_cast<int64_t>(count));
}

// Buckets are told as Redis does: how many took so long at most, where that number grows.
void write_histogram(resp::ReplyWriter& out, const CommandSums& sums) {
    out.map(2);
    out.bulk("calls");
    out.integer(static_cast<int64_t>(sums.calls));
    out.bulk("histogram_usec");
    out.map(static_cast<size_t>(std::ranges::count_if(sums.buckets, [](auto n) { return n > 0; })));
    uint64_t seen = 0;
    for (size_t i = 0; i < sums.buckets.size(); ++i) {
        if (sums.buckets[i] == 0) continue;
        seen += sums.buckets[i];
        out.integer(int64_t{1} << i);
        out.integer(static_cast<int64_t>(seen));
    }
}

void write_histograms(resp::ReplyWriter& out, const Records& records,
                      const resp::Request& request) {
    std::vector<CommandId> ids;
    std::set<CommandId> once;
    const auto add = [&](const resp::CommandSpec& spec) {
        if (once.insert(spec.id).second) ids.push_back(spec.id);
    };
    if (request.size() == 2)
        for (const auto& spec : resp::command_table())
            add(spec);
    for (const auto& name : request.arguments().subspan(2)) {
        const auto* spec = resp::find_command(name.view());
        if (!spec) continue;
        add(*spec);
        if (!spec->is_subcommand())
            for (const auto& child : resp::subcommands(*spec))
                add(child);
    }
    std::vector<std::pair<CommandId, CommandSums>> found;
    for (const CommandId id : ids)
        if (auto sums = records.sums(id); sums.calls > 0) found.emplace_back(id, sums);
    out.map(found.size());
    for (const auto& [id, sums] : found) {
        out.bulk(resp::command_spec(id).name);
        write_histogram(out, sums);
    }
}

// A line for each sample, the oldest first; empty: there are none.
std::string graph_of(const Records& records, const Bytes& name, int64_t now) {
    const auto it = records.events().find(name.view());
    if (it == records.events().end()) return "";
    const auto& samples = it->second.samples;
    const auto [low, high] = std::ranges::minmax(samples, {}, &LatencyEvent::Sample::millis);
    std::string text = name.str() + " - high " + std::to_string(high.millis) + " ms, low " +
                       std::to_string(low.millis) + " ms (all time high " +
                       std::to_string(it->second.longest) + " ms)\n" + std::string(80, '-') + "\n";
    for (const auto& sample : samples) {
        const size_t width = high.millis ? sample.millis * 50 / high.millis : 0;
        text += std::string(std::max<size_t>(width, 1), '#') + " " + std::to_string(sample.millis) +
                " ms, " + std::to_string(now - sample.seconds) + " s ago\n";
    }
    return text;
}

}  // namespace

std::string Door::latency_advice(const Records& records) const {
    if (options_.latency_threshold == 0)
        return "Slow moments are not watched: CONFIG SET latency-monitor-threshold MILLISECONDS "
               "begins it.\n";
    const std::string limit = std::to_string(options_.latency_threshold) + " ms";
    if (records.events().empty()) return "Nothing took " + limit + " on this node.\n";
    std::string text = "Moments of " + limit + " or more on this node:\n";
    for (const auto& [name, event] : records.events()) {
        uint64_t sum = 0;
        for (const auto& sample : event.samples)
            sum += sample.millis;
        text += "- " + name + ": " + std::to_string(event.samples.size()) + ", average " +
                std::to_string(sum / event.samples.size()) + " ms, longest " +
                std::to_string(event.longest) + " ms\n";
    }
    return text +
           "A command counts from its arrival to its answer: disks and other nodes are part of it. "
           "SLOWLOG GET says which they were, /metrics and /v1/why how disk and groups do.\n";
}

void Session::latency(const resp::CommandSpec& spec, const resp::Request& request,
                      resp::ReplyWriter& out) {
    const int64_t now = door_.shard_.clock().wall().micros / 1'000'000;
    if (spec.id == CommandId::LatencyGraph) {
        std::string graph;
        door_.with_records([&](Records& r) { graph = graph_of(r, request[2], now); });
        return graph.empty()
                   ? out.error("ERR No samples available for event '" + request[2].str() + "'")
                   : out.verbatim("txt", graph);
    }
    door_.with_records([&](Records& records) {
        switch (spec.id) {
            case CommandId::LatencyDoctor:
                return out.verbatim("txt", door_.latency_advice(records));
            case CommandId::LatencyHistogram:
                return write_histograms(out, records, request);
            case CommandId::LatencyHistory:
                return write_history(out, records, request[2].view());
            case CommandId::LatencyLatest:
                return write_latest(out, records);
            case CommandId::LatencyReset:
                return reset_events(out, records, request);
            default:
                return resp::write_help(out, resp::command_spec(CommandId::Latency));
        }
    });
}

// ------------------------------------------------------------------------------- CONFIG

void Session::set_config(const resp::Request& request, resp::ReplyWriter& out) {
    if (request.size() % 2 == 1) return out.error(resp::kSyntaxError);
    std::vector<Parameters::Value> wanted;
    for (size_t i = 2; i < request.size(); i += 2)
        wanted.push_back({request[i].str(), request[i + 1].str()});
    if (!door_.options_.parameters)
        return out.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                         wanted[0].name + "'");
    auto done = door_.options_.parameters->set(wanted);
    if (auto* refused = std::get_if<Parameters::Refused>(&done)) return out.error(refused->text);
    door_.tune(std::get<Live>(done));
    out.ok();
}

void Session::get_config(const resp::Request& request, resp::ReplyWriter& out) {
    std::vector<Glob> patterns;
    for (const auto& pattern : request.arguments().subspan(2)) {
        if (pattern.size() > kGlobBytesMax) return out.error(kGlobTooLong);
        patterns.emplace_back(pattern.view(), GlobCase::Ignored);
    }
    std::vector<Parameters::Value> found;
    if (door_.options_.parameters)
        for (auto& parameter : door_.options_.parameters->all())
            for (size_t i = 0; i < patterns.size(); ++i) {
                if (!patterns[i].matches(parameter.name)) continue;
                // As it was asked for, as Redis does.
                if (is(request[i + 2], parameter.name)) parameter.name = request[i + 2].str();
                found.push_back(std::move(parameter));
                break;
            }
    out.map(found.size());
    for (const auto& parameter : found)
        out.bulk(parameter.name), out.bulk(parameter.value);
}

}  // namespace asterias::edge_resp
