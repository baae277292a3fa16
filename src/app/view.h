// app/view.h: what one node says of its cluster (GET /status) and counts of itself (GET /metrics),
// read. Threading: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace asterias::app {

struct View {
    struct Member {
        uint64_t node = 0;
        std::string peer, door;  // addresses: of its peer port, of its Redis door
        bool connected = true;   // of the node that was asked, to it
        std::string since;       // when not: since when, in words
    };
    struct Copy {
        uint64_t node = 0, match = 0;
        bool heard = true;
    };
    struct Group {
        uint64_t group = 0, leader = 0, term = 0, commit = 0, applied = 0, last = 0;
        std::string keyspace, role, copies, wanted;  // copies empty: not known
        std::string below, stopped;                  // what is wrong; empty: nothing
        std::vector<Copy> peers;                     // where it is led

        bool well() const { return leader != 0 && below.empty() && stopped.empty(); }
    };
    std::string cluster, incarnation;
    uint64_t node = 0;
    std::vector<Member> members;
    std::vector<Group> groups;
};

View view_of(const std::string& status_json);
// Prometheus text: the value of each line, by what stands before it: `name{labels}`.
std::map<std::string, double> metrics_in(const std::string& text);

}  // namespace asterias::app
