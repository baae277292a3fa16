// asterias kv get, put, del, scan: single keys, through any node's Redis door. kv watch is in
// watch.cc.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "app/commands.h"
#include "app/keys.h"
#include "app/text.h"

namespace asterias::app {
namespace {

class Kv {
public:
    Kv(const KvOptions& options, const Caller& caller, RedisDoors doors)
        : options_(options), caller_(caller), doors_(std::move(doors)) {}

    int get() {
        const auto answer = ask_read(doors_, {"GET", options_.key}, caller_);
        if (!answer) return answer.error();
        if (answer->is_error()) return refused(*answer);
        if (options_.json) {
            std::printf(
                "{%s,\"found\":%s%s}\n", key_json().c_str(), answer->is_null() ? "false" : "true",
                answer->is_null() ? "" : ("," + json_bytes("value", answer->text.view())).c_str());
        } else if (!answer->is_null()) {
            const auto text = answer->text.view();
            std::fwrite(text.data(), 1, text.size(), stdout);
            if (!options_.raw) std::putchar('\n');
        }
        if (!answer->is_null()) return kDone;
        caller_.tell(shown(options_.key) + " is not there");
        return kCheckFailed;
    }

    int put() {
        const auto value = value_to_put();
        if (!value) return value.error();
        RespClient::Command command = {"SET", options_.key, *value};
        if (options_.ttl_s > 0)
            command.insert(command.end(),
                           {"PX", std::to_string(std::llround(options_.ttl_s * 1000))});
        if (options_.if_absent) command.emplace_back("NX");
        if (options_.if_present) command.emplace_back("XX");
        const auto answer = ask_write(command);
        if (!answer) return answer.error();
        if (answer->is_error()) return refused(*answer);
        if (options_.json)
            std::printf("{%s,\"done\":%s}\n", key_json().c_str(),
                        answer->is_null() ? "false" : "true");
        else if (!answer->is_null())
            std::puts("OK");
        if (!answer->is_null()) return kDone;
        caller_.tell(shown(options_.key) + (options_.if_absent ? " is there" : " is not there") +
                     ", so nothing was done");
        return kCheckFailed;
    }

    int del() {
        const auto answer = ask_write({"DEL", options_.key});
        if (!answer) return answer.error();
        if (answer->is_error()) return refused(*answer);
        const auto deleted = static_cast<long long>(answer->integer);
        if (options_.json)
            std::printf("{%s,\"deleted\":%lld}\n", key_json().c_str(), deleted);
        else
            std::printf("%lld\n", deleted);
        return kDone;
    }

    int scan() {
        // Who cannot get in hears it before a list is begun.
        if (auto client = doors_.enter(); !client) return client.error();
        KeyScan keys(doors_, options_.key, options_.values);
        uint64_t told = 0;
        if (options_.json) std::fputs("{\"keys\":[", stdout);
        while (!keys.ended()) {
            const auto page = keys.next();
            if (!page) return end_of_scan(told, page.error(), keys.trouble());
            for (const auto& [key, value] : *page) {
                print(key, value, told++ == 0);
                if (told == options_.limit) return end_of_scan(told, kDone, "");
            }
            // Whoever read it is gone.
            if (std::fflush(stdout) != 0) return kFailed;
        }
        return end_of_scan(told, kDone, "");
    }

private:
    std::string key_json() const { return json_bytes("key", options_.key); }

    int refused(const resp::Value& error) const {
        return caller_.fail(exit_code_of(error), error.text.str());
    }

    std::expected<std::string, int> value_to_put() const {
        if (options_.file.empty()) return options_.value;
        std::ifstream file;
        if (options_.file != "-") file.open(options_.file, std::ios::binary);
        std::istream& in = options_.file == "-" ? std::cin : file;
        std::string value{std::istreambuf_iterator<char>(in), {}};
        if (!in.bad() && (options_.file == "-" || file.is_open())) return value;
        return std::unexpected(caller_.fail(kUsage, options_.file + " cannot be read"));
    }

    // Sent once: what becomes of it is not known when the connection is lost.
    std::expected<resp::Value, int> ask_write(const RespClient::Command& command) {
        auto client = doors_.enter();
        if (!client) return std::unexpected(client.error());
        auto answer = client->call(command);
        if (answer) return std::move(*answer);
        return std::unexpected(
            caller_.fail(kFailed, answer.error().context + "; it may or may not have happened"));
    }

    void print(const std::string& key, const std::optional<std::string>& value, bool first) const {
        if (options_.json)
            std::printf("%s\n{%s%s}", first ? "" : ",", json_bytes("key", key).c_str(),
                        value ? ("," + json_bytes("value", *value)).c_str() : "");
        else
            std::printf("%s%s%s\n", shown(key).c_str(), value ? "\t" : "",
                        value ? shown(*value).c_str() : "");
    }

    // Closes what was begun: half a list must not look like a whole one.
    int end_of_scan(uint64_t told, int code, const std::string& trouble) const {
        if (options_.json && code != kDone)
            std::printf("],\"error\":%s,\"exit_code\":%d}\n", json_string(trouble).c_str(), code);
        else if (options_.json)
            std::printf("]}\n");
        if (code != kDone) caller_.tell(trouble + (told ? "; the list above is not whole" : ""));
        return code;
    }

    const KvOptions& options_;
    const Caller& caller_;
    RedisDoors doors_;
};

}  // namespace

int run_kv(const KvOptions& options) {
    const std::string name = "kv " + options.op;
    const Caller caller{name.c_str(), "--node", options.json};
    auto doors = RedisDoors::make(options.access, caller);
    if (!doors) return doors.error();
    if (options.op == "watch") return run_watch(options, caller, std::move(*doors));
    Kv kv(options, caller, std::move(*doors));
    if (options.op == "get") return kv.get();
    if (options.op == "put") return kv.put();
    if (options.op == "del") return kv.del();
    return kv.scan();
}

}  // namespace asterias::app
