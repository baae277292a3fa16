#include "sim/check/search.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <unordered_set>

#include "base/check.h"

namespace asterias::sim {

namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;
constexpr Slot kDead = kNoSlot;  // stands for every value that no reply can tell from another

// One operation, prepared. Items are numbered by rising lo.
struct Item {
    const ModelOp* op = nullptr;
    uint32_t input = 0;  // index into the span
    Duration lo{0}, hi = kNever;
    bool certain = true;
    bool pure = false;  // its reply says that it changed nothing
    uint32_t chain = kNone, place = 0;
    uint32_t previous_certain = kNone;  // the nearest certain one before it in its chain
    uint32_t twins = kNone;             // group of items with the same effect, free to swap
};

struct Step {
    uint32_t item;
    bool late;
    uint32_t undo_size;
    Duration max_lo;
    uint32_t chain_top;
    uint32_t end_done;
};

struct Choice {
    uint32_t item;
    bool late;
};

struct Frame {
    std::vector<Choice> choices;
    size_t next = 0;
    size_t trail = 0;
};

class Search {
public:
    Search(Model& model, std::span<const SearchOp> ops) : model_(model) {
        count_watchers(ops);
        find_plain(ops);
        make_items(ops);
        make_chains(ops);
        make_twins();
        link();
        state_ = model.initial();
    }

    SearchResult run(uint64_t steps_max);
    std::string explain(const SearchResult& result);
    // A violation that needs no search, as a sentence; else empty.
    std::string clash() const;

private:
    struct Zone;
    std::vector<Zone> zones() const;
    std::string clash_of(const Zone& held, const Zone& other) const;
    void count_watchers(std::span<const SearchOp> ops);
    void find_plain(std::span<const SearchOp> ops);
    void make_items(std::span<const SearchOp> ops);
    void make_chains(std::span<const SearchOp> ops);
    void make_twins();
    void link();

    uint32_t watchers(Slot slot) const { return slot < watchers_.size() ? watchers_[slot] : 0; }
    bool unseen(const ModelOp& op) const {
        return std::all_of(op.written.begin(), op.written.end(),
                           [&](Slot slot) { return watchers(slot) == 0; });
    }
    // Some INCR may go on from it; from all that are no numbers none does.
    bool counts(uint32_t key, Slot slot) const { return counted_[key] && model_.number(slot); }
    void watch(const ModelOp& op, int change);
    void scan();
    bool alive(uint32_t item) const;
    bool eligible(uint32_t item) const;
    bool safe_first(uint32_t item) const;
    bool hides(const ModelOp& op) const;
    bool harmless(const Item& item) const;
    bool dominated(uint32_t item) const;
    void settle();
    std::vector<Choice> choices();
    bool remember();
    void take(uint32_t item, bool late = false);
    void undo_to(size_t trail);
    void note_best();

    Model& model_;
    std::vector<Item> items_;
    std::vector<uint32_t> keys_;      // of this search
    std::vector<bool> plain_;         // by key: only blind writes and reads; never expires
    std::vector<bool> counted_;       // by key: some INCR
    std::vector<uint32_t> watchers_;  // by slot: certain items, not done, that must see it
    // By key that only rises: the numbers that certain items, not done, must still meet.
    std::map<uint32_t, std::map<int64_t, uint32_t>> numbers_;
    std::vector<uint32_t> uncertain_;
    bool bounded_uncertain_ = false;  // some uncertain item has a last time

    State state_;
    std::vector<bool> done_;
    std::vector<uint32_t> next_, previous_;  // list of items not done, with a sentinel at the end
    std::vector<uint32_t> chain_top_;        // by chain: 1 + highest place done
    Duration max_lo_{std::numeric_limits<int64_t>::min()};
    uint32_t end_done_ = 0;  // 1 + highest item done
    size_t certain_left_ = 0;
    std::vector<Step> trail_;
    std::vector<Write> undo_, changes_;
    std::vector<uint32_t> window_;
    std::unordered_set<std::string> seen_;
    uint64_t steps_ = 0;
    size_t best_left_ = std::numeric_limits<size_t>::max();
    std::vector<uint32_t> best_, best_late_;
};

void Search::watch(const ModelOp& op, int change) {
    const auto one = [&](Slot slot) {
        watchers_[slot] += change;
        const uint32_t key = model_.key_of(slot);
        if (!model_.rising(key) || !model_.number(slot)) return;
        const auto at = numbers_[key].try_emplace(*model_.number(slot), 0).first;
        at->second += change;
        if (at->second == 0) numbers_[key].erase(at);
    };
    for (const Slot slot : op.seen)
        one(slot);
    if (op.before != kNoSlot) one(op.before);
}

void Search::count_watchers(std::span<const SearchOp> ops) {
    watchers_.assign(model_.slots(), 0);
    for (const SearchOp& op : ops)
        if (op.certain) watch(model_.ops()[op.op], 1);
}

void Search::find_plain(std::span<const SearchOp> ops) {
    plain_.assign(model_.keys(), true);
    counted_.assign(model_.keys(), false);
    for (const SearchOp& op : ops) {
        const ModelOp& m = model_.ops()[op.op];
        keys_.insert(keys_.end(), m.keys.begin(), m.keys.end());
        if (m.kind == OpKind::Wipe)
            for (const uint32_t key : m.keys)
                plain_[key] = false;
        if (m.kind == OpKind::Incr) counted_[m.keys[0]] = true;
        if (m.kind == OpKind::Incr || m.kind == OpKind::Del || m.kind == OpKind::SetNx ||
            m.kind == OpKind::SetPx)
            plain_[m.keys[0]] = false;
        if (m.kind != OpKind::SetPx) continue;
        keys_.push_back(model_.deadline_of(m.keys[0]));
        plain_[keys_.back()] = false;
    }
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
}

void Search::make_items(std::span<const SearchOp> ops) {
    for (uint32_t i = 0; i < ops.size(); ++i) {
        const ModelOp& m = model_.ops()[ops[i].op];
        const bool plain =
            std::all_of(m.keys.begin(), m.keys.end(), [&](uint32_t key) { return plain_[key]; });
        // An uncertain blind write that nobody saw may as well never have happened.
        if (!ops[i].certain && plain && unseen(m)) continue;
        const bool refused =
            m.answered && (m.kind == OpKind::Incr                             ? !m.number
                           : m.kind == OpKind::Del || m.kind == OpKind::SetNx ? m.number == 0
                                                                              : false);
        items_.push_back({.op = &m,
                          .input = i,
                          .lo = ops[i].lo,
                          .hi = ops[i].hi,
                          .certain = ops[i].certain,
                          .pure = is_read(m.kind) || refused});
    }
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
        return std::tie(a.lo, a.hi, a.input) < std::tie(b.lo, b.hi, b.input);
    });
    for (uint32_t i = 0; i < items_.size(); ++i) {
        certain_left_ += items_[i].certain;
        if (items_[i].certain) continue;
        uncertain_.push_back(i);
        bounded_uncertain_ = bounded_uncertain_ || items_[i].hi != kNever;
    }
}

void Search::make_chains(std::span<const SearchOp> ops) {
    std::map<uint64_t, std::vector<std::pair<uint64_t, uint32_t>>> chains;
    for (uint32_t i = 0; i < items_.size(); ++i) {
        const SearchOp& op = ops[items_[i].input];
        if (op.chain != 0) chains[op.chain].push_back({op.place, i});
    }
    for (auto& [name, members] : chains) {
        std::sort(members.begin(), members.end());
        uint32_t previous = kNone;
        for (uint32_t place = 0; place < members.size(); ++place) {
            Item& item = items_[members[place].second];
            item.chain = static_cast<uint32_t>(chain_top_.size());
            item.place = place;
            item.previous_certain = previous;
            if (item.certain) previous = members[place].second;
        }
        chain_top_.push_back(0);
    }
}

// Twins have the same effect and no neighbour in their chain that could be in flight together with
// them, so that two twins may swap places in an order whenever their windows allow it.
void Search::make_twins() {
    std::vector<std::vector<uint32_t>> chains(chain_top_.size());
    for (uint32_t i = 0; i < items_.size(); ++i)
        if (items_[i].chain != kNone) chains[items_[i].chain].push_back(i);
    const auto is_free = [&](const Item& item) {
        if (item.chain == kNone) return true;
        for (const uint32_t other : chains[item.chain]) {
            const Item& mate = items_[other];
            if (mate.place < item.place && !(mate.certain && mate.hi < item.lo)) return false;
            if (mate.place > item.place && !(item.hi < mate.lo)) return false;
        }
        return true;
    };
    using Effect =
        std::tuple<OpKind, bool, std::vector<uint32_t>, std::vector<Slot>, int64_t, Slot>;
    std::map<Effect, uint32_t> groups;
    for (Item& item : items_) {
        const ModelOp& op = *item.op;
        const bool told = op.kind == OpKind::Incr && item.certain;  // its reply singles it out
        if (item.pure || told || !is_free(item)) continue;
        std::vector<Slot> written = op.written;
        for (size_t k = 0; k < written.size(); ++k)
            if (watchers(written[k]) == 0 && !counts(op.keys[k], written[k])) written[k] = kDead;
        // Answers of DEL and SETNX: 1 here, as 0 is pure; an uncertain one demands nothing.
        const Effect effect{op.kind,    item.certain && op.answered, op.keys, written, op.amount,
                            op.deadline};
        item.twins = groups.emplace(effect, static_cast<uint32_t>(groups.size())).first->second;
    }
}

void Search::link() {
    const auto n = static_cast<uint32_t>(items_.size());
    done_.assign(n, false);
    next_.resize(n + 1);
    previous_.resize(n + 1);
    for (uint32_t i = 0; i <= n; ++i) {
        next_[i] = i == n ? 0 : i + 1;
        previous_[i] = i == 0 ? n : i - 1;
    }
}

// window_ = the items that may be next as far as windows in time go: none that begins after a
// certain item, not done, must have ended.
void Search::scan() {
    window_.clear();
    Duration horizon = kNever;
    const auto end = static_cast<uint32_t>(items_.size());
    for (uint32_t i = next_[end]; i != end && items_[i].lo <= horizon; i = next_[i]) {
        window_.push_back(i);
        if (items_[i].certain) horizon = std::min(horizon, items_[i].hi);
    }
    std::erase_if(window_, [&](uint32_t i) { return items_[i].lo > horizon; });
}

// Not overtaken: for an uncertain item that nothing done so far forces it to stay out.
bool Search::alive(uint32_t i) const {
    const Item& item = items_[i];
    return item.certain ||
           (item.hi >= max_lo_ && (item.chain == kNone || chain_top_[item.chain] <= item.place));
}

bool Search::eligible(uint32_t i) const {
    const Item& item = items_[i];
    return alive(i) && (item.previous_certain == kNone || done_[item.previous_certain]);
}

// Whether taking it now takes no chance from an uncertain item.
bool Search::safe_first(uint32_t i) const {
    const Item& item = items_[i];
    for (const uint32_t u : uncertain_) {
        if (done_[u] || u == i || !alive(u)) continue;
        const bool overtaken =
            item.chain != kNone && items_[u].chain == item.chain && items_[u].place < item.place;
        if (items_[u].hi < item.lo || overtaken) return false;
    }
    return true;
}

// Whether changes_ would overwrite a value that somebody must still see and that never returns, or
// step over a number that does not come again.
bool Search::hides(const ModelOp& op) const {
    for (const Write& change : changes_) {
        const Slot now = state_[change.key];
        const uint32_t own = op.before == now ? 1 : 0;
        if (model_.unique(now) && watchers(now) > own) return true;
        if (!model_.rising(change.key)) continue;
        const auto wanted = numbers_.find(change.key);
        if (wanted == numbers_.end()) continue;
        auto first = wanted->second.begin();
        if (first != wanted->second.end() && first->first == model_.number(now) &&
            first->second == own)
            ++first;
        if (first != wanted->second.end() && first->first < model_.number(change.slot)) return true;
    }
    return false;
}

// A blind write of values that nobody will see over values that nobody will see any more: moving
// it to the front of any order that explains the rest leaves every reply as it is.
bool Search::harmless(const Item& item) const {
    const ModelOp& op = *item.op;
    if (!item.certain || (op.kind != OpKind::Set && op.kind != OpKind::MSet)) return false;
    for (size_t k = 0; k < op.keys.size(); ++k)
        if (!plain_[op.keys[k]] || watchers(state_[op.keys[k]]) != 0) return false;
    return unseen(op);
}

// Whether a twin that could be next as well must end no later: then any order that begins with this
// one can be turned into one that begins with the twin. (A later lo could overtake an uncertain
// item that has a last time.)
bool Search::dominated(uint32_t i) const {
    const Item& item = items_[i];
    if (item.twins == kNone) return false;
    for (const uint32_t other : window_) {
        const Item& twin = items_[other];
        if (other == i || twin.twins != item.twins || twin.certain != item.certain) continue;
        if (!eligible(other) || std::tie(twin.hi, other) > std::tie(item.hi, i)) continue;
        if (twin.lo <= item.lo || !bounded_uncertain_) return true;
    }
    return false;
}

// Takes what can be taken without losing an answer. A reply that changes nothing and fits now can
// move to the front of any order that explains the rest.
void Search::settle() {
    for (bool progress = true; progress && certain_left_ > 0;) {
        progress = false;
        scan();
        for (const uint32_t i : window_) {
            const Item& item = items_[i];
            if (!item.certain || !eligible(i)) continue;
            // That a key has expired is a change, though a read shows it.
            const bool fits =
                item.pure && model_.step(*item.op, state_, changes_) && changes_.empty();
            if ((!fits && !harmless(item)) || !safe_first(i)) continue;
            if (!fits) (void)model_.step(*item.op, state_, changes_);
            take(i);
            progress = true;
            break;
        }
    }
}

std::vector<Choice> Search::choices() {
    std::vector<Choice> found;
    scan();
    for (const uint32_t i : window_) {
        const Item& item = items_[i];
        if (!eligible(i) || dominated(i)) continue;
        for (const bool late : {false, true}) {
            if (late && !model_.two_ways(*item.op, state_)) continue;
            if (!model_.step(*item.op, state_, changes_, late) || hides(*item.op)) continue;
            if (item.certain || !changes_.empty()) found.push_back({i, late});
        }
    }
    // Earliest deadline first, and what may never have happened last.
    std::sort(found.begin(), found.end(), [&](const Choice& a, const Choice& b) {
        return std::tuple(!items_[a.item].certain, items_[a.item].hi, a.item, a.late) <
               std::tuple(!items_[b.item].certain, items_[b.item].hi, b.item, b.late);
    });
    return found;
}

// False if this set of done items was seen with this state. Values that no reply can tell apart
// count as one.
bool Search::remember() {
    const auto n = static_cast<uint32_t>(items_.size());
    const uint32_t first = next_[n];
    std::string key(reinterpret_cast<const char*>(&first), sizeof first);
    for (const uint32_t k : keys_) {
        Slot slot = state_[k];
        if (!model_.is_timed(k) && watchers(slot) == 0 &&
            (plain_[k] || (!counts(k, slot) && !model_.is_nil(slot))))
            slot = kDead;
        key.append(reinterpret_cast<const char*>(&slot), sizeof slot);
    }
    uint8_t bits = 0;
    for (uint32_t i = first; i < end_done_; ++i) {
        bits = static_cast<uint8_t>(bits << 1 | done_[i]);
        if ((i - first) % 8 != 7 && i + 1 != end_done_) continue;
        key += static_cast<char>(bits);
        bits = 0;
    }
    key.append(reinterpret_cast<const char*>(&end_done_), sizeof end_done_);
    return seen_.insert(std::move(key)).second;
}

void Search::take(uint32_t i, bool late) {
    ++steps_;
    Item& item = items_[i];
    trail_.push_back({i, late, static_cast<uint32_t>(undo_.size()), max_lo_,
                      item.chain == kNone ? 0 : chain_top_[item.chain], end_done_});
    end_done_ = std::max(end_done_, i + 1);
    for (const Write& change : changes_) {
        undo_.push_back({change.key, state_[change.key]});
        state_[change.key] = change.slot;
    }
    max_lo_ = std::max(max_lo_, item.lo);
    if (item.chain != kNone)
        chain_top_[item.chain] = std::max(chain_top_[item.chain], item.place + 1);
    if (item.certain) {
        --certain_left_;
        watch(*item.op, -1);
    }
    done_[i] = true;
    next_[previous_[i]] = next_[i];
    previous_[next_[i]] = previous_[i];
}

void Search::undo_to(size_t size) {
    while (trail_.size() > size) {
        const Step step = trail_.back();
        trail_.pop_back();
        const uint32_t i = step.item;
        next_[previous_[i]] = i;
        previous_[next_[i]] = i;
        done_[i] = false;
        if (items_[i].certain) {
            ++certain_left_;
            watch(*items_[i].op, 1);
        }
        if (items_[i].chain != kNone) chain_top_[items_[i].chain] = step.chain_top;
        max_lo_ = step.max_lo;
        end_done_ = step.end_done;
        while (undo_.size() > step.undo_size) {
            state_[undo_.back().key] = undo_.back().slot;
            undo_.pop_back();
        }
    }
}

void Search::note_best() {
    if (certain_left_ >= best_left_) return;
    best_left_ = certain_left_;
    best_.clear();
    best_late_.clear();
    for (const Step& step : trail_) {
        best_.push_back(items_[step.item].input);
        if (step.late) best_late_.push_back(best_.back());
    }
}

// When a value was there: written by `first_end` (the earliest end of those who wrote or saw it),
// not gone before `last_begin` (their latest beginning).
struct Search::Zone {
    Slot slot = kNoSlot;
    Duration first_end = kNever, last_begin{std::numeric_limits<int64_t>::min()};
    const ModelOp *ended = nullptr, *began = nullptr;

    void add(const Item& item) {
        if (item.hi < first_end) first_end = item.hi, ended = item.op;
        if (item.lo > last_begin) last_begin = item.lo, began = item.op;
    }
};

std::vector<Search::Zone> Search::zones() const {
    std::map<Slot, Zone> found;
    for (const Item& item : items_) {
        if (!item.certain) continue;
        for (const Slot slot : item.op->seen)
            if (model_.unique(slot)) found[slot].add(item);
        for (const Slot slot : item.op->written) {
            const auto producer = model_.producer(slot);
            if (producer && &model_.ops()[*producer] == item.op) found[slot].add(item);
        }
    }
    std::vector<Zone> zones;
    for (auto& [slot, zone] : found) {
        zone.slot = slot;
        if (model_.is_nil(slot)) zone.first_end = Duration(std::numeric_limits<int64_t>::min());
        zones.push_back(zone);
    }
    std::sort(zones.begin(), zones.end(), [&](const Zone& a, const Zone& b) {
        return std::tuple(model_.key_of(a.slot), a.first_end, a.slot) <
               std::tuple(model_.key_of(b.slot), b.first_end, b.slot);
    });
    return zones;
}

std::string Search::clash_of(const Zone& held, const Zone& other) const {
    std::string out = model_.key_name(model_.key_of(held.slot)) + " holds " +
                      model_.describe(held.slot) + " without a break from ";
    out += held.first_end < Duration(0) ? "the start"
                                        : "the end of\n    " + print(*held.ended->source);
    out += "\n  to the beginning of\n    " + print(*held.began->source) + "\n  but " +
           model_.describe(other.slot) + " came and was there within that time, as shown by\n    " +
           print(*other.began->source) + "\n";
    if (other.ended != other.began) out += "    " + print(*other.ended->source) + "\n";
    return out;
}

std::string Search::clash() const {
    for (const Item& item : items_)
        if (item.certain && item.lo > item.hi)
            return "there is no moment at which this can have taken effect:\n    " +
                   print(*item.op->source) + "\n";
    const std::vector<Zone> all = zones();
    std::vector<const Zone*> held;  // zones with a length; of one key and disjoint, as checked
    for (const Zone& zone : all) {
        if (zone.first_end >= zone.last_begin) continue;
        if (!held.empty() && model_.key_of(held.back()->slot) == model_.key_of(zone.slot) &&
            zone.first_end < held.back()->last_begin)
            return clash_of(*held.back(), zone);
        held.push_back(&zone);
    }
    for (const Zone& zone : all) {
        if (zone.first_end < zone.last_begin) continue;
        // The last of its key that was held before somebody met this value.
        const auto after = std::partition_point(held.begin(), held.end(), [&](const Zone* h) {
            return std::tuple(model_.key_of(h->slot), h->first_end) <
                   std::tuple(model_.key_of(zone.slot), zone.last_begin);
        });
        if (after == held.begin()) continue;
        const Zone& before = **(after - 1);
        if (model_.key_of(before.slot) == model_.key_of(zone.slot) &&
            zone.first_end < before.last_begin)
            return clash_of(before, zone);
    }
    return "";
}

SearchResult Search::run(uint64_t steps_max) {
    const auto result = [&](Verdict verdict) {
        note_best();
        return SearchResult{verdict, steps_, best_, best_late_, {}};
    };
    settle();
    if (certain_left_ == 0) return result(Verdict::Pass);
    std::vector<Frame> frames;
    frames.push_back({choices(), 0, trail_.size()});
    while (!frames.empty()) {
        Frame& frame = frames.back();
        if (trail_.size() > frame.trail) {
            note_best();
            undo_to(frame.trail);
        }
        if (frame.next == frame.choices.size()) {
            note_best();
            frames.pop_back();
            continue;
        }
        const auto [i, late] = frame.choices[frame.next++];
        (void)model_.step(*items_[i].op, state_, changes_, late);
        take(i, late);
        settle();
        if (certain_left_ == 0) return result(Verdict::Pass);
        if (steps_ > steps_max) return result(Verdict::Undecided);
        if (remember()) frames.push_back({choices(), 0, trail_.size()});
    }
    return result(Verdict::Violation);
}

std::string Search::explain(const SearchResult& result) {
    const std::vector<uint32_t>& order = result.order;
    constexpr size_t kShown = 8;
    std::vector<uint32_t> item_of;
    for (uint32_t i = 0; i < items_.size(); ++i) {
        item_of.resize(std::max<size_t>(item_of.size(), items_[i].input + 1), kNone);
        item_of[items_[i].input] = i;
    }
    const auto values = [&](const ModelOp& op) {
        std::string out;
        for (const uint32_t key : op.keys)
            out += " " + model_.key_name(key) + "=" + model_.describe(state_[key]) +
                   (model_.may_expire(key, state_) ? " until it expires" : "");
        return out;
    };
    std::string out = "The longest order that explains its replies has " +
                      std::to_string(order.size()) + " operations" +
                      (order.size() > kShown ? ", at its end:\n"
                       : order.empty()       ? ".\n"
                                             : ":\n");
    for (size_t n = 0; n < order.size(); ++n) {
        const uint32_t i = item_of[order[n]];
        const bool late = std::ranges::find(result.late, order[n]) != result.late.end();
        (void)model_.step(*items_[i].op, state_, changes_, late);
        take(i);
        if (n + kShown >= order.size())
            out += "    " + print(*items_[i].op->source) + "   then" + values(*items_[i].op) + "\n";
    }
    scan();
    out += "Then none of these can be next:\n";
    size_t shown = 0;
    for (const uint32_t i : window_) {
        const Item& item = items_[i];
        if (!item.certain || ++shown > kShown) continue;
        std::string why = "that leads nowhere";
        if (!model_.step(*item.op, state_, changes_))
            why = "but there is" + values(*item.op);
        else if (hides(*item.op))
            why = "that would hide" + values(*item.op) + " from somebody who saw it later";
        else if (!eligible(i))
            why = "an earlier command of its connection must come first";
        out += "    " + print(*item.op->source) + "   " + why + "\n";
    }
    return out;
}

}  // namespace

SearchResult search(Model& model, std::span<const SearchOp> ops, uint64_t steps_max) {
    Search one(model, ops);
    std::string clash = one.clash();
    // With a clash the search only looks for a long order to show.
    const uint64_t enough = 1000 + 4 * ops.size();
    SearchResult result = one.run(clash.empty() ? steps_max : std::min(steps_max, enough));
    if (!clash.empty()) {
        CHECK(result.verdict != Verdict::Pass, "an order that exists has no clash");
        result.verdict = Verdict::Violation;
        result.clash = std::move(clash);
    }
    return result;
}

std::string explain(Model& model, std::span<const SearchOp> ops, const SearchResult& result) {
    const std::string clash = result.clash.empty() ? "" : "Because " + result.clash;
    return clash + Search(model, ops).explain(result);
}

}  // namespace asterias::sim
