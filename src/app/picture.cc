#include "app/picture.h"

#include <algorithm>

#include "app/local_cluster.h"

namespace asterias::app {
namespace {

constexpr Duration kPatience = seconds(1);
// A node that is asked for the others' doors waits for them, for those that hang, too.
constexpr Duration kLearnPatience = seconds(3);
constexpr std::chrono::seconds kLearnAgain{5};

double sum_of(const std::map<std::string, double>& counters, const std::string& name) {
    double sum = 0;
    for (auto it = counters.lower_bound(name); it != counters.end(); ++it) {
        if (!it->first.starts_with(name)) break;
        if (it->first.size() == name.size() || name.back() == '}' || it->first[name.size()] == '{')
            sum += it->second;
    }
    return sum;
}

}  // namespace

bool Picture::well() const {
    return std::all_of(nodes.begin(), nodes.end(), [](const Node& n) { return n.answers; }) &&
           std::all_of(groups.begin(), groups.end(), [](const Group& g) { return g.said.well(); });
}

Result<Picture> Photographer::take() {
    learn();
    const auto now = Clock::now();
    seconds_ = taken_ ? std::chrono::duration<double>(now - *taken_).count() : 0;
    taken_ = now;
    Error trouble{Errc::Unavailable, "no node answered"};
    auto said = ask_all(trouble);
    if (said.empty()) return std::unexpected(trouble);
    Picture picture;
    picture.seconds = seconds_;
    picture.cluster = said.begin()->second.view->cluster;
    add_nodes(picture, said);
    add_groups(picture, said);
    complete_ = std::all_of(picture.nodes.begin(), picture.nodes.end(),
                            [](const Picture::Node& n) { return n.answers; });
    answered_.clear();
    for (auto& [node, each] : said) {
        answered_.insert(node);
        before_[node] = std::move(each.counters);
    }
    return picture;
}

// Nodes that were away tell of their doors when they are back; who has told once is known.
void Photographer::learn() {
    if (learnt_ && (complete_ || Clock::now() - *learnt_ < kLearnAgain)) return;
    learnt_ = Clock::now();
    std::vector<port::Address> doors;  // first those that will answer
    for (const bool lately : {true, false})
        for (const auto& [node, address] : http_)
            if (answered_.contains(node) == lately) doors.push_back(address);
    for (const auto& door : doors) {
        const auto told = http_get(door, "/v1/nodes", kLearnPatience);
        if (!told) continue;
        for (size_t at = told->find("{\"node\":"); at != std::string::npos;
             at = told->find("{\"node\":", at + 1)) {
            auto http = port::Address::parse(json_field(*told, "http", at));
            if (http) http_[std::stoull("0" + json_field(*told, "node", at))] = *http;
        }
        break;
    }
    // The one that was named is among them by its number, unless it is under another address.
    if (http_.size() > 1)
        std::erase_if(http_, [&](const auto& each) {
            return each.first == 0 &&
                   std::any_of(http_.begin(), http_.end(), [&](const auto& other) {
                       return other.first != 0 && other.second == each.second;
                   });
        });
}

std::map<uint64_t, Photographer::Said> Photographer::ask_all(Error& trouble) {
    std::vector<port::Address> doors;
    for (const auto& [node, address] : http_)
        doors.push_back(address);
    std::vector<Said> answers(doors.size());
    std::vector<Error> errors(doors.size(), trouble);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < doors.size(); ++i)
        threads.emplace_back([&, i] {
            const auto status = http_get(doors[i], "/status", kPatience);
            if (!status) {
                errors[i] = status.error();
                return;
            }
            answers[i].view = view_of(*status);
            if (const auto metrics = http_get(doors[i], "/metrics", kPatience))
                answers[i].counters = metrics_in(*metrics);
        });
    for (auto& thread : threads)
        thread.join();
    std::map<uint64_t, Said> said;
    for (size_t i = 0; i < doors.size(); ++i)
        if (answers[i].view)
            said[answers[i].view->node] = std::move(answers[i]);
        else
            trouble = errors[i];
    return said;
}

std::optional<double> Photographer::rate(uint64_t node, const Said& now,
                                         const std::string& name) const {
    const auto before = before_.find(node);
    if (before == before_.end() || before->second.empty() || now.counters.empty() || seconds_ <= 0)
        return std::nullopt;
    const double then = sum_of(before->second, name), today = sum_of(now.counters, name);
    // It began anew in between.
    return (today < then ? today : today - then) / seconds_;
}

void Photographer::add_nodes(Picture& picture, std::map<uint64_t, Said>& said) {
    for (const auto& member : said.begin()->second.view->members) {
        Picture::Node node;
        node.node = member.node;
        node.door = member.door;
        if (const auto http = http_.find(member.node); http != http_.end())
            node.http = http->second.describe();
        if (const auto it = said.find(member.node); it != said.end()) {
            node.answers = true;
            node.connections = sum_of(it->second.counters, "asterias_resp_connections");
            node.commands = rate(member.node, it->second, "asterias_resp_commands_total");
            const auto time =
                rate(member.node, it->second, "asterias_journal_sync_microseconds_sum");
            const auto count =
                rate(member.node, it->second, "asterias_journal_sync_microseconds_count");
            if (time && count && *count > 0) node.sync_us = *time / *count;
        }
        auto& probe = probes_[member.node];
        if (!probe)
            if (auto door = port::Address::parse(member.door))
                probe = std::make_unique<Probe>(std::move(*door), access_);
        if (probe) node.reads = probe->take();
        picture.nodes.push_back(std::move(node));
    }
}

void Photographer::add_groups(Picture& picture, const std::map<uint64_t, Said>& said) {
    std::map<uint64_t, Picture::Group> groups;
    for (const auto& [node, each] : said)
        for (const auto& g : each.view->groups) {
            auto& group = groups[g.group];
            const std::string name =
                "asterias_group_commands_total{group=\"" + std::to_string(g.group) + "\"}";
            if (const auto commands = rate(node, each, name))
                group.commands = group.commands.value_or(0) + *commands;
            // Its leader knows best, of several that think so the one of the highest term.
            const auto weight = [](const View::Group& v) {
                return std::pair(v.role == "Leader", v.term);
            };
            if (group.said.group == 0 || weight(g) > weight(group.said)) group.said = g;
        }
    for (auto& [id, group] : groups) {
        for (const auto& copy : group.said.peers)
            if (group.said.role == "Leader")
                group.behind =
                    std::max(group.behind, group.said.last - std::min(group.said.last, copy.match));
        picture.groups.push_back(std::move(group));
    }
}

}  // namespace asterias::app
