// The tree of commands as completion for bash, zsh and fish. All three find the command that the
// cursor is in by the words before it, "/kv/get", and offer what stands there.
#include <functional>
#include <map>

#include "app/tree.h"

namespace asterias::app {
namespace {

std::string at_of(const CommandWord& command) {
    std::string at;
    for (const auto& word : command.path)
        at += "/" + word;
    return at;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
    std::string all;
    for (const auto& word : words)
        all += (all.empty() ? "" : between) + word;
    return all;
}

// '...' of a shell, on one line.
std::string quoted(const std::string& text, const char* quote = "'\\''") {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? quote : std::string(1, c == '\n' ? ' ' : c);
    return out + "'";
}

std::string places(const CommandWord& root) {
    std::vector<std::string> all;
    for (const auto* command : all_of(root))
        if (!command->path.empty()) all.push_back(at_of(*command));
    return joined(all, "|");
}

// Branches of a case over "PLACE OPTION": what may follow an option.
std::string value_branches(const CommandWord& root, const std::string& files,
                           const std::function<std::string(const std::string&)>& words) {
    std::map<std::string, std::string> patterns;  // by what is done
    for (const auto* command : all_of(root))
        for (const auto& option : command->options) {
            if (option.positional || !option.takes_value) continue;
            std::string& all = patterns[!option.choices.empty() ? words(joined(option.choices, " "))
                                        : option.file           ? files
                                                                : ":"];
            for (const auto& name : option.names)
                all += (all.empty() ? "" : "|") + quoted(at_of(*command) + " " + name);
        }
    std::string text;
    for (const auto& [action, all] : patterns)
        text += "        " + all + ")\n            " + action + "\n            return ;;\n";
    return text;
}

bool takes_file(const CommandWord& command) {
    for (const auto& option : command.options)
        if (option.positional && option.file) return true;
    return false;
}

// The choices of a positional, too.
std::vector<std::pair<std::string, std::string>> words_at(const CommandWord& command) {
    std::vector<std::pair<std::string, std::string>> words;
    for (const auto& below : command.commands)
        words.emplace_back(below.path.back(), below.what);
    for (const auto& option : command.options)
        if (option.positional)
            for (const auto& choice : option.choices)
                words.emplace_back(choice, option.what);
        else
            for (const auto& name : option.names)
                words.emplace_back(name, option.what);
    return words;
}

std::string bash(const CommandWord& root) {
    std::string text =
        "# Completion of asterias for bash: source <(asterias completion bash)\n"
        "_asterias() {\n"
        "    local at='' i=1 cur=\"${COMP_WORDS[COMP_CWORD]}\" words=''\n"
        "    COMPREPLY=()\n"
        "    while [ \"$i\" -lt \"$COMP_CWORD\" ]; do\n"
        "        case \"$at/${COMP_WORDS[i]}\" in\n"
        "        " +
        places(root) +
        ")\n"
        "            at=\"$at/${COMP_WORDS[i]}\" ;;\n"
        "        esac\n"
        "        i=$((i + 1))\n"
        "    done\n"
        "    case \"$at ${COMP_WORDS[COMP_CWORD-1]}\" in\n" +
        value_branches(root, "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")",
                       [](const std::string& words) {
                           return "mapfile -t COMPREPLY < <(compgen -W " + quoted(words) +
                                  " -- \"$cur\")";
                       }) +
        "    esac\n"
        "    case \"$at\" in\n";
    for (const auto* command : all_of(root)) {
        std::vector<std::string> words;
        for (const auto& [word, what] : words_at(*command))
            words.push_back(word);
        text += "        " + quoted(at_of(*command)) + ") words=" + quoted(joined(words, " ")) +
                " ;;\n";
    }
    text +=
        "    esac\n"
        "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
        "    case \"$at\" in\n";
    for (const auto* command : all_of(root))
        if (takes_file(*command))
            text += "        " + at_of(*command) +
                    ") mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY "
                    "< <(compgen -f -- \"$cur\") ;;\n";
    return text +
           "    esac\n"
           "}\n"
           "complete -o filenames -F _asterias asterias\n";
}

std::string zsh(const CommandWord& root) {
    std::string text =
        "#compdef asterias\n"
        "# Completion of asterias for zsh: source <(asterias completion zsh)\n"
        "_asterias() {\n"
        "    local at='' word\n"
        "    local -a items\n"
        "    for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
        "        case \"$at/$word\" in\n"
        "        " +
        places(root) +
        ")\n"
        "            at=\"$at/$word\" ;;\n"
        "        esac\n"
        "    done\n"
        "    case \"$at ${words[CURRENT-1]}\" in\n" +
        value_branches(root, "_files",
                       [](const std::string& words) { return "compadd -- " + words; }) +
        "    esac\n"
        "    case \"$at\" in\n";
    for (const auto* command : all_of(root)) {
        text += "        " + quoted(at_of(*command)) + ")\n            items=(";
        for (const auto& [word, what] : words_at(*command))
            text += "\n                " + quoted(word + ":" + what);
        text += ")\n";
        if (takes_file(*command)) text += "            _files\n";
        text += "            ;;\n";
    }
    return text +
           "    esac\n"
           "    _describe asterias items\n"
           "}\n"
           "if [[ \"${funcstack[1]}\" == _asterias ]]; then\n"
           "    _asterias \"$@\"\n"
           "else\n"
           "    compdef _asterias asterias\n"
           "fi\n";
}

std::string fish_option(const OptionWord& option) {
    std::string text;
    for (const auto& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.takes_value) return text;
    if (!option.choices.empty()) return text + " -x -a " + quoted(joined(option.choices, " "));
    return text + (option.file ? " -r -F" : " -x");
}

std::string fish(const CommandWord& root) {
    std::string at = places(root);
    for (char& c : at)
        if (c == '|') c = ' ';
    std::string text =
        "# Completion of asterias for fish: asterias completion fish | source\n"
        "function __asterias_at\n"
        "    set -l at ''\n"
        "    for word in (commandline -opc)[2..]\n"
        "        switch \"$at/$word\"\n"
        "            case " +
        at +
        "\n"
        "                set at \"$at/$word\"\n"
        "        end\n"
        "    end\n"
        "    test \"$at\" = \"$argv[1]\"\n"
        "end\n"
        "complete -c asterias -f\n";
    for (const auto* command : all_of(root)) {
        const std::string here =
            "complete -c asterias -n \"__asterias_at '" + at_of(*command) + "'\"";
        const auto what = [](const std::string& words) { return " -d " + quoted(words, "\\'"); };
        for (const auto& below : command->commands)
            text += here + " -a " + below.path.back() + what(below.what) + "\n";
        for (const auto& option : command->options)
            if (!option.positional)
                text += here + fish_option(option) + what(option.what) + "\n";
            else if (!option.choices.empty())
                text +=
                    here + " -a " + quoted(joined(option.choices, " ")) + what(option.what) + "\n";
            else if (option.file)
                text += here + " -F\n";
    }
    return text;
}

}  // namespace

std::string completion_of(const CommandWord& root, const std::string& shell) {
    return shell == "bash" ? bash(root) : shell == "zsh" ? zsh(root) : fish(root);
}

}  // namespace asterias::app
