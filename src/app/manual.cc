// The tree of commands as a manual page, in the macros of man(7).
#include "app/commands.h"
#include "app/tree.h"

namespace asterias::app {
namespace {

// As roff takes it for text: nothing is a request, a minus stays one that can be copied.
std::string roff(const std::string& text) {
    std::string out;
    bool begins = true;  // a line
    for (const char c : text) {
        if (begins && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        begins = c == '\n';
    }
    return out;
}

std::string synopsis(const CommandWord& command) {
    std::string text = ".B " + roff(command.name()) + "\n";
    for (const auto& option : command.options) {
        if (!option.positional) continue;
        const std::string name = option.names[0] + (option.repeats ? "..." : "");
        text += ".RI " + std::string(option.required ? "" : "[ ") + roff(name) +
                (option.required ? "" : " ]") + "\n";
    }
    if (!command.commands.empty()) text += ".I command\n";
    return text + "[options]\n";
}

std::string paragraph(const OptionWord& option) {
    std::string names;
    for (const auto& name : option.names)
        names += (names.empty() ? "" : ", ") + name;
    std::string text = ".TP\n.B " + roff(names) + "\n" + roff(option.what);
    if (!option.choices.empty()) {
        std::string all;
        for (const auto& choice : option.choices)
            all += (all.empty() ? "" : ", ") + choice;
        text += " (" + roff(all) + ")";
    }
    if (option.takes_value && !option.otherwise.empty())
        text += "; without it: " + roff(option.otherwise);
    return text + ".\n";
}

}  // namespace

std::string manual_of(const CommandWord& root, const std::string& version) {
    std::string text =
        ".\\\" Made by: asterias help --man\n.TH ASTERIAS 1 \"\" \"asterias " + version +
        "\" \"User commands\"\n"
        ".SH NAME\nasterias \\- many machines, one computer\n"
        ".SH SYNOPSIS\n.B asterias\n.I command\n[options]\n"
        ".SH DESCRIPTION\n"
        "One program that turns a group of machines into a single one: its nodes, and "
        "the commands\nof those who run and use them.\n.SH COMMANDS\n";
    for (const auto* command : all_of(root)) {
        if (command->path.empty()) continue;
        text += ".SS " + roff(command->name()) + "\n" + roff(command->what) + ".\n.PP\n" +
                synopsis(*command);
        for (const auto& option : command->options)
            if (option.names[0] != "--help") text += paragraph(option);
        // Who has none of its own has the program's, which stands at the end.
        if (command->footer != root.footer)
            text += ".PP\n.nf\n" + roff(command->footer) + "\n.fi\n";
    }
    text += ".SH EXIT STATUS\n";
    for (const ExitCode& each : exit_codes())
        text += ".TP\n.B " + std::to_string(each.code) + "\n" + roff(each.means) + ".\n";
    return text +
           ".SH ENVIRONMENT\n.TP\n.B ASTERIAS_PASSWORD\nThe password for a Redis door (kv, bench, "
           "top), where\n.B \\-\\-password\\-file\ndoes not name one.\n"
           ".TP\n.B ASTERIAS_...\nThe settings of serve: each flag in capitals, with _ for "
           "\\-.\n";
}

}  // namespace asterias::app
