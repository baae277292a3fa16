// asterias kv watch: what changes of a key, or under a prefix. The cluster tells nobody of changes
// of keys, so this looks at an interval and compares; it says so.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <thread>

#include "app/commands.h"
#include "app/keys.h"
#include "app/text.h"

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Seen = std::map<std::string, std::string>;

constexpr size_t kKeysMost = 10'000;
// That nobody answers, until the watching ends.
constexpr std::chrono::seconds kSilence{20};

std::string time_now() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char text[40], whole[48];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(whole, sizeof whole, "%s.%03ldZ", text, now.tv_nsec / 1'000'000);
    return whole;
}

class Watch {
public:
    Watch(const KvOptions& options, const Caller& caller, RedisDoors doors)
        : options_(options), caller_(caller), doors_(std::move(doors)) {}

    int run() {
        if (auto client = doors_.enter(); !client) return client.error();
        auto first = look();
        if (!first) return caller_.fail(first.error(), trouble_);
        say_how();
        for (const auto& [key, value] : *first)
            say("is", key, &value);
        Seen seen = std::move(*first);
        const auto begun = SteadyClock::now();
        auto heard = begun;
        while (!enough(begun)) {
            if (std::fflush(stdout) != 0) return kFailed;  // whoever read it is gone
            std::this_thread::sleep_for(std::chrono::milliseconds(options_.interval_ms));
            auto now = look();
            if (now) {
                heard = SteadyClock::now();
                compare(seen, *now);
                seen = std::move(*now);
            } else if (now.error() == kRefused || SteadyClock::now() - heard > kSilence) {
                return caller_.fail(now.error(), trouble_);
            } else if (std::exchange(told_, trouble_) != trouble_) {
                caller_.tell(trouble_ + "; looking again");
            }
        }
        return kDone;
    }

private:
    bool enough(SteadyClock::time_point begun) const {
        if (options_.count && changes_ >= options_.count) return true;
        return options_.seconds > 0 &&
               SteadyClock::now() - begun >= std::chrono::duration<double>(options_.seconds);
    }

    std::expected<Seen, int> look() {
        Seen found;
        if (options_.prefix) {
            KeyScan scan(doors_, options_.key, true);
            while (!scan.ended()) {
                const auto page = scan.next();
                if (!page) {
                    trouble_ = scan.trouble();
                    return std::unexpected(page.error());
                }
                for (const auto& [key, value] : *page)
                    found.emplace(key, *value);
                if (found.size() <= kKeysMost) continue;
                trouble_ = "more than " + std::to_string(kKeysMost) +
                           " keys begin so: each look reads them all; name a longer prefix";
                return std::unexpected(kRefused);
            }
            return found;
        }
        if (!client_) {
            auto entered = doors_.enter(true);
            if (!entered) {
                trouble_ = "no node could be asked";
                return std::unexpected(entered.error());
            }
            client_ = std::move(*entered);
        }
        const auto answer = client_->call({"GET", options_.key});
        if (!answer) {
            trouble_ = answer.error().context;
            client_.reset();
            doors_.pass_on();
            return std::unexpected(kUnreachable);
        }
        if (answer->is_error()) {
            trouble_ = answer->text.str();
            return std::unexpected(exit_code_of(*answer));
        }
        if (!answer->is_null()) found.emplace(options_.key, answer->text.str());
        return found;
    }

    void compare(const Seen& before, const Seen& now) {
        for (const auto& [key, value] : before)
            if (!now.contains(key)) say("del", key, nullptr);
        for (const auto& [key, value] : now)
            if (const auto it = before.find(key); it == before.end() || it->second != value)
                say("put", key, &value);
    }

    void say_how() const {
        if (options_.json)
            std::printf("{%s,\"prefix\":%s,\"by\":\"polling\",\"interval_ms\":%u}\n",
                        json_bytes("watching", options_.key).c_str(),
                        options_.prefix ? "true" : "false", options_.interval_ms);
        else
            caller_.tell("looking every " + std::to_string(options_.interval_ms) +
                         " ms; what changes and changes back between two looks is not seen");
    }

    void say(const char* what, const std::string& key, const std::string* value) {
        changes_ += what != std::string_view("is");
        if (options_.json)
            std::printf("{\"at\":\"%s\",\"event\":\"%s\",%s%s}\n", time_now().c_str(), what,
                        json_bytes("key", key).c_str(),
                        value ? ("," + json_bytes("value", *value)).c_str() : "");
        else
            std::printf("%s %s%s%s\n", what, shown(key).c_str(), value ? "\t" : "",
                        value ? shown(*value).c_str() : "");
    }

    const KvOptions& options_;
    const Caller& caller_;
    RedisDoors doors_;
    std::optional<RespClient> client_;
    uint64_t changes_ = 0;
    std::string trouble_, told_;
};

}  // namespace

int run_watch(const KvOptions& options, const Caller& caller, RedisDoors doors) {
    return Watch(options, caller, std::move(doors)).run();
}

}  // namespace asterias::app
