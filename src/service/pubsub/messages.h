// service/pubsub/messages.h: the seam between doors and the messages of a cluster: who listens says
// so here, who publishes does so here. Nothing is stored (docs/adr/0016, Messages).
// Contract: a listener hears what one publisher (one connection) sent in the order sent, each
// message at most once for each of its subscriptions that matches; across nodes a message may be
// lost with a connection, and what is dropped is counted. Threading: one shard.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "port/shard.h"

namespace asterias::pubsub {

// What a subscription names. Shard channels are channels by another name: patterns do not see them.
enum class Kind : uint8_t { Channel = 1, Pattern = 2, Shard = 3 };
inline constexpr uint8_t kLastKind = 3;

struct Message {
    Kind kind = Kind::Channel;  // or Shard
    Bytes channel, payload;
};

class Listener {
public:
    virtual ~Listener() = default;
    // Once for each subscription that matches: `pattern` is the one that did; null: its channel.
    // Subscribes and unsubscribes nothing in here.
    virtual void on_message(const Message& message, const std::string* pattern) = 0;
};

class Messages {
public:
    virtual ~Messages() = default;

    enum class Taken : uint8_t {
        Full,   // pubsub-names-bytes-max: nothing was done
        Known,  // all nodes that are connected will send from now on
        Later,  // `known` is called once when they will, or have had kKnownMost to do so
    };
    static constexpr Duration kKnownMost = seconds(1);
    // `id` is the listener's, unique on its shard; it hears of these names from now on. A name that
    // it has already stays as it is. `listener` lives until its last name is given back.
    virtual Taken subscribe(uint64_t id, Listener& listener, Kind kind,
                            const std::vector<std::string>& names, port::Callback known) = 0;
    // It hears no more of it; a name that it does not have is fine.
    virtual void unsubscribe(uint64_t id, Kind kind, std::string_view name) = 0;

    // To all that are known to listen, and how many subscriptions those are: here, and on other
    // nodes as far as they are connected and have told.
    virtual uint64_t publish(Message message) = 0;

    // Of all nodes, as publish() counts. Ascending.
    virtual std::vector<std::string> names(Kind kind) const = 0;
    virtual size_t name_count(Kind kind) const = 0;  // O(1)
    virtual uint64_t listeners(Kind kind, std::string_view name) const = 0;
};

}  // namespace asterias::pubsub
