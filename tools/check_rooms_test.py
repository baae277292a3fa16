#!/usr/bin/python3
"""check_rooms.py must find what it is for: each case is a small tree with one thing wrong."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_rooms  # noqa: E402
import small_tree  # noqa: E402

ROOMS = """base|src/base||
port|src/port|base|
core/raft|src/core/raft|base|
core/kv|src/core/kv|base|
engine/mem|src/engine/mem|base;port|
engine/rocks|src/engine/rocks|base;port|engine/mem
runtime/epoll|src/runtime/epoll|base;port|
service/node|src/service/node|base;port;core/raft|
sim|sim|base;port;core/raft|
app|src/app|base|
"""


class Tree(small_tree.SmallTree):
    FILES = {"build/rooms.txt": ROOMS, "src/base/ids.h": "#pragma once\n"}

    def findings(self):
        rooms = check_rooms.read_rooms(self.root / "build/rooms.txt")
        checker = check_rooms.Checker(self.root, rooms)
        checker.run()
        return checker.findings


class Includes(Tree):
    def test_declared_room_is_fine(self):
        self.write("src/core/raft/core.cc", '#include "base/ids.h"\n#include "core/raft/core.h"\n')
        self.assert_clean()

    def test_undeclared_room_is_found(self):
        self.write("src/core/raft/core.cc", '\n#include "port/task.h"\n')
        self.assert_one("src/core/raft/core.cc:2", "does not list port")

    def test_undeclared_sibling_is_found(self):
        self.write("src/core/raft/core.cc", '#include "core/kv/state.h"\n')
        self.assert_one("does not list core/kv")

    def test_upward_include_is_found(self):
        self.write("src/base/ids.cc", '#include "core/raft/core.h"\n')
        self.assert_one("base does not list core/raft")

    def test_include_without_its_room_is_found(self):
        self.write("src/core/raft/core.cc", '#include "core.h"\n')
        self.assert_one("in no room", "from the include root")

    def test_commented_include_is_not_one(self):
        self.write(
            "src/core/raft/core.cc", '// #include "port/task.h"\n/*\n#include "app/x.h"\n*/\n'
        )
        self.assert_clean()

    def test_test_deps_hold_in_tests_only(self):
        self.write("src/engine/rocks/rocks_test.cc", '#include "engine/mem/engine.h"\n')
        self.assert_clean()
        self.write("src/engine/rocks/rocks.cc", '#include "engine/mem/engine.h"\n')
        self.assert_one("src/engine/rocks/rocks.cc:1", "engine/rocks does not list engine/mem")

    def test_file_in_no_room_is_found(self):
        self.write("src/misc/util.h", "")
        self.assert_one("src/misc/util.h:1 lies in no room")

    def test_room_outside_src_is_checked(self):
        self.write("sim/world.cc", '#include "sim/world.h"\n#include "app/main.h"\n')
        self.assert_one("sim/world.cc:2", "sim does not list app")


class Heavy(Tree):
    def test_heavy_header_in_the_wrong_room_is_found(self):
        self.write("src/service/node/node.cc", "#include <openssl/ssl.h>\n")
        self.assert_one("src/service/node/node.cc:1", "which is for app/tls, runtime/epoll")

    def test_heavy_header_in_its_room_is_fine_in_a_cc(self):
        self.write("src/runtime/epoll/net.cc", "#include <openssl/err.h>\n")
        self.write("src/runtime/epoll/net_internal.h", "#include <openssl/ssl.h>\n")
        self.assert_clean()

    def test_heavy_header_in_a_public_header_is_found(self):
        self.write("src/engine/rocks/engine.h", "#include <rocksdb/db.h>\n")
        self.assert_one("in a header", "factory")

    def test_formatting_library_in_a_header_is_found(self):
        self.write("src/core/raft/core.h", "#include <fmt/format.h>\n")
        self.assert_one("in a header")

    def test_quoted_heavy_include_is_found(self):
        self.write("src/core/raft/core.cc", '#include "rocksdb/db.h"\n')
        self.assertIn("which is for engine/rocks", self.findings()[0])


class Purity(Tree):
    BAD = {
        "clock": [
            "auto t = std::chrono::steady_clock::now();",
            "auto t = std::time(nullptr);",
            "clock_gettime(CLOCK_MONOTONIC, &ts);",
        ],
        "thread": ["std::thread t;", "thread_local int x;", "pthread_create(&t, 0, f, 0);"],
        "sleep": ["std::this_thread::sleep_for(d);", "usleep(5);"],
        "mutex": ["std::mutex m;", "std::atomic<int> n;", "std::lock_guard lock(m);"],
        "random": ["std::random_device seed;", "int x = rand();", "std::mt19937 gen;"],
        "socket": ["#include <sys/socket.h>", "#include <netinet/in.h>"],
        "file": ["#include <fcntl.h>", "#include <fstream>", 'auto* f = std::fopen(name, "r");'],
        "environment": ['auto* home = std::getenv("HOME");'],
        "print": ['std::printf("x");', "std::cerr << 1;", 'std::fprintf(stderr, "x");'],
        "exit": ["std::abort();", "::exit(1);"],
    }

    def test_every_rule_has_a_bad_sample(self):
        self.assertEqual(set(self.BAD), check_rooms.ALL)

    def test_bad_samples_are_found_in_a_core(self):
        for name, samples in self.BAD.items():
            text = next(r.text for r in check_rooms.RULES if r.name == name)
            for sample in samples:
                with self.subTest(sample=sample):
                    self.write("src/core/raft/vote.cc", f"\n\n{sample}\n")
                    self.assertIn(f"src/core/raft/vote.cc:3 {text}", self.findings())

    def test_message_says_what_to_take_instead(self):
        self.write("src/core/raft/vote.cc", "auto t = std::chrono::system_clock::now();\n")
        self.assert_one(
            "src/core/raft/vote.cc:1 asks the wall clock. Take Input::now",
            "(ARCHITECTURE.md, Time)",
        )

    def test_services_are_bound_too(self):
        self.write("src/service/node/node.cc", "auto t = std::chrono::system_clock::now();\n")
        self.assert_one("asks the wall clock")

    def test_the_worldly_rooms_are_free(self):
        for room in ("runtime/epoll", "engine/rocks", "app"):
            self.write(f"src/{room}/x.cc", "std::mutex m; std::chrono::steady_clock::now();\n")
        self.assert_clean()

    def test_comments_and_strings_are_not_code(self):
        self.write(
            "src/core/raft/vote.cc",
            '// steady_clock\n/* std::mutex\n rand() */ auto s = "std::thread getenv";\n'
            'auto r = R"(random_device)"; char c = \'"\'; // rand()\n',
        )
        self.assert_clean()

    def test_members_of_the_same_name_are_not_calls(self):
        self.write(
            "src/core/raft/vote.cc",
            "x.time(0); shard.clock(); prng->rand(); std::snprintf(b, n, f); txn.abort();\n",
        )
        self.assert_clean()

    def test_tests_may_read_files_but_not_the_clock(self):
        self.write("src/core/raft/core_test.cc", "#include <fstream>\n#include <filesystem>\n")
        self.assert_clean()
        self.write("src/core/raft/core_test.cc", "auto t = std::chrono::steady_clock::now();\n")
        self.assert_one("asks the wall clock")

    def test_what_only_tests_include_is_bound_like_tests(self):
        self.write("src/core/raft/raft_test_node.h", "#pragma once\n#include <fstream>\n")
        self.assert_clean()

    def test_the_simulator_may_print_but_not_ask_the_time(self):
        self.write("sim/main.cc", 'std::printf("seed 1");\n')
        self.assert_clean()
        self.write("sim/world.cc", "std::random_device seed;\n")
        self.assert_one("draws randomness")

    def test_engine_mem_may_lock(self):
        self.write("src/engine/mem/engine.cc", "std::mutex m;\n")
        self.assert_clean()


class Allowances(Tree):
    def test_an_allowance_silences_its_rule_in_its_file_only(self):
        self.write("tools/rooms_allow.txt", "# why\nsrc/base/count.h | mutex | counted anywhere\n")
        self.write("src/base/count.h", "std::atomic<int> n;\n")
        self.assert_clean()
        self.write("src/base/other.h", "std::atomic<int> n;\n")
        self.assert_one("src/base/other.h:1")

    def test_an_allowance_that_nobody_needs_is_found(self):
        self.write("tools/rooms_allow.txt", "src/base/ids.h | mutex | no longer true\n")
        self.assert_one("rooms_allow.txt:1", "Remove the line")

    def test_an_allowance_without_a_reason_is_found(self):
        self.write("tools/rooms_allow.txt", "src/base/ids.h | mutex\n")
        self.assert_one("is not `file | rule | reason`")

    def test_an_allowance_of_an_unknown_rule_is_found(self):
        self.write("tools/rooms_allow.txt", "src/base/ids.h | clokc | typo\n")
        self.assert_one("names no rule: clokc")


if __name__ == "__main__":
    unittest.main()
