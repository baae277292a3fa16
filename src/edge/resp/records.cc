#include "edge/resp/records.h"

#include <algorithm>
#include <cstring>

#include "base/mutant.h"
#include "proto/resp/arguments.h"

namespace asterias::edge_resp {

namespace {

constexpr size_t kArgumentsMax = 32;       // of an entry, as in Redis
constexpr size_t kArgumentBytesMax = 128;  // of one
constexpr std::string_view kRedacted = "(redacted)";

// Of CONFIG SET: a name that Redis, or who mistypes it, may mean a password by.
bool names_secret(std::string_view name) {
    std::string lower(name.substr(0, kArgumentBytesMax));
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    for (const char* word : {"auth", "pass", "user", "key"})
        if (lower.find(word) != lower.npos) return true;
    return false;
}

void append_number(std::string& out, size_t number) {
    const auto n = static_cast<uint32_t>(std::min<size_t>(number, UINT32_MAX));
    out.append(reinterpret_cast<const char*>(&n), sizeof n);
}

class Reader {
public:
    explicit Reader(std::string_view text) : rest_(text) {}
    bool more() const { return !rest_.empty(); }
    size_t number() {
        uint32_t n = 0;
        std::memcpy(&n, rest_.data(), sizeof n);
        rest_.remove_prefix(sizeof n);
        return n;
    }
    std::string_view text(size_t bytes) {
        const auto found = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return found;
    }

private:
    std::string_view rest_;
};

}  // namespace

Secrets::Secrets(const resp::CommandSpec& spec, const resp::Request& request) {
    using resp::CommandId;
    if (spec.id == CommandId::Auth) {
        from_ = 1;
    } else if (spec.id == CommandId::Hello) {
        look_at_hello(request);
    } else if (spec.id == CommandId::AsteriasRequest && request.size() > 4) {
        for (const char* name : {"auth", "hello"})
            if (resp::equals_ignoring_case(name, request[3].view())) from_ = 4;
    }
}

void Secrets::look_at_hello(const resp::Request& request) {
    for (size_t i = 2; i < request.size(); i += 2) {
        if (resp::equals_ignoring_case("setname", request[i].view())) continue;
        if (!resp::equals_ignoring_case("auth", request[i].view())) {
            from_ = i;
            return;
        }
        of_hello_.insert(of_hello_.end(), {i + 1, i + 2});
        ++i;
    }
}

// The number of all arguments; of each that is kept its length and the beginning.
void append_note(std::string& out, const resp::CommandSpec& spec, const resp::Request& request) {
    const size_t kept = request.size() <= kArgumentsMax ? request.size() : kArgumentsMax - 1;
    append_number(out, request.size());
    const Secrets secrets(spec, request);
    for (size_t i = 0; i < kept; ++i) {
        const bool value = spec.id == resp::CommandId::ConfigSet && i >= 3 && i % 2 == 1;
        const bool hidden = (secrets.covers(i) || (value && names_secret(request[i - 1].view()))) &&
                            !MUTANT(resp_slowlog_secrets);
        const std::string_view text = hidden ? kRedacted : request[i].view();
        append_number(out, text.size());
        out.append(text.substr(0, kArgumentBytesMax));
    }
}

std::string note_of(const resp::CommandSpec& spec, const resp::Request& request) {
    std::string note;
    append_note(note, spec, request);
    return note;
}

std::vector<std::string> arguments_of(std::string_view note) {
    std::vector<std::string> shown;
    if (note.empty()) return shown;
    Reader in(note);
    const size_t count = in.number();
    while (in.more()) {
        const size_t bytes = in.number();
        std::string text(in.text(std::min(bytes, kArgumentBytesMax)));
        if (bytes > kArgumentBytesMax)
            text += "... (" + std::to_string(bytes - kArgumentBytesMax) + " more bytes)";
        shown.push_back(std::move(text));
    }
    if (count > kArgumentsMax)
        shown.push_back("... (" + std::to_string(count - shown.size()) + " more arguments)");
    return shown;
}

uint64_t CommandSums::quantile_micros(double q) const {
    const auto wanted = static_cast<double>(calls) * q;
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets.size(); ++i) {
        seen += buckets[i];
        if (seen > 0 && static_cast<double>(seen) >= wanted) return uint64_t{1} << i;
    }
    return 0;
}

Figures& Records::add_door() { return doors_.emplace_back(); }

CommandSums Records::ever(resp::CommandId id) const {
    CommandSums sums;
    for (const Figures& door : doors_) {
        const CommandFigures& one = door[static_cast<size_t>(id)];
        for (size_t i = 0; i < sums.buckets.size(); ++i) {
            sums.buckets[i] += one.buckets[i].value();
            sums.calls += one.buckets[i].value();
        }
        sums.micros += one.micros.value();
        sums.rejected += one.rejected.value();
        sums.failed += one.failed.value();
    }
    return sums;
}

CommandSums Records::sums(resp::CommandId id) const {
    CommandSums sums = ever(id);
    if (base_.empty()) return sums;
    const CommandSums& base = base_[static_cast<size_t>(id)];
    for (size_t i = 0; i < sums.buckets.size(); ++i)
        sums.buckets[i] -= base.buckets[i];
    sums.calls -= base.calls;
    sums.micros -= base.micros;
    sums.rejected -= base.rejected;
    sums.failed -= base.failed;
    return sums;
}

void Records::note_error(std::string_view text) {
    ++errors_;
    const std::string_view code = text.substr(0, text.find(' '));
    const auto it = codes_.find(code);
    if (it != codes_.end())
        ++it->second;
    else if (codes_.size() < kErrorCodesMax)
        codes_.emplace(code.substr(0, kArgumentBytesMax), 1);
}

uint64_t& Records::base(std::string_view counter) { return counters_[std::string(counter)]; }

uint64_t Records::base(std::string_view counter) const {
    const auto it = counters_.find(counter);
    return it == counters_.end() ? 0 : it->second;
}

void Records::reset() {
    base_.clear();
    for (const auto& spec : resp::command_table())
        base_.push_back(ever(spec.id));
    errors_ = 0;
    codes_.clear();
}

void Records::add_slow(SlowCommand command, size_t max_len) {
    command.id = next_slow_++;
    slow_.push_front(std::move(command));
    trim_slow(max_len);
}

void Records::trim_slow(size_t max_len) {
    if (slow_.size() > max_len) slow_.resize(max_len);
}

void Records::add_event(std::string_view event, int64_t seconds, uint64_t millis) {
    LatencyEvent& e = events_[std::string(event)];
    e.longest = std::max(e.longest, millis);
    if (!e.samples.empty() && e.samples.back().seconds == seconds) {
        e.samples.back().millis = std::max(e.samples.back().millis, millis);
        return;
    }
    e.samples.push_back({seconds, millis});
    if (e.samples.size() > LatencyEvent::kSamplesMax) e.samples.pop_front();
}

}  // namespace asterias::edge_resp
