#include "app/tree.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/text.h"

namespace asterias::app {
namespace {

// CLI11 keeps a check's choices as text only: "TEXT:{leader,all,none}".
std::vector<std::string> choices_in(const std::string& type) {
    std::vector<std::string> choices;
    const size_t open = type.find('{'), close = type.rfind('}');
    if (open == std::string::npos || close == std::string::npos) return choices;
    for (size_t at = open + 1; at < close;) {
        const size_t comma = std::min(type.find(',', at), close);
        choices.push_back(type.substr(at, comma - at));
        at = comma + 1;
    }
    return choices;
}

OptionWord word_of(const CLI::Option& option) {
    OptionWord word;
    word.positional = option.get_positional();
    if (word.positional) word.names.push_back(option.get_name(true));
    for (const auto& name : option.get_lnames())
        word.names.push_back("--" + name);
    for (const auto& name : option.get_snames())
        word.names.push_back("-" + name);
    word.takes_value = option.get_items_expected_max() > 0;
    word.repeats = option.get_items_expected_max() > 1;
    word.required = option.get_required();
    const std::string type = option.get_type_name();
    word.choices = choices_in(type);
    const std::string& last = word.names.back();
    word.file = type.find("FILE") != std::string::npos || last.ends_with("file");
    for (const char* name : {"config", "-cert", "-key", "-ca", "data"})
        word.file |= !word.positional && last.ends_with(name);
    word.what = option.get_description();
    word.otherwise = option.get_default_str();
    return word;
}

CommandWord command_of(const CLI::App& app, std::vector<std::string> path) {
    CommandWord command;
    command.path = std::move(path);
    command.what = app.get_description();
    command.footer = app.get_footer();
    for (const auto* option : app.get_options())
        command.options.push_back(word_of(*option));
    for (const auto* below : app.get_subcommands(nullptr)) {
        auto longer = command.path;
        longer.push_back(below->get_name());
        command.commands.push_back(command_of(*below, std::move(longer)));
    }
    return command;
}

void add_all(const CommandWord& command, std::vector<const CommandWord*>& to) {
    to.push_back(&command);
    for (const auto& below : command.commands)
        add_all(below, to);
}

std::string list_json(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& text : texts)
        all += (all.empty() ? "" : ",") + json_string(text);
    return "[" + all + "]";
}

std::string json_of_option(const OptionWord& o) {
    const auto truth = [](bool b) { return b ? "true" : "false"; };
    return "{\"names\":" + list_json(o.names) + ",\"positional\":" + truth(o.positional) +
           ",\"takes_value\":" + truth(o.takes_value) + ",\"repeats\":" + truth(o.repeats) +
           ",\"required\":" + truth(o.required) + ",\"choices\":" + list_json(o.choices) +
           ",\"default\":" + json_string(o.otherwise) + ",\"what\":" + json_string(o.what) + "}";
}

}  // namespace

std::string CommandWord::name() const {
    std::string text = "asterias";
    for (const auto& word : path)
        text += " " + word;
    return text;
}

CommandWord tree_of(const CLI::App& app) { return command_of(app, {}); }

std::vector<const CommandWord*> all_of(const CommandWord& root) {
    std::vector<const CommandWord*> all;
    add_all(root, all);
    return all;
}

std::string json_of(const CommandWord& root) {
    std::string all;
    for (const auto* command : all_of(root)) {
        std::string options;
        for (const auto& option : command->options)
            options += (options.empty() ? "" : ",") + json_of_option(option);
        all += std::string(all.empty() ? "" : ",\n") + "{\"path\":" + list_json(command->path) +
               ",\"what\":" + json_string(command->what) +
               ",\"leaf\":" + (command->commands.empty() ? "true" : "false") + ",\"options\":[" +
               options + "]}";
    }
    std::string codes;
    for (const ExitCode& each : exit_codes())
        codes += std::string(codes.empty() ? "" : ",") + "{\"code\":" + std::to_string(each.code) +
                 ",\"means\":" + json_string(each.means) + "}";
    return "{\"commands\":[" + all + "],\n\"exit_codes\":[" + codes + "]}\n";
}

}  // namespace asterias::app
