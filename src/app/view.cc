#include "app/view.h"

#include <algorithm>
#include <cstdlib>

#include "app/local_cluster.h"

namespace asterias::app {
namespace {

// The fields of one object of our own JSON, which stand between two places.
class Fields {
public:
    Fields(const std::string& json, size_t from, size_t to) : json_(json), from_(from), to_(to) {}
    std::string text(const char* name) const {
        const size_t at = json_.find("\"" + std::string(name) + "\":", from_);
        return at < to_ ? json_field(json_, name, at) : "";
    }
    uint64_t number(const char* name) const {
        return std::strtoull(text(name).c_str(), nullptr, 10);
    }

private:
    const std::string& json_;
    const size_t from_, to_;
};

// Each object in [from, to) that begins so: where it begins and ends.
std::vector<std::pair<size_t, size_t>> each(const std::string& json, std::string_view begins,
                                            size_t from, size_t to) {
    std::vector<std::pair<size_t, size_t>> found;
    for (size_t at = json.find(begins, from); at < to; at = json.find(begins, at + 1)) {
        if (!found.empty()) found.back().second = at;
        found.emplace_back(at, to);
    }
    return found;
}

}  // namespace

View view_of(const std::string& json) {
    View view;
    const size_t groups = std::min(json.find("\"groups\":["), json.size());
    const size_t shards = std::min(json.find("\"shards\":["), json.size());
    const Fields head(json, 0, groups);
    view.cluster = head.text("cluster");
    view.node = head.number("node");
    view.incarnation = head.text("incarnation");
    for (const auto& [from, to] : each(json, "{\"node\":", json.find("\"members\":["), groups)) {
        const Fields f(json, from, to);
        view.members.push_back({f.number("node"), f.text("peer"), f.text("door"),
                                f.text("connected") != "false", f.text("since")});
    }
    for (const auto& [from, to] : each(json, "{\"group\":", groups, shards)) {
        const size_t peers = std::min(json.find("\"peers\":[", from), to);
        const Fields f(json, from, peers);
        View::Group g;
        g.group = f.number("group");
        g.leader = f.number("leader");
        g.term = f.number("term");
        g.commit = f.number("commit");
        g.applied = f.number("applied");
        g.last = f.number("last");
        g.keyspace = f.text("keyspace");
        g.role = f.text("role");
        g.copies = f.text("copies");
        g.wanted = f.text("wanted");
        g.below = f.text("below");
        if (g.role == "stopped") g.stopped = f.text("why");
        for (const auto& [begin, end] : each(json, "{\"node\":", peers, to)) {
            const Fields p(json, begin, end);
            g.peers.push_back({p.number("node"), p.number("match"), p.text("heard") == "true"});
        }
        view.groups.push_back(std::move(g));
    }
    return view;
}

std::map<std::string, double> metrics_in(const std::string& text) {
    std::map<std::string, double> values;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        const size_t space = line.rfind(' ');
        if (!line.starts_with('#') && space != std::string::npos)
            values[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
        at = end + 1;
    }
    return values;
}

}  // namespace asterias::app
