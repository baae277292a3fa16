// Keys on their way from one group to another (R5).
#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/mutant.h"
#include "core/catalogue/boundary.h"
#include "core/kv/span.h"
#include "service/router/router.h"

namespace asterias::router {
namespace {

std::set<std::string, std::less<>> names_of(const kv::Command& command) {
    std::set<std::string, std::less<>> names;
    command.for_each_key([&](const Bytes& key) {
        if (const auto name = catalogue::prefix_of(key.view())) names.emplace(*name);
    });
    return names;
}

}  // namespace

const Keyspace& Catalogue::named(std::string_view name) const {
    for (const auto& k : keyspaces)
        if (k.name == name) return k;
    return keyspaces.front();
}

const Keyspace& Catalogue::of(std::string_view key) const {
    const auto name = catalogue::prefix_of(key);
    return name ? named(*name) : keyspaces.front();
}

Router::Wanted Router::look_at(const kv::Command& command) const {
    Wanted wanted;
    command.for_each_key([&](const Bytes& key) {
        const Keyspace& of = catalogue_.of(key.view());
        wanted.crosses |= wanted.keyspace && wanted.keyspace->id != of.id;
        wanted.waits |= !of.group;
        wanted.keyspace = &of;
        if (unsettled_.empty()) return;
        const auto name = catalogue::prefix_of(key.view());
        wanted.waits |= name && unsettled_.contains(*name);
    });
    if (command.spans() && !MUTANT(router_spans_do_not_wait))
        wanted.waits |=
            catalogue_.moving || !unsettled_.empty() || catalogue_.generation < command.generation;
    if (command.on_all_keys()) {
        for (const auto& k : catalogue_.keyspaces)
            if (k.id == command.keyspace || !command.keyspace)
                return {&k, false, wanted.waits || !k.group};
        return wanted;
    }
    // Of a transaction FLUSHDB means the keys of all keyspaces, too.
    if (command.flushes()) {
        wanted.crosses |= catalogue_.keyspaces.size() > 1;
        wanted.keyspace = &catalogue_.keyspaces.front();
    }
    CHECK(wanted.keyspace, "a command names its keys, or means all");
    // Where keys are that wait is not known yet.
    wanted.crosses &= !wanted.waits;
    return wanted;
}

void Router::list_keyspaces() {
    auto listing = std::make_shared<execute::Listing>();
    listing->generation = catalogue_.generation;
    for (const auto& k : catalogue_.keyspaces)
        listing->keyspaces.push_back(k.id);
    std::ranges::sort(listing->keyspaces);
    listing_ = std::move(listing);
}

// `behind`: something that came before it waits.
bool Router::must_wait(const Wanted& wanted, const Parked& what, bool behind) const {
    return wanted.waits ||
           (what.command.spans() && (behind || catalogue_.generation <= what.above));
}

void Router::park(uint64_t serial, Parked what) {
    if (parked_.size() >= options_.inflight_max)
        return fail_later(std::move(what.done), execute::kBusy);
    for (const auto& name : names_of(what.command)) {
        Unsettled& unsettled = unsettled_[name];
        unsettled.above = std::max(unsettled.above, what.above);
    }
    parked_.emplace(serial, std::move(what));
    wake();
}

// Certainly not done, and no copy of it will be: its refusal is its answer, in that group's log.
void Router::park_moved(Group& g, size_t index) {
    moved_.add();
    Flight& f = g.flights[index];
    f.resolved = true;
    park(f.serial,
         {f.deadline, f.stream, std::move(f.command), std::move(f.done), g.id, f.generation});
}

// The group is gone. What nobody there can have done finds its way anew, and so does what cannot be
// done twice: to all keys of nothing.
void Router::leave(Group& g) {
    for (size_t i = 0; i < g.flights.size(); ++i)
        if (const Flight& f = g.flights[i];
            !f.resolved && !f.internal && (!f.maybe_done() || f.command.on_all_keys()))
            park_moved(g, i);
    drop_resolved(g);
}

void Router::set_catalogue(Catalogue catalogue,
                           const std::map<GroupId, std::vector<NodeId>>& members) {
    const bool older = catalogue.generation <= catalogue_.generation;
    if (older && !MUTANT(router_older_catalogue_taken)) return;
    for (const auto& [id, nodes] : members) {
        if (groups_.contains(id)) continue;
        Group& g = groups_[id];
        g.id = id;
        g.members = nodes;
        for (const NodeId node : nodes_)
            if (std::ranges::find(g.members, node) == g.members.end()) g.members.push_back(node);
    }
    // What is under way to where a name was is answered before anything goes to where it is.
    for (const auto* list : {&catalogue_.keyspaces, &catalogue.keyspaces})
        for (const auto& k : *list)
            if (catalogue_.named(k.name).group != catalogue.named(k.name).group &&
                !MUTANT(router_moved_keys_overtake))
                unsettled_.try_emplace(k.name);
    catalogue_ = std::move(catalogue);
    list_keyspaces();
    for (auto& [id, g] : groups_)
        if (!members.contains(id)) leave(g);
    std::erase_if(groups_, [&](const auto& entry) {
        return entry.second.flights.empty() && !members.contains(entry.first);
    });
    wake();
}

// Names that are where the catalogue says, with nothing under way to where they were.
void Router::forget_settled() {
    std::set<std::string_view> busy;
    for (const auto& [id, g] : groups_)
        for (const auto& f : g.flights) {
            if (f.resolved || f.internal) continue;
            f.command.for_each_key([&, group = id](const Bytes& key) {
                const auto name = catalogue::prefix_of(key.view());
                if (!name) return;
                const auto it = unsettled_.find(*name);
                if (it != unsettled_.end() && catalogue_.named(*name).group != group)
                    busy.insert(it->first);
            });
        }
    std::erase_if(unsettled_, [&](const auto& entry) {
        return catalogue_.named(entry.first).group && catalogue_.generation > entry.second.above &&
               !busy.contains(entry.first);
    });
}

void Router::settle() {
    if (unsettled_.empty() && parked_.empty()) return;
    const auto before = unsettled_;
    forget_settled();
    bool behind = false;
    // In their order: behind one that still waits, its names wait, too.
    for (auto it = parked_.begin(); it != parked_.end();) {
        const Wanted wanted = look_at(it->second.command);
        if (must_wait(wanted, it->second, behind)) {
            behind = true;
            for (const auto& name : names_of(it->second.command))
                if (const auto was = before.find(name); was != before.end())
                    unsettled_.insert(*was);
            ++it;
            continue;
        }
        auto node = parked_.extract(it++);
        release(node.key(), std::move(node.mapped()), wanted);
    }
}

void Router::release(uint64_t serial, Parked what, const Wanted& wanted) {
    if (wanted.crosses) return fail_later(std::move(what.done), execute::kCrossKeyspace);
    if (!wanted.keyspace)
        return shard_.post(
            [done = std::move(what.done), op = what.command.op, listing = listing_]() mutable {
                done({kv::nothing_there(op), {}, std::move(listing)});
            });
    // Later commands of its connection may have been done there meanwhile; whoever asks for all
    // keys sends none.
    if (what.refused_by == wanted.keyspace->group && !what.command.on_all_keys())
        return fail_later(std::move(what.done), execute::kTryAgain);
    what.command.keyspace = wanted.keyspace->id;
    depart(groups_.at(wanted.keyspace->group), serial, std::move(what), false);
}

void Router::expire_parked(Instant now) {
    for (auto it = parked_.begin(); it != parked_.end();) {
        const auto here = it++;
        if (here->second.deadline > now) continue;
        auto node = parked_.extract(here);
        fail_later(std::move(node.mapped().done), execute::kOnTheirWay);
    }
}

std::string Router::describe() const {
    std::string text = std::to_string(catalogue_.generation);
    for (const auto& k : catalogue_.keyspaces)
        text += " " + k.name + "@" + to_string(k.group);
    if (!unsettled_.empty()) text += ", " + std::to_string(parked_.size()) + " wait for";
    for (const auto& [name, unsettled] : unsettled_)
        text += " " + name + " above " + std::to_string(unsettled.above);
    return text;
}

}  // namespace asterias::router
