#include "test_support/datadriven.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace asterias::test {
namespace {

bool blank(const std::string& line) { return line.find_first_not_of(" \t") == std::string::npos; }

// "a b=c d=(e, f)" -> name, positional, keyed. False: the parentheses do not close.
bool parse_command(const std::string& text, DatadrivenCommand& command) {
    size_t at = 0;
    bool first = true;
    while (true) {
        at = text.find_first_not_of(" \t", at);
        if (at == std::string::npos) return !first;
        const size_t end = std::min(text.find_first_of(" \t=", at), text.size());
        std::string word = text.substr(at, end - at);
        at = end;
        if (at == text.size() || text[at] != '=') {
            if (first)
                command.name = word;
            else
                command.positional.push_back(word);
            first = false;
            continue;
        }
        ++at;
        std::vector<std::string> values;
        std::string raw;
        if (at < text.size() && text[at] == '(') {
            const size_t close = text.find(')', at);
            if (close == std::string::npos) return false;
            raw = text.substr(at + 1, close - at - 1);
            at = close + 1;
        } else {
            const size_t stop = std::min(text.find_first_of(" \t", at), text.size());
            raw = text.substr(at, stop - at);
            at = stop;
        }
        std::stringstream parts(raw);
        for (std::string part; std::getline(parts, part, ',');) {
            const size_t begin = part.find_first_not_of(' ');
            if (begin == std::string::npos) continue;
            values.push_back(part.substr(begin, part.find_last_not_of(' ') - begin + 1));
        }
        command.keyed[word] = values;
        first = false;
    }
}

// The expected output from lines[at] on; `at` moves behind it.
std::string read_expected(const std::vector<std::string>& lines, size_t& at) {
    std::string expected;
    if (at < lines.size() && lines[at] == "----") {
        for (++at; at < lines.size() &&
                   !(lines[at] == "----" && at + 1 < lines.size() && lines[at + 1] == "----");
             ++at)
            expected += lines[at] + "\n";
        at = std::min(at + 2, lines.size());
        return expected;
    }
    for (; at < lines.size() && !blank(lines[at]); ++at)
        expected += lines[at] + "\n";
    return expected;
}

std::string fenced(const std::string& output) {
    if (output.find("\n\n") == std::string::npos && !output.starts_with("\n"))
        return "----\n" + output;
    return "----\n----\n" + output + "----\n----\n";
}

}  // namespace

std::string DatadrivenCommand::value(const std::string& key, const std::string& otherwise) const {
    auto it = keyed.find(key);
    return it == keyed.end() || it->second.empty() ? otherwise : it->second.front();
}

uint64_t DatadrivenCommand::number(const std::string& key, uint64_t otherwise) const {
    const std::string text = value(key);
    return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

std::vector<std::string> DatadrivenCommand::values(const std::string& key) const {
    auto it = keyed.find(key);
    return it == keyed.end() ? std::vector<std::string>{} : it->second;
}

std::vector<std::string> run_datadriven(const std::string& path, const DatadrivenHandler& handler) {
    std::ifstream in(path);
    if (!in) return {path + ": cannot be read"};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);

    const char* rewrite_env = std::getenv("REWRITE");
    const bool rewrite = rewrite_env && *rewrite_env && std::string(rewrite_env) != "0";
    std::vector<std::string> failures;
    std::string rewritten;
    size_t commands = 0;
    for (size_t at = 0; at < lines.size();) {
        if (blank(lines[at]) || lines[at].starts_with("#")) {
            rewritten += lines[at++] + "\n";
            continue;
        }
        DatadrivenCommand command;
        command.file = path;
        command.line = at + 1;
        if (!parse_command(lines[at], command))
            return {command.where() + ": not a command: " + lines[at]};
        rewritten += lines[at++] + "\n";
        for (; at < lines.size() && lines[at] != "----"; ++at) {
            command.input += lines[at] + "\n";
            rewritten += lines[at] + "\n";
        }
        if (at == lines.size()) return {command.where() + ": no ---- follows the command"};
        ++at;
        const std::string expected = read_expected(lines, at);
        std::string output = handler(command);
        if (!output.empty() && !output.ends_with('\n')) output += '\n';
        rewritten += fenced(output);
        ++commands;
        if (output != expected)
            failures.push_back(command.where() + ": " + command.name + "\nexpected:\n" + expected +
                               "got:\n" + output);
    }
    if (commands == 0) failures.push_back(path + ": holds no command");
    if (!rewrite) return failures;
    std::ofstream(path) << rewritten;
    return {};
}

std::vector<DatadrivenCommand> parse_lines(const DatadrivenCommand& command) {
    std::vector<DatadrivenCommand> parsed;
    std::stringstream input(command.input);
    for (std::string line; std::getline(input, line);) {
        DatadrivenCommand c;
        c.file = command.file;
        c.line = command.line;
        if (parse_command(line, c)) parsed.push_back(std::move(c));
    }
    return parsed;
}

std::vector<std::string> datadriven_files(const std::string& directory) {
    std::vector<std::string> files;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(directory, error), end;
         !error && it != end; it.increment(error))
        if (it->path().extension() == ".txt") files.push_back(it->path().string());
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace asterias::test
