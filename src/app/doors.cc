#include "app/doors.h"

#include <algorithm>
#include <cstdio>

#include "app/local_cluster.h"

namespace asterias::app {
namespace {
constexpr Duration kAnswerTime = seconds(20);  // a leader is looked for, then it answers
constexpr Duration kSoon = seconds(5);
}  // namespace

Doors::Doors(port::Address first, const Caller& caller)
    : doors_{std::move(first)}, caller_(caller) {}

Result<void> Doors::learn() {
    const auto answer = http_ask(present(), "GET", "/v1/nodes", kSoon);
    if (!answer) return std::unexpected(answer.error());
    for (size_t at = answer->body.find("\"http\":"); at != std::string::npos;
         at = answer->body.find("\"http\":", at + 1)) {
        const auto address = port::Address::parse(json_field(answer->body, "http", at));
        if (address && std::find(doors_.begin(), doors_.end(), *address) == doors_.end())
            doors_.push_back(*address);
    }
    return {};
}

Result<HttpAnswer> Doors::ask(const std::string& method, const std::string& path) {
    auto answer = http_ask(present(), method, path, kAnswerTime);
    if (!answer) pass_on(answer.error().context);
    return answer;
}

void Doors::pass_on(const std::string& why) {
    at_ = (at_ + 1) % doors_.size();
    if (!told_.insert(why).second) return;
    caller_.tell(why + (doors_.size() == 1 ? "; no other node is known to ask"
                                           : "; asking " + present().describe()));
}

}  // namespace asterias::app
