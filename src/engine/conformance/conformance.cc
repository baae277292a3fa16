#include "engine/conformance/conformance.h"

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "engine/conformance/model.h"
#include "engine/conformance/test_shard.h"

namespace asterias::engine {
namespace {

using port::EngineBatch;
using port::EngineSeq;
using port::KeyValue;

constexpr std::string_view kSpaces = "abc";
constexpr uint64_t kKeysPerSpace = 12;
constexpr std::string_view kMark =
    "mark";  // its value is new in each step: no two states are equal

// How often to look again while the engine works in the background, before that is a failure.
constexpr int kPatience = 200'000;

class Sequence {
public:
    Sequence(Subject& subject, uint64_t seed, Outcome& outcome)
        : subject_(subject), prng_(seed), outcome_(outcome) {}

    // Empty: all as the contract says.
    std::string run();

private:
    struct View {
        std::unique_ptr<port::EngineSnapshot> snapshot;
        State state;
    };

    bool ok() const { return failure_.empty(); }
    void wrong(std::string text) {
        if (ok()) failure_ = std::move(text);
    }
    void expect(bool holds, std::string_view text) {
        if (!holds) wrong(std::string(text));
    }
    void saw(Seen what) { ++outcome_.seen[static_cast<size_t>(what)]; }

    Bytes random_key();
    Bytes random_value();
    EngineBatch random_batch(size_t value_bytes = 0);
    port::Span random_span(char space);
    bool inside_staged(std::string_view key) const;
    Bytes mark() { return Bytes::copy(std::to_string(++marks_)); }

    void act();
    bool open();
    // A full disk may have broken bookkeeping that cannot be done again later, and the news of that
    // may come late: Io is then an allowed answer, for good.
    bool allowed_end(Errc code);
    // The answer's code, or nothing if the batch was written.
    std::optional<Errc> write(EngineBatch batch);
    void poll_durable();
    void wait_durable();
    void check_key(std::string_view key);
    void check_view(View& view);
    // Staging, in steps: begins, adds or installs. Ends what is begun: until it is installed or
    // refused.
    void begin_staging();
    std::optional<Errc> add_some(uint64_t pairs);
    std::optional<Errc> finish_staging();
    void stage();
    void install();
    void cut_install();
    void throw_staged_away();
    void crash();
    void close_and_open();
    void stall();
    void fill_disk();
    void write_until_accepted(Seen seen);
    void break_flushes();
    void damage();
    // All that a view, or the engine as it is now, holds: by scans with limits.
    using Scan = std::function<Result<std::vector<KeyValue>>(std::string_view, port::ScanLimit)>;
    State whole(const Scan& scan);
    State whole(port::EngineSnapshot& snapshot) {
        return whole([&snapshot](std::string_view from, port::ScanLimit limit) {
            return snapshot.scan(from, "", limit);
        });
    }
    void check_limit(const std::vector<KeyValue>& pairs, const port::ScanLimit& limit);
    void check_engine();

    Subject& subject_;
    Prng prng_;
    Outcome& outcome_;
    TestShard shard_;
    std::unique_ptr<port::Engine> engine_;
    Model model_;
    std::vector<View> views_;
    std::unique_ptr<port::Staging> staging_;
    Install staged_;                // what was added so far
    std::vector<KeyValue> to_add_;  // and what is to come, descending
    size_t staged_since_ = 0;       // steps of the model when staging began
    EngineSeq last_durable_;
    uint64_t marks_ = 0;
    bool damaged_ = false;
    bool install_carried_writes_ = false;
    bool disk_was_full_ = false;  // since opening
    bool over_ = false;
    std::string failure_;
};

Bytes Sequence::random_key() {
    std::string key(1, kSpaces[prng_.below(kSpaces.size())]);
    const uint64_t number = prng_.below(kKeysPerSpace);
    key += '/';
    key += static_cast<char>('a' + number);
    return Bytes::copy(key);
}

Bytes Sequence::random_value() {
    const size_t size = prng_.chance(0.05) ? prng_.below(5000) : prng_.below(40);
    return Bytes::copy(std::string(size, static_cast<char>('A' + prng_.below(26))));
}

EngineBatch Sequence::random_batch(size_t value_bytes) {
    EngineBatch batch;
    const uint64_t ops = prng_.below(6);
    for (uint64_t i = 0; i < ops; ++i) {
        const uint64_t kind = prng_.below(10);
        if (kind < 7) {
            batch.put(random_key(), random_value());
        } else if (kind < 9) {
            batch.del(random_key());
        } else {
            Bytes from = random_key(), to = random_key();
            batch.del_range(std::move(from), std::move(to));  // at times empty or reversed
        }
    }
    if (value_bytes > 0) batch.put(random_key(), Bytes::copy(std::string(value_bytes, 'x')));
    if (prng_.chance(0.02)) batch.del_range(Bytes::literal("fill/"), Bytes::literal("fill0"));
    batch.put(Bytes::literal(kMark), mark());
    return batch;
}

// All keys of a space, or some.
port::Span Sequence::random_span(char space) {
    std::string from{space, '/'}, to{space, '0'};
    if (prng_.chance(0.3)) from += static_cast<char>('a' + prng_.below(kKeysPerSpace / 2));
    if (prng_.chance(0.3))
        to = {space, '/', static_cast<char>('a' + prng_.between(kKeysPerSpace / 2, kKeysPerSpace))};
    return {Bytes::copy(from), Bytes::copy(to)};
}

bool Sequence::inside_staged(std::string_view key) const {
    for (const auto& [from, to] : staged_.spans)
        if (from.view() <= key && key < to.view()) return true;
    return false;
}

bool Sequence::open() {
    auto opened = subject_.open();
    if (!opened) {
        wrong("open: " + opened.error().describe());
        return false;
    }
    engine_ = std::move(*opened);
    last_durable_ = {};
    disk_was_full_ = false;
    expect(engine_->written() == EngineSeq(0), "written() is 0 after opening");
    expect(engine_->durable() == EngineSeq(0), "durable() is 0 after opening");
    return ok();
}

std::optional<Errc> Sequence::write(EngineBatch batch) {
    const EngineSeq before = engine_->written();
    auto result = engine_->write(batch);
    if (!result) {
        expect(engine_->written() == before, "a refused write gets no Seq");
        return result.error().code;
    }
    expect(*result > before, "Seqs rise");
    expect(engine_->written() == *result, "written() is the Seq of the last write");
    model_.record({.install = std::nullopt, .batch = std::move(batch), .seq = *result});
    return std::nullopt;
}

bool Sequence::allowed_end(Errc code) {
    if (code != Errc::Io || !disk_was_full_) return false;
    saw(Seen::FailedForGood);
    crash();
    return true;
}

void Sequence::poll_durable() {
    const EngineSeq durable = engine_->durable();
    expect(durable >= last_durable_, "durable() is monotone");
    expect(durable <= engine_->written(), "durable() <= written()");
    last_durable_ = durable;
    model_.note_durable(durable);
}

void Sequence::wait_durable() {
    for (int i = 0; ok() && i < kPatience; ++i) {
        engine_->request_flush();
        poll_durable();
        if (last_durable_ == engine_->written()) return;
        if (disk_was_full_ && i % 10 == 9) {
            const auto refused = write(random_batch());
            if (refused && allowed_end(*refused)) return;
        }
        subject_.pause();
    }
    wrong("request_flush() made durable " + std::to_string(last_durable_.value) + " of " +
          std::to_string(engine_->written().value) + " and no more");
}

void Sequence::check_key(std::string_view key) {
    const auto expected = model_.now().find(key);
    const bool there = expected != model_.now().end();
    const auto compare = [&](const std::optional<Bytes>& found, std::string_view how) {
        if (found.has_value() != there || (there && found->view() != expected->second))
            wrong(std::string(how) + " of " + std::string(key) + ": expected " +
                  (there ? expected->second : "nothing") + ", found " +
                  (found ? found->str() : "nothing"));
    };
    const auto report = [&](const Error& error) {
        if (damaged_ && error.code == Errc::Corrupt) return saw(Seen::DamageReported);
        wrong("read of " + std::string(key) + ": " + error.describe());
    };
    auto found = engine_->try_get(key);
    if (auto* bytes = std::get_if<Bytes>(&found)) compare(*bytes, "try_get");
    if (std::holds_alternative<port::Absent>(found)) compare(std::nullopt, "try_get");
    if (auto* error = std::get_if<Error>(&found)) report(*error);
    if (prng_.chance(0.3)) {  // a part of it, seen whole
        std::optional<Bytes> whole;
        auto part = engine_->try_get_part(key, [&whole](std::string_view value) {
            whole = Bytes::copy(value);
            return Bytes::copy(value.substr(value.size() / 2));
        });
        if (auto* bytes = std::get_if<Bytes>(&part)) {
            compare(whole, "try_get_part");
            if (!whole || *bytes != whole->suffix(whole->size() / 2))
                wrong("a part of " + std::string(key) + " is not what was taken of it");
        }
        if (std::holds_alternative<port::Absent>(part)) compare(std::nullopt, "try_get_part");
        if (auto* error = std::get_if<Error>(&part)) report(*error);
    }
    const bool blocked = std::holds_alternative<port::WouldBlock>(found);
    if (blocked) saw(Seen::WouldBlock);
    if (!blocked && !prng_.chance(0.3)) return;
    saw(Seen::AsyncRead);
    auto answer = shard_.read(*engine_, key);
    if (answer)
        compare(*answer, "get");
    else
        report(answer.error());
}

// Without its last pair a scan has reached neither of its bounds.
void Sequence::check_limit(const std::vector<KeyValue>& pairs, const port::ScanLimit& limit) {
    size_t bytes = 0;
    for (size_t i = 0; i + 1 < pairs.size(); ++i)
        bytes += pairs[i].key.size() + pairs[i].value.size();
    expect(pairs.size() <= limit.entries, "a scan exceeds its entries");
    expect(pairs.empty() || bytes < limit.bytes, "a scan goes on behind its bytes");
}

State Sequence::whole(const Scan& scan) {
    State state;
    std::string from;
    for (;;) {
        port::ScanLimit limit{.entries = prng_.between(1, 40)};
        if (prng_.chance(0.5)) limit.bytes = prng_.between(1, prng_.chance(0.5) ? 40 : 1000);
        auto pairs = scan(from, limit);
        if (!pairs) {
            if (damaged_ && pairs.error().code == Errc::Corrupt)
                saw(Seen::DamageReported);
            else
                wrong("scan: " + pairs.error().describe());
            return state;
        }
        for (const auto& pair : *pairs) {
            expect(state.empty() || state.rbegin()->first < pair.key.view(), "a scan ascends");
            state.emplace(pair.key.str(), pair.value.str());
        }
        check_limit(*pairs, limit);
        if (!limit.reached_by(*pairs) || !ok()) return state;
        saw(pairs->size() == limit.entries ? Seen::ScanLimited : Seen::ScanLimitedByBytes);
        from = pairs->back().key.str() + '\0';
    }
}

// By the asynchronous scan.
void Sequence::check_engine() {
    const State found = whole([this](std::string_view from, port::ScanLimit limit) {
        return shard_.scan(*engine_, from, limit);
    });
    if (!damaged_) expect(found == model_.now(), "a scan: " + difference(model_.now(), found));
}

void Sequence::check_view(View& view) {
    if (prng_.chance(0.5)) {
        const State found = whole(*view.snapshot);
        const std::string different = difference(view.state, found);
        expect(different.empty(), "a snapshot changed: " + different);
    }
    std::string from = random_key().str(), to = random_key().str();
    auto pairs = view.snapshot->scan(from, to, {1000});
    if (!pairs) return wrong("scan: " + pairs.error().describe());
    State part, expected;
    for (const auto& pair : *pairs)
        part.emplace(pair.key.str(), pair.value.str());
    if (from < to) expected.insert(view.state.lower_bound(from), view.state.lower_bound(to));
    expect(part == expected, "part of a snapshot: " + difference(expected, part));
    const std::string key = random_key().str();
    auto value = view.snapshot->get(key);
    if (!value) return wrong("snapshot get: " + value.error().describe());
    auto it = view.state.find(key);
    expect(it == view.state.end() ? !*value : *value && (*value)->view() == it->second,
           "a snapshot answers with another value of " + key);
    if (view.state != model_.now()) saw(Seen::SnapshotOutlivedChanges);
}

void Sequence::begin_staging() {
    staged_ = {};
    to_add_.clear();
    const uint64_t always = prng_.below(kSpaces.size());
    for (size_t i = 0; i < kSpaces.size(); ++i)
        if (i == always || prng_.chance(0.3)) staged_.spans.push_back(random_span(kSpaces[i]));
    const double density = prng_.chance(0.1) ? 0 : 0.4;
    for (const char space : kSpaces)
        for (uint64_t i = 0; i < kKeysPerSpace; ++i) {
            const std::string key{space, '/', static_cast<char>('a' + i)};
            if (!inside_staged(key) || !prng_.chance(density)) continue;
            to_add_.insert(to_add_.begin(), {Bytes::copy(key), random_value()});
        }
    auto begun = engine_->stage(staged_.spans);
    if (!begun) return wrong("stage: " + begun.error().describe());
    staging_ = std::move(*begun);
    staged_since_ = model_.steps();
}

std::optional<Errc> Sequence::add_some(uint64_t pairs) {
    std::vector<KeyValue> piece;
    uint64_t bytes = staging_->bytes();
    for (; pairs > 0 && piece.size() < to_add_.size(); --pairs)
        piece.push_back(to_add_[to_add_.size() - 1 - piece.size()]);
    auto added = shard_.add(*staging_, piece);
    if (!added) {
        if (added.error().code == Errc::NoSpace) saw(Seen::StagedRefused);
        expect(staging_->bytes() == bytes, "what was refused is not counted");
        return added.error().code;
    }
    to_add_.resize(to_add_.size() - piece.size());
    for (auto& pair : piece) {
        bytes += pair.key.size() + pair.value.size();
        staged_.content.push_back(std::move(pair));
    }
    expect(staging_->bytes() == bytes, "bytes() counts what was added");
    return std::nullopt;
}

std::optional<Errc> Sequence::finish_staging() {
    EngineBatch meta;
    for (uint64_t i = prng_.below(4); i > 0; --i)
        if (Bytes key = random_key(); !inside_staged(key.view()))
            meta.put(std::move(key), random_value());
    meta.put(Bytes::literal(kMark), mark());
    const bool volatile_before = model_.sure() < model_.steps();
    const size_t pieces_since = model_.steps() - std::min(model_.steps(), staged_since_);
    auto result = shard_.install(*staging_, meta);
    if (!result) {
        if (result.error().code == Errc::Io)
            model_.record_uncertain({staged_, std::move(meta), EngineSeq()});
        return result.error().code;
    }
    staging_.reset();
    if (pieces_since > 0) saw(Seen::StagedInSteps);
    model_.record({std::move(staged_), std::move(meta), engine_->written()});
    expect(engine_->durable() == engine_->written(), "an install is durable on return");
    poll_durable();
    model_.note_all_durable();
    install_carried_writes_ = volatile_before;
    return std::nullopt;
}

void Sequence::stage() {
    if (!staging_) return begin_staging();
    if (prng_.chance(0.05)) return throw_staged_away();
    const bool all = to_add_.empty();
    const auto refused = all ? finish_staging() : add_some(1 + prng_.below(6));
    if (!refused || *refused == Errc::NoSpace) return;  // a crash or a read would show what it did
    if (!allowed_end(*refused)) wrong("staging or installing fails on a healthy disk");
}

void Sequence::install() {
    if (!staging_) begin_staging();
    while (ok() && staging_) {
        const bool all = to_add_.empty();
        const auto refused = all ? finish_staging() : add_some(100);
        if (!refused) continue;
        if (*refused == Errc::NoSpace || allowed_end(*refused)) return;
        return wrong("staging or installing fails on a healthy disk");
    }
}

void Sequence::cut_install() {
    poll_durable();
    if (!staging_) begin_staging();
    std::optional<Errc> refused;
    const bool adds_go_well = prng_.chance(0.7);
    while (ok() && adds_go_well && !refused && !to_add_.empty())
        refused = add_some(100);
    if (refused || !subject_.start(Trouble::CutInstall)) return;
    while (ok() && staging_ && !refused)
        refused = to_add_.empty() ? finish_staging() : add_some(1 + prng_.below(12));
    if (refused && *refused != Errc::NoSpace) {
        expect(*refused == Errc::Io, "a broken install answers Io");
        if (model_.uncertain())
            expect(!engine_->write(random_batch()), "after a broken install nothing is written");
    }
    crash();
}

void Sequence::throw_staged_away() {
    if (!staging_) return;
    staging_.reset();
    saw(Seen::StagedThrownAway);
}

void Sequence::crash() {
    views_.clear();
    if (staging_ && staging_->bytes() > 0) saw(Seen::StagedLost);
    subject_.crash(std::move(engine_), std::move(staging_));
    const bool covered = model_.sure() == model_.certain();
    if (!open()) return;
    State found = whole(*engine_->snapshot());
    if (!ok()) return;
    std::string why;
    const auto prefix = model_.prefix_of(found, why);
    if (!prefix)
        return wrong("after a crash no prefix of the " + std::to_string(model_.steps()) +
                     " steps, at least " + std::to_string(model_.sure()) + ": " + why);
    if (model_.uncertain()) {
        if (*prefix == model_.steps()) saw(Seen::InstallCutAfter);
        if (*prefix == model_.certain()) saw(Seen::InstallCutBefore);
    } else if (covered) {
        saw(Seen::CrashNothingToLose);
    } else if (*prefix == model_.sure()) {
        saw(Seen::CrashAtDurable);
    } else {
        saw(*prefix == model_.steps() ? Seen::CrashAtWritten : Seen::CrashInBetween);
    }
    if (std::exchange(install_carried_writes_, false)) saw(Seen::InstallCarriedWrites);
    model_.restart(std::move(found));
    for (int i = 0; ok() && i < 5; ++i)
        check_key(random_key().view());
}

void Sequence::close_and_open() {
    views_.clear();
    throw_staged_away();
    engine_.reset();
    const bool was_full = disk_was_full_;
    if (!open()) return;
    State found = whole(*engine_->snapshot());
    std::string why;
    // After a full disk it may have been no clean close, see allowed_end().
    const bool allowed = was_full && model_.prefix_of(found, why);
    expect(allowed || found == model_.now(),
           "after a clean close: " + difference(model_.now(), found));
    model_.restart(std::move(found));
    saw(Seen::CleanReopen);
}

void Sequence::write_until_accepted(Seen seen) {
    for (int i = 0; ok() && i < kPatience; ++i) {
        const auto refused = write(random_batch());
        if (!refused) return saw(seen);
        if (allowed_end(*refused)) return;
        if (*refused != Errc::NoSpace) return wrong("a write is refused for good");
        subject_.pause();
    }
    wrong("writes are never accepted again");
}

void Sequence::stall() {
    if (!subject_.start(Trouble::Stall)) return;
    for (int i = 0; ok() && i < 1000; ++i) {
        const auto refused = write(random_batch(8 * 1024));
        if (!refused) continue;
        if (allowed_end(*refused)) return;
        expect(*refused == Errc::NoSpace, "a stall answers NoSpace");
        saw(Seen::Stalled);
        check_key(random_key().view());
        if (prng_.chance(0.2)) return crash();
        subject_.clear();
        return write_until_accepted(Seen::StallEnded);
    }
    wrong("no write was ever refused");
}

void Sequence::fill_disk() {
    if (!subject_.start(Trouble::DiskFull)) return;
    disk_was_full_ = true;
    for (int i = 0; ok() && i < kPatience; ++i) {
        EngineBatch more = random_batch();
        more.put(Bytes::copy("fill/" + std::to_string(i)), Bytes::copy(std::string(1000, 'f')));
        const auto refused = write(std::move(more));
        if (!refused) {
            engine_->request_flush();
            subject_.pause();
            continue;
        }
        if (allowed_end(*refused)) return;
        expect(*refused == Errc::NoSpace, "a full disk answers NoSpace");
        saw(Seen::Full);
        for (int k = 0; ok() && k < 5; ++k)
            check_key(random_key().view());
        if (!staging_) begin_staging();
        while (ok() && staging_ && !to_add_.empty() && !add_some(1)) {
        }
        if (prng_.chance(0.5)) return crash();
        subject_.clear();
        return write_until_accepted(Seen::SpaceReturned);
    }
    wrong("a full disk never refused a write");
}

void Sequence::break_flushes() {
    if (!subject_.start(Trouble::Broken)) return;
    for (int i = 0; ok() && i < kPatience; ++i) {
        const auto refused = write(random_batch());
        poll_durable();
        if (!refused) {
            engine_->request_flush();
            subject_.pause();
            continue;
        }
        if (*refused == Errc::NoSpace) {  // stalled: the flush has not failed yet
            subject_.pause();
            continue;
        }
        expect(*refused == Errc::Io, "a background error answers Io");
        subject_.clear();
        expect(!engine_->write(random_batch()), "a background error is for good");
        poll_durable();
        saw(Seen::FailedForGood);
        return crash();
    }
    wrong("a broken disk never refused a write");
}

void Sequence::damage() {
    close_and_open();  // the model now knows what is at rest
    if (!ok()) return;
    engine_.reset();
    if (!subject_.damage()) return static_cast<void>(open());
    over_ = damaged_ = true;
    auto opened = subject_.open();
    if (!opened) {
        expect(opened.error().code == Errc::Corrupt, "damage is reported as Corrupt");
        return saw(Seen::OpenRefused);
    }
    engine_ = std::move(*opened);
    const uint64_t before = outcome_.count(Seen::DamageReported);
    for (const char space : kSpaces)
        for (uint64_t i = 0; i < kKeysPerSpace; ++i)
            check_key(std::string{space, '/', static_cast<char>('a' + i)});
    check_key(kMark);
    auto snapshot = engine_->snapshot();
    for (const auto& [key, value] : whole(*snapshot)) {
        auto it = model_.now().find(key);
        if (it == model_.now().end() || it->second != value)
            wrong("damage was served: " + key + "=" + value.substr(0, 12) + ", expected " +
                  (it == model_.now().end() ? "nothing" : it->second.substr(0, 12)));
    }
    if (outcome_.count(Seen::DamageReported) == before) saw(Seen::DamageHarmless);
}

void Sequence::act() {
    const uint64_t draw = prng_.below(1000);
    if (draw < 520) {
        const auto refused = write(random_batch());
        if (!refused || allowed_end(*refused)) return;
        expect(*refused == Errc::NoSpace, "a healthy disk may stall, and no more");
        saw(Seen::Stalled);
        write_until_accepted(Seen::StallEnded);
    } else if (draw < 580) {
        engine_->request_flush();
    } else if (draw < 630) {
        poll_durable();
    } else if (draw < 650) {
        wait_durable();
    } else if (draw < 780) {
        check_key(random_key().view());
        if (prng_.chance(0.1)) check_engine();
    } else if (draw < 820) {
        if (views_.size() < 4) views_.push_back({engine_->snapshot(), model_.now()});
    } else if (draw < 880) {
        if (!views_.empty()) check_view(views_[prng_.below(views_.size())]);
    } else if (draw < 900) {
        if (!views_.empty())
            views_.erase(views_.begin() + static_cast<ptrdiff_t>(prng_.below(views_.size())));
    } else if (draw < 905) {
        install();
    } else if (draw < 925) {
        for (uint64_t i = prng_.between(1, 4); ok() && i > 0; --i)
            stage();
    } else if (draw < 955) {
        if (prng_.chance(0.3)) {  // a flush that nobody has seen the end of
            for (int i = 0; i < 2; ++i) {
                engine_->request_flush();
                subject_.pause();
            }
        }
        crash();
    } else if (draw < 965) {
        close_and_open();
    } else if (draw < 970) {
        stall();
    } else if (draw < 975) {
        fill_disk();
    } else if (draw < 980) {
        break_flushes();
    } else if (draw < 990) {
        cut_install();
    } else if (draw < 996) {
        subject_.start(Trouble::SlowReads);
    } else {
        damage();
    }
}

std::string Sequence::run() {
    subject_.fresh(prng_.split());
    if (!open()) return failure_;
    const uint64_t steps = prng_.between(10, 80);
    for (uint64_t i = 0; i < steps && ok() && !over_; ++i) {
        act();
        ++outcome_.steps;
    }
    if (ok() && !over_) {
        for (auto& view : views_)
            check_view(view);
        crash();
    }
    views_.clear();
    staging_.reset();
    engine_.reset();
    subject_.clear();
    return failure_;
}

// A CHECK, or an assertion of the library under an engine, ends the process before
// run_conformance() can tell the seed.
std::atomic<uint64_t> running_seed{0};
void name_the_seed(int) {
    std::fprintf(stderr, "aborted in seed %" PRIu64 "\n", running_seed.load());
}

}  // namespace

std::string_view to_string(Seen seen) {
    switch (seen) {
        case Seen::CrashAtDurable:
            return "crash left durable(), newer writes lost";
        case Seen::CrashInBetween:
            return "crash left more than durable(), not all";
        case Seen::CrashAtWritten:
            return "crash left all, though not yet durable";
        case Seen::CrashNothingToLose:
            return "crash with all durable";
        case Seen::InstallCarriedWrites:
            return "install carried earlier writes over a crash";
        case Seen::InstallCutBefore:
            return "install cut: had not happened";
        case Seen::InstallCutAfter:
            return "install cut: had happened";
        case Seen::StagedInSteps:
            return "staged in pieces, with writes between";
        case Seen::StagedRefused:
            return "piece refused: no space";
        case Seen::StagedLost:
            return "crash with staged content";
        case Seen::StagedThrownAway:
            return "staged content thrown away";
        case Seen::CleanReopen:
            return "clean close and reopen";
        case Seen::Stalled:
            return "write refused: stalled";
        case Seen::StallEnded:
            return "stall ended";
        case Seen::Full:
            return "write refused: disk full";
        case Seen::SpaceReturned:
            return "space returned";
        case Seen::FailedForGood:
            return "background error";
        case Seen::DamageReported:
            return "damage reported by a read";
        case Seen::DamageHarmless:
            return "damage met by no read";
        case Seen::OpenRefused:
            return "damage reported by open";
        case Seen::WouldBlock:
            return "try_get would block";
        case Seen::AsyncRead:
            return "asynchronous read";
        case Seen::SnapshotOutlivedChanges:
            return "snapshot older than the state";
        case Seen::ScanLimited:
            return "scan stopped at its entries";
        case Seen::ScanLimitedByBytes:
            return "scan stopped at its bytes";
        case Seen::Count_:
            break;
    }
    return "?";
}

std::string Outcome::describe() const {
    std::string text =
        std::to_string(sequences) + " sequences, " + std::to_string(steps) + " steps\n";
    for (size_t i = 0; i < seen.size(); ++i) {
        std::string count = std::to_string(seen[i]);
        text += std::string(count.size() < 9 ? 9 - count.size() : 1, ' ') + count + "  " +
                std::string(to_string(static_cast<Seen>(i))) + "\n";
    }
    for (const auto& failure : failures)
        text += "FAILED " + failure + "\n";
    return text;
}

Outcome run_conformance(Subject& subject, uint64_t first_seed, uint64_t sequences) {
    Outcome outcome;
    std::signal(SIGABRT, name_the_seed);
    if (const char* text = std::getenv("CONFORMANCE_SEED"))
        first_seed = std::strtoull(text, nullptr, 10);
    for (uint64_t i = 0; i < sequences && outcome.failures.size() < 3; ++i) {
        const uint64_t seed = first_seed + i;
        running_seed = seed;
        ++outcome.sequences;
        std::string failure = Sequence(subject, seed, outcome).run();
        if (!failure.empty())
            outcome.failures.push_back("seed " + std::to_string(seed) + ": " + failure);
    }
    return outcome;
}

uint64_t sequences_asked_for(uint64_t otherwise) {
    const char* text = std::getenv("CONFORMANCE_SEQUENCES");
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace asterias::engine
