# The house plan: every room and what it may look into. The single source of truth; ARCHITECTURE.md
# explains it, tools/check_rooms.py checks the includes against it, the link_* targets prove it.

# Group matrix: what a group of rooms may look into (ARCHITECTURE.md, "The house").
set(MAY_base)
set(MAY_test_support base)
set(MAY_wire base)
set(MAY_port base)
set(MAY_core base wire core)
set(MAY_proto base wire)
set(MAY_journal base wire port)
set(MAY_runtime base wire port)
set(MAY_engine base wire port)
set(MAY_service base wire core port journal service)
set(MAY_edge base wire proto core port service)
set(MAY_sim base wire core proto port journal runtime engine service edge sim)
# app looks into sim, the other composition root, because `asterias sim` is a command of the
# program: whoever has the program can test what it promises. sim never looks into app.
set(MAY_app base wire core proto port journal runtime engine service edge sim app)

set(ASTERIAS_ROOM_LIST "" CACHE INTERNAL "")

# room(NAME [DEPS room...] [HEAVY target...] [SOURCE_DIR dir]
#      [TEST_DEPS room...] [TEST_HEAVY target...])
#   DEPS   rooms whose headers this room may include; linked PUBLIC; must be declared above.
#   HEAVY  outside libraries of this room only; linked PRIVATE: they never leak into a header.
#   TEST_DEPS, TEST_HEAVY  more rooms and libraries for this room's tests; outside the group matrix.
# *_test.cc beside the code become one test binary per room; *_fuzz.cc one fuzzer each.
function(room name)
  cmake_parse_arguments(R "" "SOURCE_DIR" "DEPS;HEAVY;TEST_DEPS;TEST_HEAVY" ${ARGN})
  string(REGEX REPLACE "/.*" "" group ${name})
  string(REPLACE "/" "_" id ${name})
  set(dir src/${name})
  if(R_SOURCE_DIR)
    set(dir ${R_SOURCE_DIR})
  endif()
  set(libs)
  foreach(dep IN LISTS R_DEPS)
    string(REGEX REPLACE "/.*" "" dep_group ${dep})
    string(REPLACE "/" "_" dep_id ${dep})
    if(NOT dep_group IN_LIST MAY_${group})
      message(FATAL_ERROR "${name} lists ${dep}: ${group} looks into {${MAY_${group}}} "
                          "(ARCHITECTURE.md, The house)")
    elseif(NOT TARGET asterias_${dep_id})
      message(FATAL_ERROR "${name} lists ${dep}, not declared above it: rooms go bottom-up, so "
                          "there are no cycles")
    endif()
    list(APPEND libs asterias_${dep_id})
  endforeach()
  file(GLOB srcs CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB hdrs CONFIGURE_DEPENDS ${dir}/*.h)
  set(tests ${srcs})
  set(fuzzers ${srcs})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER hdrs EXCLUDE REGEX "_test_[^/]*\\.h$")  # shared by a room's tests, not part of it
  list(FILTER srcs EXCLUDE REGEX "(_test|_fuzz|/main)\\.cc$")
  if(NOT srcs)
    set(srcs cmake/empty_room.cc)  # a header-only room is a static target, too: all are alike
  endif()
  add_library(asterias_${id} STATIC ${srcs})
  set(base_dirs src)
  if(R_SOURCE_DIR)
    set(base_dirs .)
  endif()
  target_sources(asterias_${id} PUBLIC FILE_SET HEADERS BASE_DIRS ${base_dirs} FILES ${hdrs})
  target_link_libraries(asterias_${id} PUBLIC ${libs} PRIVATE ${R_HEAVY})
  set_target_properties(asterias_${id} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

  # Link test: the whole room with only what it declares (FoundationDB's trick).
  add_executable(link_${id} EXCLUDE_FROM_ALL cmake/empty_main.cc)
  target_link_libraries(link_${id} PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,asterias_${id}>")
  set_property(GLOBAL APPEND PROPERTY ASTERIAS_LINK_TESTS link_${id})

  if(tests AND NOT ASTERIAS_FUZZ)
    foreach(dep IN LISTS R_TEST_DEPS)
      string(REPLACE "/" "_" dep_id ${dep})
      list(APPEND test_libs asterias_${dep_id})
    endforeach()
    add_executable(test_${id} ${tests})
    # In the preset `mutants` every test binary takes its planted bug from MUTANT=name.
    set(test_main GTest::gtest_main)
    if(ASTERIAS_MUTANTS)
      target_sources(test_${id} PRIVATE cmake/mutants_main.cc)
      set(test_main asterias_base GTest::gtest)
    endif()
    target_link_libraries(test_${id} PRIVATE asterias_${id} ${test_libs} ${R_TEST_HEAVY}
                                             ${test_main})
    target_compile_definitions(test_${id} PRIVATE
                               ASTERIAS_TESTDATA="${CMAKE_SOURCE_DIR}/${dir}/testdata")
    add_test(NAME ${name} COMMAND test_${id})
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
  if(ASTERIAS_FUZZ)
    foreach(fuzzer IN LISTS fuzzers)
      get_filename_component(fuzz_name ${fuzzer} NAME_WE)
      add_executable(${fuzz_name} ${fuzzer})
      target_link_libraries(${fuzz_name} PRIVATE asterias_${id})
      target_link_options(${fuzz_name} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
  set_property(GLOBAL APPEND_STRING PROPERTY ASTERIAS_ROOMS
               "${name}|${dir}|${R_DEPS}|${R_TEST_DEPS}\n")
endfunction()

# ---------------------------------------------------------------------------------------------
room(base)
room(test_support    DEPS base               SOURCE_DIR test_support)  # for TEST_DEPS of any room
room(wire            DEPS base)
room(port            DEPS base)
room(core/raft       DEPS base wire          TEST_DEPS test_support)
room(core/kv         DEPS base wire)
room(core/session    DEPS base wire core/kv)
room(core/catalogue  DEPS base wire core/kv)
room(proto/resp      DEPS base)
room(runtime/sim     DEPS base port)
room(journal         DEPS base wire port     TEST_DEPS runtime/sim)
room(runtime/epoll   DEPS base port          HEAVY Threads::Threads OpenSSL::SSL
                     TEST_HEAVY OpenSSL::SSL)
room(engine/conformance DEPS base port)  # tests only: nothing of the product links it
room(engine/mem      DEPS base port          TEST_DEPS engine/conformance)
room(engine/rocks    DEPS base port          HEAVY RocksDB::rocksdb Threads::Threads
                     TEST_DEPS engine/conformance TEST_HEAVY RocksDB::rocksdb)
# src/engine/rocks/job_keys.cc
target_link_options(asterias_engine_rocks INTERFACE
    LINKER:--wrap=_ZN7rocksdb15CompactionState15SmallestUserKeyEv
    LINKER:--wrap=_ZN7rocksdb15CompactionState14LargestUserKeyEv)
room(service/execute DEPS base core/kv)
room(service/rpc     DEPS base wire port     TEST_DEPS runtime/sim)
room(service/replica DEPS base wire core/kv core/session core/catalogue core/raft port journal
                     service/execute
                     TEST_DEPS runtime/sim engine/mem)
room(service/router  DEPS base core/kv core/catalogue core/raft port service/execute service/replica
                     TEST_DEPS runtime/sim)
room(service/pubsub  DEPS base wire port service/rpc TEST_DEPS runtime/sim)
room(service/node    DEPS base wire core/kv core/catalogue core/raft port journal service/execute
                     service/rpc service/pubsub service/replica service/router
                     TEST_DEPS runtime/sim engine/mem)
room(edge/resp       DEPS base core/kv port proto/resp service/execute service/pubsub
                     TEST_DEPS runtime/sim)
room(edge/http       DEPS base port          TEST_DEPS runtime/sim)
room(sim/check       DEPS base                SOURCE_DIR sim/check)
room(sim/scenario    DEPS base sim/check      SOURCE_DIR sim/scenario)
room(sim/world       DEPS base wire core/kv core/catalogue core/raft port proto/resp runtime/sim
                     engine/mem service/execute service/rpc service/pubsub service/replica
                     service/node edge/resp sim/check sim/scenario
                     SOURCE_DIR sim/world)
room(sim/strategy    DEPS base wire core/kv port service/execute service/rpc edge/resp sim/world
                     SOURCE_DIR sim/strategy)
room(sim             DEPS base sim/check sim/scenario sim/world  SOURCE_DIR sim
                     HEAVY CLI11::CLI11)
room(sim/explore     DEPS base wire core/raft TEST_DEPS test_support
                     SOURCE_DIR sim/explore)  # tests only: the product never links it
# The texts of its scenarios are part of the program.
file(GLOB scenarios CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sim/scenarios/*.txt)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/house_scenarios.cc
                   COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/house_scenarios.cc
                           "-DTEXTS=${scenarios}" -P ${CMAKE_SOURCE_DIR}/cmake/embed_scenarios.cmake
                   DEPENDS ${scenarios} cmake/embed_scenarios.cmake VERBATIM)
target_sources(asterias_sim PRIVATE ${CMAKE_BINARY_DIR}/house_scenarios.cc)
room(app/config      DEPS base core/kv port proto/resp service/execute service/router service/rpc
                     service/replica service/node edge/resp edge/http runtime/epoll)
room(app/tls         DEPS base               HEAVY OpenSSL::SSL)
room(app/load        DEPS base proto/resp app/tls)
room(app             DEPS base core/kv port proto/resp runtime/epoll engine/rocks service/execute
                     service/router service/rpc service/pubsub service/replica service/node
                     edge/resp edge/http sim app/config app/tls app/load
                     HEAVY fmt::fmt spdlog::spdlog CLI11::CLI11 Threads::Threads)
# So is the map.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/house_map.cc
                   COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/house_map.cc
                           -DMAP=${CMAKE_SOURCE_DIR}/docs/map.md
                           -P ${CMAKE_SOURCE_DIR}/cmake/embed_map.cmake
                   DEPENDS docs/map.md cmake/embed_map.cmake VERBATIM)
target_sources(asterias_app PRIVATE ${CMAKE_BINARY_DIR}/house_map.cc)

add_executable(asterias src/app/main.cc)
target_link_libraries(asterias PRIVATE asterias_app CLI11::CLI11)
add_executable(asterias-sim sim/main.cc)
target_link_libraries(asterias-sim PRIVATE asterias_sim)

add_executable(raft-explore sim/explore/main.cc)
target_link_libraries(raft-explore PRIVATE asterias_sim_explore)

# Judges histories that real clients recorded: tests/kill_nodes.py.
add_executable(check-history sim/check/main.cc)
target_link_libraries(check-history PRIVATE asterias_sim_check)

get_property(rooms GLOBAL PROPERTY ASTERIAS_ROOMS)
file(WRITE ${CMAKE_BINARY_DIR}/rooms.txt "${rooms}")
get_property(link_tests GLOBAL PROPERTY ASTERIAS_LINK_TESTS)
add_custom_target(link_tests DEPENDS ${link_tests})
