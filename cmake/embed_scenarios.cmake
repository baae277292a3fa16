# cmake -DOUT=FILE -DTEXTS="a.txt;b.txt" -P embed_scenarios.cmake: a .cc that defines
# house_scenarios() (sim/scenarios.h) with these texts; the name of each is its file's.
set(entries)
foreach(path IN LISTS TEXTS)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} text)
  string(APPEND entries "    {\"${name}\", R\"scenario(${text})scenario\"},\n")
endforeach()
file(WRITE ${OUT} "// Made of sim/scenarios by cmake/embed_scenarios.cmake.
#include \"sim/scenarios.h\"

namespace asterias::sim {

std::span<const HouseScenario> house_scenarios() {
    static constexpr HouseScenario kScenarios[] = {
${entries}    };
    return kScenarios;
}

}  // namespace asterias::sim
")
