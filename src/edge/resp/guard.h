// edge/resp/guard.h: who may come in. The door asks; how passwords are kept and compared is the
// composition root's. Threading: called on any shard with a door.
#pragma once

#include <functional>
#include <string>

#include "port/shard.h"

namespace asterias::edge_resp {

// Who is no other; there is always such a user.
inline constexpr const char* kDefaultUser = "default";

class Guard {
public:
    enum class Verdict : unsigned char {
        Right,
        Wrong,  // no such user, or another password; not told apart
        Busy,   // too many are being checked; nothing is known
    };
    using Done = std::move_only_function<void(Verdict)>;

    virtual ~Guard() = default;
    // Whether there are users. Without any, every connection may do everything.
    virtual bool required() const = 0;
    // Whether there is such a user.
    virtual bool knows(const std::string& user) const = 0;
    // Tells that nobody waits for the verdict any more; on the shard that asked, at any time.
    using GiveUp = std::move_only_function<void()>;
    // Calls `done` once, on `shard`, maybe before this returns; also when it was given up. `host`:
    // of the client.
    virtual GiveUp check(port::Shard& shard, std::string host, std::string user,
                         std::string password, Done done) = 0;
};

}  // namespace asterias::edge_resp
