// app/keys.h: reading keys through any node's Redis door, going on at another one when a node is
// lost. Threading: one thread.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/access.h"
#include "app/commands.h"

namespace asterias::app {

// A command that changes nothing: asked again at the next node when a connection is lost. Error:
// the exit code; it is said already.
std::expected<resp::Value, int> ask_read(RedisDoors& doors, const RespClient::Command& command,
                                         const Caller& caller);

// All keys with a prefix, a page at a time, in the order of SCAN: not as of one moment. Nothing is
// said aloud: enter the doors once before, so that a password is asked for.
class KeyScan {
public:
    using Page = std::vector<std::pair<std::string, std::optional<std::string>>>;

    // `values`: with the value of each; who vanishes in between is left out.
    KeyScan(RedisDoors& doors, std::string prefix, bool values);
    // Error: the exit code; why is in trouble().
    std::expected<Page, int> next();
    bool ended() const { return ended_; }
    const std::string& trouble() const { return trouble_; }

private:
    std::expected<std::vector<resp::Value>, int> ask(const std::vector<RespClient::Command>& all);
    std::expected<Page, int> with_values(const std::vector<resp::Value>& keys);
    std::unexpected<int> refused(const resp::Value& error);

    RedisDoors& doors_;
    const std::string prefix_;
    const bool values_;
    std::optional<RespClient> client_;
    std::string cursor_ = "0";
    bool ended_ = false;
    std::string trouble_;
};

int run_watch(const KvOptions& options, const Caller& caller, RedisDoors doors);

}  // namespace asterias::app
