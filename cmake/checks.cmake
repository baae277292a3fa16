# The checks of the house as ctest entries, beside the unit tests of the rooms. Labels: unit (one
# per room), house (these), slow, interop. `ctest --test-dir build/release -L house` takes a second
# or two when everything is built.

# Debian's own interpreter: a python3 earlier in the path may not see Debian's modules.
set(PYTHON /usr/bin/python3)

# A target outside `all`, built by a test: its failure is an answer, not a broken build.
function(target_test name target)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target ${target})
  # One ninja at a time in one build directory.
  set_tests_properties(${name} PROPERTIES LABELS house RESOURCE_LOCK build_directory)
endfunction()

function(house_test name)
  add_test(NAME ${name} COMMAND ${PYTHON} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS house)
endfunction()

if(NOT ASTERIAS_FUZZ)
  set(rooms_args --root ${CMAKE_SOURCE_DIR} --rooms ${CMAKE_BINARY_DIR}/rooms.txt)
  house_test(rooms tools/check_rooms.py ${rooms_args})
  house_test(rooms_self_test tools/check_rooms_test.py)
  house_test(tidy tools/tidy.py ${rooms_args})
  house_test(tidy_self_test tools/tidy_test.py)
  house_test(tally_self_test tools/run_tests_test.py)
  house_test(compat_self_test tests/compat/suites_test.py)
  add_test(NAME format COMMAND ${CMAKE_SOURCE_DIR}/dev fmt --check)
  set_tests_properties(format PROPERTIES LABELS house)

  # Every public header compiles alone; every room links whole with only what it declares.
  target_test(headers all_verify_interface_header_sets)
  target_test(links link_tests)
endif()

# The simulator, briefly: each scenario, and runs that must repeat themselves. The long form is
# `./dev proof`.
function(sim_test name)
  add_test(NAME sim_${name} COMMAND asterias-sim ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(sim_${name} PROPERTIES LABELS sim)
endfunction()

if(NOT ASTERIAS_FUZZ)
  # Neither a socket library nor RocksDB: what runs there is simulated.
  add_test(NAME sim_links_nothing COMMAND sh -c
           "! ldd $<TARGET_FILE:asterias-sim> | grep -E 'rocksdb|ssl|crypto|boost'")
  set_tests_properties(sim_links_nothing PROPERTIES LABELS sim)
  add_test(NAME mutants_listed COMMAND tools/mutants_listed.sh $<TARGET_FILE:asterias-sim>
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(mutants_listed PROPERTIES LABELS house)
  sim_test(swarm --seeds 20)
  sim_test(repeats --seeds 3 --from 100 --twice)
  foreach(scenario basic clocks crash disk partition reads shards3 votes wire hunt starts limits
          engine strangers replies rot directory_twin directory_copied directory_lost directory_old
          pauses
          slow_disk members keyspaces keyspaces_all_keys keyspaces_drops spans
          snapshots rollbacks slow_links figure8 aba stranded oneway bridge
          unsynced
          wrong_clocks rot_votes witness removed_leader snapshot_compaction joint
          loss cut crash_loop oneway_long bridge_long expiry expiry_clocks)
    sim_test(${scenario} --seeds 2 --scenario sim/scenarios/${scenario}.txt)
  endforeach()
endif()
