#!/usr/bin/python3
"""tidy.py must find what it is for: each case is a small tree with one thing wrong."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import small_tree  # noqa: E402
import tidy  # noqa: E402

ADR = (
    "# 1\n\nStatus: accepted\n\n## Context\n## Options\n## Decision\n## Consequences\n"
    "## Revisit when\n"
)
MAP = "".join(f"| {n} | concept | expectation | not yet | | |\n" for n in range(1, 129))


def long_function(lines):
    return "int f(int x) {\n" + "    x += 1;\n" * (lines - 2) + "}\n"


class Tree(small_tree.SmallTree):
    FILES = {
        "ARCHITECTURE.md": "# A\n\n## Code map\n\n`base` and `core/raft`.\n\n## Time\n",
        "docs/map.md": MAP,
    }

    def run_tidy(self):
        checker = tidy.Tidy(self.root, {"base": "src/base", "core/raft": "src/core/raft"})
        checker.run()
        return checker

    def findings(self):
        return self.run_tidy().findings


class Text(Tree):
    def test_the_empty_tree_is_clean(self):
        self.assert_clean()

    def test_wide_line_is_found_and_a_url_excused(self):
        self.write("tools/x.py", "# " + "a" * 99 + "\n")
        self.assert_one("tools/x.py:1 is 101 columns wide")
        self.write("tools/x.py", "# https://example.org/" + "a" * 99 + "\n")
        self.assert_clean()

    def test_a_table_may_be_wide(self):
        wide = "// " + "a" * 120 + "\n"
        self.write("src/base/t.h", "#pragma once\n// clang-format off\n" + wide)
        self.assert_clean()
        self.write("src/base/t.h", "#pragma once\n// clang-format off\n// clang-format on\n" + wide)
        self.assert_one("src/base/t.h:4 is 123 columns wide")
        self.write("src/base/t.h", '#pragma once\nauto x = "// clang-format off";\n' + wide)
        self.assert_one("src/base/t.h:3 is 123 columns wide")

    def test_tab_is_found(self):
        self.write("README.md", "a\tb\n")
        self.assert_one("README.md:1 has a tab")

    def test_trailing_blank_is_found_outside_testdata(self):
        self.write("README.md", "a \n")
        self.assert_one("README.md:1 ends in blanks")
        self.write("README.md", "a\n")
        self.write("src/core/raft/testdata/x.txt", "a \n\tb\n")
        self.assert_clean()

    def test_missing_newline_is_found(self):
        self.write("README.md", "a")
        self.assert_one("does not end with a newline")

    def test_unfinished_work_is_found(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX"):
            self.write("README.md", f"later ({word}: more)\n")
            self.assert_one("README.md:1 leaves something unfinished")

    def test_machine_path_is_found_and_similar_words_are_not(self):
        self.write("README.md", "see /" "work/shared/x\n")
        self.assert_one("README.md:1 names a path of one machine")
        self.write("README.md", "a network/work/flow, ~/work/x, https://e.org/home/x, ./root/y\n")
        self.assert_clean()

    def test_header_without_pragma_once_is_found(self):
        self.write("src/base/x.h", "// base/x.h\n#include <string>\n")
        self.assert_one("src/base/x.h:1 has no `#pragma once`")

    def test_dead_link_is_found(self):
        self.write("README.md", "[a](docs/map.md) [b](https://e.org) [c](docs/gone.md#x)\n")
        self.assert_one("links to docs/gone.md")


class Length(Tree):
    def test_long_file_is_found_and_a_longish_one_warned_of(self):
        self.write("tools/x.py", "x = 1\n" * 1001)
        self.assert_one("has 1001 lines")
        self.write("tools/x.py", "x = 1\n" * 900)
        checker = self.run_tidy()
        self.assertEqual(checker.findings, [])
        self.assertEqual(len(checker.warnings), 1)

    def test_long_function_is_found_and_a_longish_one_warned_of(self):
        self.write("src/base/README.md", "x\n")
        self.write("src/base/x.cc", "namespace a {\n" + long_function(101) + "}\n")
        self.assert_one("src/base/x.cc:2 f has 101 lines")
        self.write("src/base/x.cc", long_function(71))
        self.assertIn("f has 71 lines", self.run_tidy().warnings[0])
        self.write("src/base/x.cc", long_function(70))
        self.assertEqual(self.run_tidy().warnings, [])

    def test_long_class_is_no_long_function(self):
        methods = "    int f(int x) { return x; }\n" * 150
        self.write("src/base/x.h", "#pragma once\nclass A {\npublic:\n" + methods + "};\n")
        self.assert_clean()

    def test_a_ratchet_lets_shrink_and_not_grow(self):
        self.write("src/base/README.md", "x\n")
        self.write("tools/tidy_allow.txt", "src/base/x.cc | f | 150 | one table\n")
        self.write("src/base/x.cc", long_function(150))
        self.assert_clean()
        self.write("src/base/x.cc", long_function(151))
        self.assert_one("f has grown from 150 to 151")
        self.write("src/base/x.cc", long_function(60))
        self.assert_one("Remove the line")

    def test_functions_are_told_from_other_braces(self):
        text = """namespace n {
enum class E { A, B };
struct S {
    int a = 0;
    int get() const {
        if (a) { return 1; }
        return 2;
    }
};
const char* s = "{";  // }
int f(
    int x) {
    auto g = [&](int y) { return y; };
    for (;;) { g(x); }
}
#define M(x) do { x; } while (0)
TEST(A, B) { f(1); }
}
"""
        self.assertEqual(
            [(name, count) for name, _, count in tidy.functions(text)],
            [("get", 4), ("f", 5), ("TEST", 1)],
        )


class House(Tree):
    def test_room_with_code_and_no_readme_is_found(self):
        self.write("src/core/raft/core.cc", "int x;\n")
        self.assert_one("src/core/raft/README.md:1 is not there", "core/raft")

    def test_room_that_the_code_map_forgets_is_found(self):
        self.write("ARCHITECTURE.md", "## Code map\n`base`\n\n## Time\n`core/raft`\n")
        self.assert_one("does not name the room `core/raft`")

    def test_room_that_the_code_map_invents_is_found(self):
        self.write(
            "ARCHITECTURE.md", "## Code map\n`base` `core/raft` `core/gone` `std/any`\n\n## T\n"
        )
        self.assert_one("names `core/gone` in its code map, which is no room")

    def test_planned_room_is_excused_until_it_stands(self):
        self.write("ARCHITECTURE.md", "## Code map\n`base` `core/raft` `core/kv`\n\n## T\n")
        self.write("tools/rooms_planned.txt", "# soon\ncore/kv\n")
        self.assert_clean()
        self.write("tools/rooms_planned.txt", "core/kv\ncore/raft\n")
        self.assert_one("still lists core/raft, which stands")

    def test_matrix_that_differs_from_the_plan_is_found(self):
        row = "| base | std | because |\n| core | {} | because |\n| app | everything | because |\n"
        text = "## The house\n{}\n## Code map\n`base` `core/raft`\n\n## T\n"
        self.write(
            "cmake/rooms.cmake", "set(MAY_base)\nset(MAY_core base core)\nset(MAY_app base)\n"
        )
        self.write("ARCHITECTURE.md", text.format(row.format("base, declared sibling cores")))
        self.assert_clean()
        self.write("ARCHITECTURE.md", text.format(row.format("base")))
        self.assert_one("says that core looks into ['base'], the plan says ['base', 'core']")
        self.write("ARCHITECTURE.md", text.format("| base | std | |\n| app | everything | |"))
        self.assert_one("does not say what the group core looks into")

    def test_long_architecture_is_found(self):
        self.write("ARCHITECTURE.md", "## Code map\n`base` `core/raft`\n\n## T\n" + "\n" * 300)
        self.assert_one("300 lines or more")

    def test_map_row_that_was_dropped_is_found(self):
        self.write("docs/map.md", MAP.replace("| 77 | concept", "| concept"))
        self.assert_one("lacks row 77")

    def test_map_row_that_claims_without_proof_is_found(self):
        self.write(
            "docs/map.md",
            MAP.replace(
                "| 65 | concept | expectation | not yet | | |",
                "| 65 | concept | expectation | stands | `x` | |",
            ),
        )
        self.assert_one("row 65 claims a state without")

    def test_map_row_that_lies_nowhere_is_found(self):
        row = "| 65 | concept | expectation | stands | `x` | `y` |"
        absent = "| 65 | concept | expectation | not yet | | |"
        for place, finding in ((" `docs` |", ""), ("", "row 65 claims"), (" `no` |", "in no,")):
            self.write("docs/map.md", MAP.replace(absent, row + place))
            if finding:
                self.assert_one(finding)
            else:
                self.assert_clean()

    def test_adr_with_a_part_missing_is_found(self):
        self.write("docs/adr/0001-a.md", ADR)
        self.assert_clean()
        self.write("docs/adr/0001-a.md", ADR.replace("## Options\n", ""))
        self.assert_one("has no `## Options`")

    def test_adr_number_used_twice_is_found(self):
        self.write("docs/adr/0001-a.md", ADR)
        self.write("docs/adr/0001-b.md", ADR)
        self.assert_one("takes number 0001 a second time")


if __name__ == "__main__":
    unittest.main()
