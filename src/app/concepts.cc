// asterias map: the rows of docs/map.md. One table, for the reader of the repository and the user
// of the program.
#include "app/concepts.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "app/commands.h"
#include "app/text.h"

namespace asterias::app {
namespace {

constexpr size_t kColumns = 100;

std::string trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return std::string(text);
}

// [text](target) becomes text; the marks of code go.
std::string plain(const std::string& markdown) {
    std::string out;
    for (size_t i = 0; i < markdown.size(); ++i) {
        const size_t close = markdown[i] == '[' ? markdown.find("](", i) : std::string::npos;
        const size_t end = close == std::string::npos ? close : markdown.find(')', close);
        if (end != std::string::npos) {
            out += markdown.substr(i + 1, close - i - 1);
            i = end;
        } else if (markdown[i] != '`') {
            out += markdown[i];
        }
    }
    return out;
}

std::string lower(std::string text) {
    for (char& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool has(const Concept& c, const std::string& word) {
    if (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos)
        return c.number == word;
    for (const auto* text : {&c.name, &c.expected, &c.state, &c.see, &c.proof, &c.where})
        if (lower(*text).find(lower(word)) != std::string::npos) return true;
    return false;
}

void print(const Concept& c) {
    std::printf("%3s  %s\n     %s\n", c.number.c_str(), c.name.c_str(), c.state.c_str());
    if (!c.there()) std::printf("     expected: %s\n", c.expected.c_str());
    if (!c.see.empty()) std::printf("     see it:   %s\n", c.see.c_str());
    if (!c.proof.empty()) std::printf("     proof:    %s\n", c.proof.c_str());
    if (!c.where.empty()) std::printf("     where:    %s\n", c.where.c_str());
}

void print_names(const std::vector<const Concept*>& rows) {
    std::string text = " ";
    for (const auto* row : rows) {
        const std::string name = " " + row->name + (row == rows.back() ? "." : ";");
        if (text.size() + name.size() > kColumns) {
            std::printf("%s\n", text.c_str());
            text = " ";
        }
        text += name;
    }
    std::printf("%s\n", text.c_str());
}

std::string json_of(const Concept& c) {
    return "{\"number\":" + c.number + ",\"concept\":" + json_string(c.name) +
           ",\"expected\":" + json_string(c.expected) + ",\"state\":" + json_string(c.state) +
           ",\"there\":" + (c.there() ? "true" : "false") + ",\"see\":" + json_string(c.see) +
           ",\"proof\":" + json_string(c.proof) + ",\"where\":" + json_string(c.where) + "}";
}

}  // namespace

std::vector<Concept> concepts_in(std::string_view markdown) {
    std::vector<Concept> all;
    for (size_t at = 0; at < markdown.size();) {
        const size_t end = std::min(markdown.find('\n', at), markdown.size());
        const std::string_view line = markdown.substr(at, end - at);
        at = end + 1;
        std::vector<std::string> cells;
        for (size_t from = 1; line.starts_with('|') && from < line.size();) {
            const size_t bar = std::min(line.find('|', from), line.size());
            cells.push_back(plain(trimmed(line.substr(from, bar - from))));
            from = bar + 1;
        }
        if (cells.size() == 6) cells.emplace_back();  // not there yet: nowhere
        if (cells.size() == 7 && !cells[0].empty() &&
            cells[0].find_first_not_of("0123456789") == std::string::npos)
            all.push_back({cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]});
    }
    return all;
}

int run_map(const MapOptions& options) {
    std::vector<Concept> rows = concepts_in(map_text());
    std::erase_if(rows, [&](const Concept& c) {
        return !std::all_of(options.words.begin(), options.words.end(),
                            [&](const std::string& word) { return has(c, word); });
    });
    if (options.json) {
        std::string all;
        for (const auto& row : rows)
            all += (all.empty() ? "" : ",\n") + json_of(row);
        std::printf("{\"concepts\":[%s]}\n", all.c_str());
        return rows.empty() ? kCheckFailed : kDone;
    }
    if (rows.empty()) {
        std::fprintf(stderr, "asterias map: no row has all of these words\n");
        return kCheckFailed;
    }
    std::vector<const Concept*> missing;
    for (const auto& row : rows)
        if (row.there() || options.all || !options.words.empty())
            print(row);
        else
            missing.push_back(&row);
    if (missing.empty()) return kDone;
    std::printf("\nNot there yet, %zu of %zu:\n", missing.size(), rows.size());
    print_names(missing);
    return kDone;
}

}  // namespace asterias::app
