// app/concepts.h: the rows of docs/map.md, which is built into the program. Threading: pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace asterias::app {

// The text of docs/map.md (made by cmake/embed_map.cmake).
std::string_view map_text();

struct Concept {
    std::string number, name, expected, state, see, proof, where;
    bool there() const { return state != "not yet"; }
};
std::vector<Concept> concepts_in(std::string_view markdown);

}  // namespace asterias::app
