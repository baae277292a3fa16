# cmake -DOUT=FILE -DMAP=docs/map.md -P embed_map.cmake: a .cc that defines map_text()
# (src/app/concepts.h) with this text.
file(READ ${MAP} text)
file(WRITE ${OUT} "// Made of docs/map.md by cmake/embed_map.cmake.
#include \"app/concepts.h\"

namespace asterias::app {

std::string_view map_text() { return R\"map(${text})map\"; }

}  // namespace asterias::app
")
