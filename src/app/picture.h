// app/picture.h: a cluster at one moment, as all its nodes tell of it: what `asterias top` shows.
// Threading: one owner; it asks the nodes on threads of its own.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/probe.h"
#include "app/view.h"

namespace asterias::app {

struct Picture {
    struct Node {
        uint64_t node = 0;
        std::string door, http;  // http empty: nobody told of it
        bool answers = false;
        std::optional<double> commands;  // a second; no value: not known yet
        std::optional<double> sync_us;   // mean of the interval; no value: none was made
        double connections = 0;
        std::optional<Probe::Seen> reads;
    };
    struct Group {
        View::Group said;  // by its leader, else by whoever holds it
        std::optional<double> commands;
        uint64_t behind = 0;  // entries that the last copy lacks, as its leader knows
    };
    std::string cluster;
    double seconds = 0;  // since the picture before
    std::vector<Node> nodes;
    std::vector<Group> groups;

    bool well() const;
};

class Photographer {
public:
    Photographer(port::Address first, Access access)
        : http_{{0, std::move(first)}}, access_(std::move(access)) {}
    // Error: no node answered at all.
    Result<Picture> take();

private:
    struct Said {
        std::optional<View> view;
        std::map<std::string, double> counters;
    };
    using Clock = std::chrono::steady_clock;
    void learn();
    std::map<uint64_t, Said> ask_all(Error& trouble);
    void add_nodes(Picture& picture, std::map<uint64_t, Said>& said);
    void add_groups(Picture& picture, const std::map<uint64_t, Said>& said);
    // The growth of a counter over all its labels that begin so, a second.
    std::optional<double> rate(uint64_t node, const Said& now, const std::string& name) const;

    std::map<uint64_t, port::Address> http_;  // by node; 0: the first, until it said who it is
    const Access access_;
    std::map<uint64_t, std::unique_ptr<Probe>> probes_;
    std::map<uint64_t, std::map<std::string, double>> before_;
    std::optional<Clock::time_point> taken_, learnt_;
    std::set<uint64_t> answered_;  // the last time
    bool complete_ = false;        // all nodes were known and answered
    double seconds_ = 0;
};

}  // namespace asterias::app
