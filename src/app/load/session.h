// app/load/session.h: Session, the protocol of one connection of the load generator. It turns
// operations into bytes and bytes into finished operations, in the order of asking.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace asterias::load {

enum class Operation : uint8_t {
    Set,
    Get,      // the key must exist
    Incr,     // of one key
    SetWait,  // SET and WAIT 1 (Redis: at least one replica has it)
};

struct Finished {
    uint32_t done = 0;
    uint32_t failed = 0;        // of those done
    bool broken = false;        // the connection is of no use any more
    std::string first_failure;  // what the server said
};

class Session {
public:
    virtual ~Session() = default;
    // Bytes before the first request.
    virtual void greet(std::string& out) = 0;
    virtual void ask(Operation operation, std::string_view key, std::string_view value,
                     std::string& out) = 0;
    // `input` is all that was received and not yet consumed; returns the bytes consumed. May answer
    // to `out`.
    virtual size_t receive(const Bytes& input, std::string& out, Finished& finished) = 0;
};

// Who it is at a door that asks for passwords; an empty password: nobody.
struct Credentials {
    std::string user, password;
};
std::unique_ptr<Session> make_resp_session(Credentials credentials = {});

}  // namespace asterias::load
