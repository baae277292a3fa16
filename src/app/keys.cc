#include "app/keys.h"

#include <cstring>

namespace asterias::app {
namespace {

constexpr const char* kKeysOfAPage = "1000";
constexpr size_t kValuesAtOnce = 64;

// As a pattern of SCAN that matches just that.
std::string pattern_of(const std::string& prefix) {
    std::string pattern;
    for (const char c : prefix) {
        if (std::strchr("*?[]\\^-", c) && c) pattern += '\\';
        pattern += c;
    }
    return pattern + "*";
}

}  // namespace

std::expected<resp::Value, int> ask_read(RedisDoors& doors, const RespClient::Command& command,
                                         const Caller& caller) {
    std::string lost;
    for (size_t tried = 0; tried < doors.addresses().size(); ++tried, doors.pass_on()) {
        auto client = doors.enter();
        if (!client) return std::unexpected(client.error());
        auto answer = client->call(command);
        if (answer) return std::move(*answer);
        lost = answer.error().context;
    }
    return std::unexpected(caller.fail(kUnreachable, lost));
}

KeyScan::KeyScan(RedisDoors& doors, std::string prefix, bool values)
    : doors_(doors), prefix_(std::move(prefix)), values_(values) {}

std::unexpected<int> KeyScan::refused(const resp::Value& error) {
    trouble_ = error.text.str();
    return std::unexpected(exit_code_of(error));
}

std::expected<std::vector<resp::Value>, int> KeyScan::ask(
    const std::vector<RespClient::Command>& all) {
    for (size_t tried = 0;; ++tried) {
        if (!client_) {
            auto entered = doors_.enter(true);
            if (!entered) {
                trouble_ = "no node could be asked";
                return std::unexpected(entered.error());
            }
            client_ = std::move(*entered);
        }
        auto answers = client_->call_all(all);
        if (answers) return std::move(*answers);
        trouble_ = answers.error().context;
        client_.reset();
        doors_.pass_on();
        if (tried >= doors_.addresses().size()) return std::unexpected(kUnreachable);
    }
}

std::expected<KeyScan::Page, int> KeyScan::next() {
    RespClient::Command scan = {"SCAN", cursor_, "COUNT", kKeysOfAPage};
    if (!prefix_.empty()) scan.insert(scan.end(), {"MATCH", pattern_of(prefix_)});
    auto answers = ask({scan});
    if (!answers) return std::unexpected(answers.error());
    const resp::Value& answer = answers->front();
    if (answer.is_error()) return refused(answer);
    if (answer.items.size() != 2) {
        trouble_ = "an answer that is none to SCAN: " + answer.describe();
        return std::unexpected(kFailed);
    }
    cursor_ = answer.items[0].text.str();
    ended_ = cursor_ == "0";
    if (values_) return with_values(answer.items[1].items);
    Page page;
    for (const auto& key : answer.items[1].items)
        page.emplace_back(key.text.str(), std::nullopt);
    return page;
}

std::expected<KeyScan::Page, int> KeyScan::with_values(const std::vector<resp::Value>& keys) {
    Page page;
    for (size_t from = 0; from < keys.size(); from += kValuesAtOnce) {
        std::vector<RespClient::Command> commands;
        for (size_t i = from; i < std::min(keys.size(), from + kValuesAtOnce); ++i)
            commands.push_back({"GET", keys[i].text.str()});
        const auto answers = ask(commands);
        if (!answers) return std::unexpected(answers.error());
        for (size_t i = 0; i < answers->size(); ++i) {
            const resp::Value& value = (*answers)[i];
            if (value.is_error()) return refused(value);
            if (!value.is_null()) page.emplace_back(commands[i][1], value.text.str());
        }
    }
    return page;
}

}  // namespace asterias::app
