#include "port/net.h"

#include <arpa/inet.h>
#include <deque>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "port/sync.h"
#include "runtime/epoll/system.h"
#include "runtime/epoll/testing.h"

namespace asterias::runtime {
namespace {

using port::Address;
using port::Connection;
using port::Consumed;
using port::Shard;
using port::Task;

const Address kAnyPort{"127.0.0.1", 0};

// One side of a connection: messages are a 4-byte length and as many bytes.
struct Side final : port::ConnectionHandler {
    explicit Side(Shard& shard, std::unique_ptr<Connection> c = nullptr)
        : changed(shard), connection(std::move(c)) {}

    Consumed on_data(const Bytes& available) override {
        EXPECT_FALSE(inside_call);
        ++calls;
        size_t at = 0;
        for (;;) {
            if (one_per_call && at > 0) {
                changed.notify();
                return {at, wanted(available, at)};
            }
            const size_t want = wanted(available, at);
            if (available.size() - at < want) {
                changed.notify();
                return {at, want};
            }
            messages.push_back(available.slice(at + 4, want - 4));
            at += want;
            if (echo) send(messages.back().view());
            if (pause_after_each) {
                connection->pause_reading(true);
                changed.notify();
                return {at, 0};
            }
        }
    }
    static size_t wanted(const Bytes& b, size_t at) {
        if (b.size() - at < 4) return 4;
        uint32_t n;
        std::memcpy(&n, b.data() + at, 4);
        return 4 + size_t{n};
    }
    void on_end_of_stream() override {
        EXPECT_FALSE(inside_call);
        ++ends;
        changed.notify();
    }
    void on_closed(const Error& why) override {
        EXPECT_FALSE(inside_call);
        closed = why;
        changed.notify();
    }
    void on_drained() override {
        EXPECT_FALSE(inside_call);
        ++drained;
        changed.notify();
    }
    void begin() {
        inside_call = true;
        connection->start(*this);
        inside_call = false;
    }
    void send(std::string_view text) {
        const auto size = static_cast<uint32_t>(text.size());
        auto& out = connection->out();
        out.append({reinterpret_cast<const char*>(&size), 4});
        out.append(text);
    }

    port::Signal changed;
    std::unique_ptr<Connection> connection;
    std::vector<Bytes> messages;
    std::optional<Error> closed;
    int calls = 0, ends = 0, drained = 0;
    bool echo = false, pause_after_each = false, one_per_call = false, inside_call = false;
};

// Listens and keeps what it accepted.
struct Server {
    explicit Server(Shard& s) : shard(s), changed(s) {
        listener = std::move(*s.net().listen(kAnyPort, [this](std::unique_ptr<Connection> c) {
            sides.push_back(std::make_unique<Side>(shard, std::move(c)));
            if (prepare) prepare(*sides.back());
            if (start) sides.back()->begin();
            changed.notify();
        }));
    }
    Shard& shard;
    port::Signal changed;
    std::unique_ptr<port::Listener> listener;
    std::deque<std::unique_ptr<Side>> sides;
    std::function<void(Side&)> prepare;
    bool start = true;
};

Task<std::unique_ptr<Side>> connect(Shard& shard, Address to) {
    auto connection = co_await shard.net().connect(to, "", seconds(5));
    EXPECT_TRUE(connection) << connection.error().describe();
    auto side = std::make_unique<Side>(shard, std::move(*connection));
    side->begin();
    co_return side;
}

// A plain blocking socket of the test's own, for what port::Connection would not do.
Fd raw_connect(const Address& to) {
    const auto address = numeric_address(to);
    Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(fd.get(), address->get(), address->size), 0);
    return fd;
}
void raw_send(const Fd& fd, std::string_view text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
}
std::string frame(std::string_view text) {
    const auto size = static_cast<uint32_t>(text.size());
    return std::string(reinterpret_cast<const char*>(&size), 4) + std::string(text);
}

// This process's connected sockets one of whose ends has this port.
std::vector<int> connected_sockets(uint16_t port) {
    std::vector<int> found;
    for (int fd = 0; fd < 1024; ++fd) {
        SocketAddress remote;
        remote.size = sizeof remote.storage;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&remote.storage), &remote.size) != 0)
            continue;
        if (remote.family() != AF_INET) continue;
        if (remote.to_address().port == port || local_address(fd).to_address().port == port)
            found.push_back(fd);
    }
    return found;
}
int option_of(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

Task<void> silent_peers(Shard& shard) {
    Server server(shard);
    const auto client = co_await connect(shard, server.listener->address());
    while (server.sides.empty())
        co_await server.changed.wait();
    const auto both = connected_sockets(server.listener->address().port);
    EXPECT_EQ(both.size(), 2u) << "the dialed one and the accepted one";
    for (int fd : both) {
        EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        const int idle = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);
        const int probing =
            option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT);
        EXPECT_EQ(idle, 300);
        EXPECT_GT(probing, 0);
        EXPECT_LE(probing, 300);
        EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), (idle + probing) * 1000)
            << "less would cut the probes short";
        EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    }
}

TEST(EpollNet, ConnectionsToWhoLostItsPowerEndWithinMinutes) {
    World world;
    world.run(silent_peers);
}

Task<void> echo_many(Shard& shard) {
    constexpr size_t kConnections = 300, kRounds = 20;
    Server server(shard);
    server.prepare = [](Side& s) { s.echo = true; };
    std::vector<std::unique_ptr<Side>> clients;
    for (size_t i = 0; i < kConnections; ++i)
        clients.push_back(co_await connect(shard, server.listener->address()));
    for (size_t round = 0; round < kRounds; ++round) {
        for (size_t i = 0; i < kConnections; ++i)
            clients[i]->send(std::to_string(i) + "/" + std::to_string(round));
        for (auto& client : clients)
            while (client->messages.size() <= round)
                co_await client->changed.wait();
        for (size_t i = 0; i < kConnections; ++i)
            EXPECT_EQ(clients[i]->messages.back().view(),
                      std::to_string(i) + "/" + std::to_string(round));
    }
}

TEST(Net, EchoesOverManyConnectionsWithOneReceiveAndOneSendPerRequestAndSide) {
    World world;
    world.run(echo_many);
    const auto count = [&](const char* name) {
        return world.registry.counter(name, "", "shard=\"0\"").value();
    };
    EXPECT_EQ(count("asterias_net_accepts_total"), 300u);
    EXPECT_EQ(count("asterias_net_sends_total"), 300u * 20 * 2);
    // Every request and reply is one receive; nothing asks a socket that has nothing.
    EXPECT_EQ(count("asterias_net_receives_total"), 300u * 20 * 2);
    EXPECT_EQ(world.registry.gauge("asterias_net_connections", "", "shard=\"0\"").value(), 0);
}

Task<void> byte_by_byte(Shard& shard) {
    Server server(shard);
    const Fd raw = raw_connect(server.listener->address());
    const std::string all = frame("hello") + frame("") + frame("world");
    for (const char c : all) {
        raw_send(raw, {&c, 1});
        co_await port::sleep(shard, microseconds(1));  // a turn of its own for each byte
    }
    while (server.sides.empty())
        co_await server.changed.wait();
    auto& side = *server.sides[0];
    while (side.messages.size() < 3)
        co_await side.changed.wait();
    EXPECT_EQ(side.messages[0].view(), "hello");
    EXPECT_EQ(side.messages[1].view(), "");
    EXPECT_EQ(side.messages[2].view(), "world");
    // Shown only when `wanted` bytes were there: length, then message, three times; the empty one
    // needs no second call.
    EXPECT_LE(side.calls, 6);
}

TEST(Net, BytesThatComeOneByOneAreShownWhenEnoughAreThere) {
    World world;
    world.run(byte_by_byte);
}

Task<void> large_messages(Shard& shard) {
    Server server(shard);
    server.prepare = [](Side& s) { s.echo = true; };
    auto client = co_await connect(shard, server.listener->address());
    std::vector<std::string> sent;
    for (const size_t size : {5u, 100'000u, 20'000'000u, 1u, 70'000u, 3'000'000u, 0u}) {
        std::string text(size, 0);
        for (size_t i = 0; i < size; ++i)
            text[i] = static_cast<char>((i * 31 + size) >> 3);
        client->send(text);
        sent.push_back(std::move(text));
    }
    while (client->messages.size() < sent.size())
        co_await client->changed.wait();
    // Slices kept from earlier receives were not overwritten by later ones.
    for (size_t i = 0; i < sent.size(); ++i)
        EXPECT_TRUE(client->messages[i].view() == sent[i]) << i;
    EXPECT_GE(client->drained, 1);
}

TEST(Net, MessagesOfAnySizeArriveInOnePiece) {
    World world;
    world.run(large_messages);
}

Task<void> half_close(Shard& shard) {
    Server server(shard);
    server.prepare = [](Side& s) { s.echo = true; };
    const Fd raw = raw_connect(server.listener->address());
    raw_send(raw, frame("last words"));
    ::shutdown(raw.get(), SHUT_WR);
    while (server.sides.empty())
        co_await server.changed.wait();
    auto& side = *server.sides[0];
    while (side.ends == 0)
        co_await side.changed.wait();
    EXPECT_EQ(side.messages.size(), 1u);
    side.send("and the answer");
    side.connection->close_after_flush();
    side.connection.reset();  // what is in out() is sent all the same
    co_await port::sleep(shard, milliseconds(1));
    std::string got(100, 0);
    const ssize_t n = ::recv(raw.get(), got.data(), 14 + 18, MSG_WAITALL);
    got.resize(static_cast<size_t>(n));
    EXPECT_EQ(got, frame("last words") + frame("and the answer"));
    EXPECT_EQ(::recv(raw.get(), got.data(), 1, 0), 0);
    EXPECT_FALSE(side.closed);
    EXPECT_EQ(side.ends, 1);
}

TEST(Net, AnEndOfStreamLeavesTheOtherDirectionOpen) {
    World world;
    world.run(half_close);
}

Task<void> unread_input(Shard& shard) {
    Server server(shard);
    server.prepare = [](Side& s) { s.pause_after_each = true; };
    const Fd raw = raw_connect(server.listener->address());
    const std::string large(300'000, 'x');
    raw_send(raw, frame("bad") + large);  // much that nobody reads
    while (server.sides.empty())
        co_await server.changed.wait();
    auto& side = *server.sides[0];
    while (side.messages.empty())
        co_await side.changed.wait();
    side.send("refused");
    side.connection->close_after_flush();
    for (int i = 0; i < 50; ++i)
        co_await port::sleep(shard, microseconds(10));
    // A reset in answer to the unread bytes would throw the reply away.
    std::string got(11, 0);
    EXPECT_EQ(::recv(raw.get(), got.data(), got.size(), MSG_WAITALL), 11);
    EXPECT_EQ(got, frame("refused"));
    EXPECT_EQ(::recv(raw.get(), got.data(), 1, 0), 0);
}

TEST(Net, AReplyBeforeClosingSurvivesUnreadInput) {
    World world;
    world.run(unread_input);
}

Task<void> reset(Shard& shard) {
    Server server(shard);
    server.start = false;
    auto client = co_await connect(shard, server.listener->address());
    while (server.sides.empty())
        co_await server.changed.wait();
    client->send("never read");
    co_await port::sleep(shard, milliseconds(1));
    server.sides.clear();  // destroyed with unread input: a reset
    while (!client->closed)
        co_await client->changed.wait();
    EXPECT_EQ(client->closed->code, Errc::Closed);
    client->send("to nobody");  // harmless
    co_await port::sleep(shard, milliseconds(1));
    EXPECT_EQ(client->connection->unsent(), 0u);
}

TEST(Net, AResetIsReportedOnceAndLaterOutputIsDropped) {
    World world;
    world.run(reset);
}

Task<void> back_pressure(Shard& shard) {
    Server server(shard);
    server.start = false;
    auto client = co_await connect(shard, server.listener->address());
    while (server.sides.empty())
        co_await server.changed.wait();
    const std::string block(1'000'000, 'b');
    for (int i = 0; i < 40; ++i)
        client->send(block);
    for (int i = 0; i < 200; ++i)
        co_await port::sleep(shard, microseconds(10));
    EXPECT_GT(client->connection->unsent(), port::kHighOutputMark);
    EXPECT_EQ(client->drained, 0);
    auto& side = *server.sides[0];
    side.begin();
    while (client->drained == 0)
        co_await client->changed.wait();
    EXPECT_LT(client->connection->unsent(), port::kLowOutputMark);
    while (side.messages.size() < 40)
        co_await side.changed.wait();
    EXPECT_EQ(client->drained, 1);
}

TEST(Net, OutputWaitsForASlowReaderAndDrainedIsToldOnce) {
    World world;
    world.run(back_pressure);
}

Task<void> pausing(Shard& shard) {
    Server server(shard);
    server.prepare = [](Side& s) { s.pause_after_each = true; };
    auto client = co_await connect(shard, server.listener->address());
    for (int i = 0; i < 5; ++i)
        client->send(std::to_string(i));
    while (server.sides.empty())
        co_await server.changed.wait();
    auto& side = *server.sides[0];
    for (size_t i = 1; i <= 5; ++i) {
        while (side.messages.size() < i)
            co_await side.changed.wait();
        for (int t = 0; t < 3; ++t)
            co_await port::sleep(shard, microseconds(1));
        EXPECT_EQ(side.messages.size(), i);  // nothing is shown while paused
        side.inside_call = true;
        side.connection->pause_reading(false);
        side.inside_call = false;
    }
}

TEST(Net, AfterAPauseTheRestIsShownAlthoughNothingNewArrives) {
    World world;
    world.run(pausing);
}

Task<void> one_per_call(Shard& shard) {
    Server server(shard);
    server.prepare = [](Side& s) { s.one_per_call = true; };
    auto client = co_await connect(shard, server.listener->address());
    for (int i = 0; i < 5; ++i)
        client->send(std::to_string(i));
    while (server.sides.empty())
        co_await server.changed.wait();
    while (server.sides[0]->messages.size() < 5)
        co_await server.sides[0]->changed.wait();
}

TEST(Net, AHandlerThatStopsEarlyIsCalledAgainForWhatItWanted) {
    World world;
    world.run(one_per_call);
}

TEST(Net, AMessageBeyondTheLimitClosesTheConnection) {
    World world({.max_message_bytes = 100'000});
    world.run([](Shard& shard) -> Task<void> {
        Server server(shard);
        auto client = co_await connect(shard, server.listener->address());
        client->send(std::string(200'000, 'x'));
        while (server.sides.empty())
            co_await server.changed.wait();
        while (!server.sides[0]->closed)
            co_await server.sides[0]->changed.wait();
        EXPECT_EQ(server.sides[0]->closed->code, Errc::Limit);
        EXPECT_NE(server.sides[0]->closed->context.find("max_message_bytes"), std::string::npos);
    });
}

// Destroys its connection in the middle of each kind of callback.
struct Suicide final : port::ConnectionHandler {
    explicit Suicide(Shard& s) : changed(s) {}
    Consumed on_data(const Bytes& b) override {
        connection->out().append("unsent");
        connection.reset();
        changed.notify();
        return {b.size(), 0};
    }
    void on_end_of_stream() override {
        connection.reset();
        changed.notify();
    }
    void on_closed(const Error&) override {
        connection.reset();
        changed.notify();
    }
    port::Signal changed;
    std::unique_ptr<Connection> connection;
};

Task<void> destroyed_inside(Shard& shard) {
    std::vector<std::unique_ptr<Suicide>> sides;
    port::Signal accepted(shard);
    std::unique_ptr<port::Listener> listener;
    listener = std::move(*shard.net().listen(kAnyPort, [&](std::unique_ptr<Connection> c) {
        sides.push_back(std::make_unique<Suicide>(shard));
        sides.back()->connection = std::move(c);
        sides.back()->connection->start(*sides.back());
        if (sides.size() == 3) listener.reset();  // and the listener inside its own
        accepted.notify();
    }));
    const Address to = listener->address();
    const Fd data = raw_connect(to), end = raw_connect(to);
    Fd gone = raw_connect(to);
    while (sides.size() < 3)
        co_await accepted.wait();
    raw_send(data, "x");
    ::shutdown(end.get(), SHUT_WR);
    const linger hard{1, 0};
    ::setsockopt(gone.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    gone.reset();
    for (auto& side : sides)
        while (side->connection)
            co_await side->changed.wait();
}

TEST(Net, ConnectionsAndListenersMayBeDestroyedInsideTheirCallbacks) {
    World world;
    world.run(destroyed_inside);
}

Task<void> connect_errors(Shard& shard) {
    auto& net = shard.net();
    // A port that was free a moment ago.
    const Address free = [&] {
        return (*net.listen(kAnyPort, [](std::unique_ptr<Connection>) {}))->address();
    }();
    const auto refused = co_await net.connect(free, "", seconds(5));
    EXPECT_EQ(refused.error().code, Errc::Unavailable);
    EXPECT_NE(refused.error().context.find(free.describe()), std::string::npos);
    const auto identity = co_await net.connect(free, "node-2", seconds(5));
    EXPECT_EQ(identity.error().code, Errc::Unsupported);
    EXPECT_NE(identity.error().context.find("TLS"), std::string::npos);
    const auto late = co_await net.connect(free, "", Duration::zero());
    EXPECT_EQ(late.error().code, Errc::Timeout);
    const auto name = co_await net.connect({"no.such.name.invalid", 1}, "", seconds(60));
    EXPECT_EQ(name.error().code, Errc::Unavailable);
    const auto local = co_await net.connect({"localhost", free.port}, "", seconds(5));
    EXPECT_EQ(local.error().code, Errc::Unavailable);
}

TEST(Net, ConnectSaysWhyItFailed) {
    World world;
    world.run(connect_errors);
}

Task<void> connect_timeout(Shard& shard) {
    // A listener whose backlog is full lets further connects hang.
    const Fd deaf(::socket(AF_INET, SOCK_STREAM, 0));
    const auto any = numeric_address(kAnyPort);
    EXPECT_EQ(::bind(deaf.get(), any->get(), any->size), 0);
    EXPECT_EQ(::listen(deaf.get(), 0), 0);
    const Address to = local_address(deaf.get()).to_address();
    const Fd first = raw_connect(to);
    Result<std::unique_ptr<Connection>> last;
    std::vector<std::unique_ptr<Connection>> queued;
    for (int i = 0; i < 10; ++i) {
        last = co_await shard.net().connect(to, "", milliseconds(20));
        if (!last) break;
        queued.push_back(std::move(*last));
    }
    EXPECT_FALSE(last);
    EXPECT_EQ(last.error().code, Errc::Timeout);
}

TEST(Net, ConnectGivesUpAtItsDeadline) {
    World world;
    world.run(connect_timeout);
}

TEST(Net, ATakenPortIsNamedTogetherWithTheWayOut) {
    World world, stranger;
    auto ignore = [](std::unique_ptr<Connection>) {};
    auto listener = world.runtime().shard(ShardId(0)).net().listen(kAnyPort, ignore);
    const Address taken = (*listener)->address();
    const auto again = stranger.runtime().shard(ShardId(0)).net().listen(taken, ignore);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::AlreadyExists);
    EXPECT_NE(again.error().context.find(taken.describe()), std::string::npos);
    EXPECT_NE(again.error().context.find("choose another"), std::string::npos);
    listener->reset();
    EXPECT_TRUE(stranger.runtime().shard(ShardId(0)).net().listen(taken, ignore));
    EXPECT_EQ(world.runtime().shard(ShardId(0)).net().listen({"a.name", 1}, ignore).error().code,
              Errc::InvalidArgument);
}

TEST(Net, SeveralShardsListenOnOneAddressAndShareItsConnections) {
    constexpr int kClients = 64;
    Registry registry;
    MemorySink sink;
    auto runtime = std::move(*Runtime::create({.shards = 2}, registry, Log(sink, "test")));
    std::vector<std::unique_ptr<port::Listener>> listeners(2);
    std::array<std::vector<std::unique_ptr<Connection>>, 2> accepted;
    std::vector<Fd> clients;
    std::atomic<int> total = 0;
    const auto listen = [&](Shard& shard, Address on) {
        const size_t i = shard.id().value;
        listeners[i] = std::move(*shard.net().listen(on, [&, i](std::unique_ptr<Connection> c) {
            accepted[i].push_back(std::move(c));
            if (++total == kClients) runtime->stop();
        }));
    };
    runtime->run([&](Shard& shard) {
        if (shard.id() != ShardId(0)) return;
        listen(shard, kAnyPort);
        const Address address = listeners[0]->address();
        shard.submit(ShardId(1), [&, address] {
            auto& one = runtime->shard(ShardId(1));
            listen(one, address);
            for (int i = 0; i < kClients; ++i)
                clients.push_back(raw_connect(address));
        });
    });
    EXPECT_EQ(accepted[0].size() + accepted[1].size(), size_t{kClients});
    EXPECT_FALSE(accepted[0].empty());
    EXPECT_FALSE(accepted[1].empty());
}

Task<void> out_of_descriptors(Shard& shard) {
    Server server(shard);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const Fd probe(::dup(0));
    const Fd first = raw_connect(server.listener->address());
    // The client's side exists; the server's has no descriptor left.
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(first.get()) + 1;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    for (int i = 0; i < 5; ++i)
        co_await port::sleep(shard, microseconds(10));
    EXPECT_TRUE(server.sides.empty());
    ::setrlimit(RLIMIT_NOFILE, &before);
    while (server.sides.empty())
        co_await server.changed.wait();
}

TEST(Net, RunningOutOfDescriptorsPausesAcceptingAndIsCounted) {
    World world;
    world.run(out_of_descriptors);
    EXPECT_GE(world.registry.counter("asterias_net_accept_errors_total", "", "shard=\"0\"").value(),
              1u);
    EXPECT_NE(world.sink.text().find("accept on"), std::string::npos);
}

TEST(Net, ConnectionsBeyondTheLimitAreClosedAtOnce) {
    World world({.max_connections = 1});
    world.run([](Shard& shard) -> Task<void> {
        Server server(shard);
        const Fd first = raw_connect(server.listener->address());
        while (server.sides.empty())
            co_await server.changed.wait();
        const Fd second = raw_connect(server.listener->address());
        for (int i = 0; i < 5; ++i)
            co_await port::sleep(shard, microseconds(10));
        char c;
        EXPECT_EQ(::recv(second.get(), &c, 1, 0), 0);
        EXPECT_EQ(server.sides.size(), 1u);
    });
}

// A service as the real ones are built: it owns a Scope with a task per connection.
class Service {
public:
    explicit Service(Shard& shard) : shard_(shard), scope_(shard) {
        listener_ = std::move(*shard.net().listen(kAnyPort, [this](std::unique_ptr<Connection> c) {
            scope_.spawn("serve", serve(std::make_unique<Side>(shard_, std::move(c))));
        }));
    }
    Address address() const { return listener_->address(); }
    size_t active() const { return scope_.active(); }
    Task<void> stop() {
        listener_.reset();
        scope_.request_stop();
        for (auto* side : open_)
            side->changed.notify();
        co_await scope_.close();
    }

private:
    Task<void> serve(std::unique_ptr<Side> side) {
        side->echo = true;
        side->begin();
        open_.push_back(side.get());
        while (!scope_.stop_requested() && !side->closed)
            co_await side->changed.wait();
        std::erase(open_, side.get());
    }
    Shard& shard_;
    port::Scope scope_;
    std::vector<Side*> open_;
    std::unique_ptr<port::Listener> listener_;
};

TEST(Net, AServiceStopsWhileItsConnectionsAreOpen) {
    World world;
    world.run([](Shard& shard) -> Task<void> {
        Service service(shard);
        std::vector<std::unique_ptr<Side>> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(co_await connect(shard, service.address()));
            clients.back()->send("hello");
            while (clients.back()->messages.empty())
                co_await clients.back()->changed.wait();
        }
        EXPECT_EQ(service.active(), 20u);
        co_await service.stop();
        EXPECT_EQ(service.active(), 0u);
        for (auto& client : clients)
            while (client->ends == 0 && !client->closed)
                co_await client->changed.wait();
    });
}

}  // namespace
}  // namespace asterias::runtime
