// bench/floor/floor.cc: the floor under a replicated write: three bare processes that exchange the
// messages of a three-node Raft group and sync a journal, and do nothing else. No terms, no
// elections, no store, no recovery: what it lacks is what Asterias adds, and the ratio of the two
// is the price of that. It takes the same turns as a shard does: read everything that is ready (one
// recv per connection), then one batch, one send per connection, one pwrite + fdatasync.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr const char* kHelp =
    R"(floor: three processes, the messages of a replicated write, journal only

  floor leader   --clients PORT --peers PORT --dir DIR
  floor follower --clients PORT --leader PORT --dir DIR

Start the leader, then two followers; each prints "ready" when all three are joined. SET of Redis'
protocol is accepted on every --clients port of 127.0.0.1; a follower forwards to the leader. The
leader collects one batch per turn, sends it to both followers and syncs its own journal; a follower
acknowledges after its sync; the client's +OK leaves when two of the three journals have the batch.
Everything else but SET is answered -ERR. bench/floor/run.py starts all three and measures.

Options: --journal-mb N (size of the preallocated journal, overwritten in a circle; default 64)
         --no-sync      (skip fdatasync, to see what the disk costs)
)";

constexpr size_t kRead = 256 * 1024;

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "floor: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

// Frames between the processes: {u32 length of what follows, u8 kind, u64 number} and a body.
enum class Kind : uint8_t {
    Append,   // leader -> follower: batch `number`; body: commands
    Ack,      // follower -> leader: batches through `number` are synced
    Forward,  // follower -> leader: client `number`; body: u32 count, commands
    Reply,    // leader -> follower: client `number`; body: u32 count of +OK
};
constexpr size_t kFrameHeader = 4 + 1 + 8;

struct Frame {
    Kind kind;
    uint64_t number;
    std::string_view body;
};

template <typename T>
T load(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
template <typename T>
void store(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_frame(std::string& out, Kind kind, uint64_t number, std::string_view a = {},
               std::string_view b = {}) {
    store(out, static_cast<uint32_t>(1 + 8 + a.size() + b.size()));
    store(out, kind);
    store(out, number);
    out.append(a).append(b);
}

// The first frame of `in`, or nothing if it is not all there.
bool take_frame(std::string_view& in, Frame& frame) {
    if (in.size() < kFrameHeader) return false;
    const auto length = load<uint32_t>(in.data());
    if (in.size() < 4 + size_t{length}) return false;
    frame = {load<Kind>(in.data() + 4), load<uint64_t>(in.data() + 5),
             in.substr(kFrameHeader, length - 9)};
    in.remove_prefix(4 + size_t{length});
    return true;
}

// A number in decimal up to CR LF after `at`; false if it is not all there.
bool read_number(std::string_view in, size_t& at, size_t& value) {
    const size_t end = in.find("\r\n", at);
    if (end == std::string_view::npos) return false;
    std::from_chars(in.data() + at, in.data() + end, value);
    at = end + 2;
    return true;
}

// The length of the first command of `in` (an array of bulk strings); 0 if it is not all there.
size_t command_length(std::string_view in) {
    size_t at = 1, parts = 0;
    if (in.empty() || !read_number(in, at, parts)) return 0;
    for (; parts > 0; --parts) {
        size_t length = 0;
        if (at >= in.size()) return 0;
        ++at;
        if (!read_number(in, at, length)) return 0;
        at += length + 2;
        if (at > in.size()) return 0;
    }
    return at;
}
bool is_set(std::string_view command) { return command.starts_with("*3\r\n$3\r\nSET\r\n"); }

class Journal {
public:
    Journal(const std::string& path, size_t bytes, bool sync) : size_(bytes), sync_(sync) {
        fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (fd_ < 0) die(path.c_str());
        const std::string zeroes(1 << 20, 0);
        for (size_t at = 0; at < bytes; at += zeroes.size())
            if (::pwrite(fd_, zeroes.data(), zeroes.size(), static_cast<off_t>(at)) < 0)
                die("preallocate");
        if (::fsync(fd_) != 0) die("fsync");
    }
    void write(std::string_view batch) {
        if (offset_ + batch.size() > size_) offset_ = 0;
        while (!batch.empty()) {
            const ssize_t n =
                ::pwrite(fd_, batch.data(), batch.size(), static_cast<off_t>(offset_));
            if (n < 0) die("write");
            offset_ += static_cast<size_t>(n);
            batch.remove_prefix(static_cast<size_t>(n));
        }
        if (sync_ && ::fdatasync(fd_) != 0) die("fdatasync");
    }

private:
    int fd_;
    size_t size_, offset_ = 0;
    bool sync_;
};

enum class Role : uint8_t { ClientListener, PeerListener, Client, Peer };

struct Conn {
    int fd;
    Role role;
    uint64_t id;
    std::string in, out;
    bool dirty = false, blocked = false;
    uint64_t acked = 0;  // leader: of a follower
};

struct Options {
    bool leader = false;
    uint16_t clients = 0, peers = 0, leader_port = 0;
    std::string dir;
    size_t journal_mb = 64;
    bool sync = true;
};

class Node {
public:
    explicit Node(const Options& options)
        : leader_(options.leader),
          journal_(options.dir + "/journal", options.journal_mb << 20, options.sync),
          epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        if (leader_) {
            listen(options.peers, Role::PeerListener);
        } else {
            join(options.leader_port);
        }
        listen(options.clients, Role::ClientListener);
        if (!leader_) ready();
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 512> events;
        for (;;) {
            const int n = ::epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < n; ++i)
                handle(events[i].data.fd, events[i].events);
            end_turn();
        }
    }

private:
    struct Waiter {
        uint64_t conn;    // the client, or the follower that forwarded
        uint64_t client;  // of that follower
        uint32_t count;
    };
    struct Batch {
        uint64_t number;
        std::vector<Waiter> waiters;
    };

    static void ready() {
        std::puts("ready");
        std::fflush(stdout);
    }
    static sockaddr_in loopback(uint16_t port) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(port);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return a;
    }
    Conn& add(int fd, Role role) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (conns_.size() <= static_cast<size_t>(fd)) conns_.resize(static_cast<size_t>(fd) + 1);
        // The id says which life of the descriptor is meant.
        const uint64_t id = ++lives_ << 20 | static_cast<uint64_t>(fd);
        conns_[static_cast<size_t>(fd)] = std::make_unique<Conn>(Conn{fd, role, id, {}, {}});
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
        return *conns_[static_cast<size_t>(fd)];
    }
    void listen(uint16_t port, Role role) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        const auto a = loopback(port);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0 ||
            ::listen(fd, 1024) != 0)
            die("listen");
        add(fd, role);
    }
    void join(uint16_t port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const auto a = loopback(port);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) die("join");
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        peers_.push_back(add(fd, Role::Peer).id);
    }
    Conn* find(uint64_t id) {
        const auto& conn = conns_[id & 0xFFFFF];
        return conn && conn->id == id ? conn.get() : nullptr;
    }
    std::string* out(uint64_t id) {
        Conn* conn = find(id);
        if (!conn) return nullptr;
        if (!conn->dirty && !conn->blocked) {
            conn->dirty = true;
            dirty_.push_back(id);
        }
        return &conn->out;
    }

    void handle(int fd, uint32_t events) {
        Conn* conn = conns_[static_cast<size_t>(fd)].get();
        if (!conn) return;
        if (conn->role == Role::ClientListener || conn->role == Role::PeerListener)
            return accept(*conn);
        if (events & EPOLLOUT) {
            conn->blocked = false;
            watch(*conn, EPOLLIN);
            out(conn->id);
        }
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(*conn);
    }
    void accept(Conn& listener) {
        const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (listener.role == Role::ClientListener) {
            add(fd, Role::Client);
            return;
        }
        peers_.push_back(add(fd, Role::Peer).id);
        if (peers_.size() == 2) ready();
    }
    void watch(const Conn& conn, uint32_t events) {
        epoll_event event{.events = events, .data = {.fd = conn.fd}};
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, conn.fd, &event);
    }
    void close(const Conn& conn) {
        if (conn.role == Role::Peer) {
            std::fprintf(stderr, "floor: a peer is gone; the end\n");
            std::exit(0);
        }
        ::close(conn.fd);
        conns_[static_cast<size_t>(conn.fd)].reset();
    }
    void receive(Conn& conn) {
        const ssize_t n = ::recv(conn.fd, buffer_.data(), buffer_.size(), 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return close(conn);
        std::string_view in(buffer_.data(), static_cast<size_t>(n));
        const bool had_rest = !conn.in.empty();
        if (had_rest) in = conn.in.append(in);
        const std::string_view rest =
            conn.role == Role::Client ? take_commands(conn, in) : take_frames(conn, in);
        if (had_rest) {
            conn.in.erase(0, conn.in.size() - rest.size());
        } else {
            conn.in.assign(rest);
        }
    }

    std::string_view take_commands(Conn& client, std::string_view in) {
        const char* begin = in.data();
        uint32_t count = 0;
        while (const size_t length = command_length(in)) {
            if (!is_set(in.substr(0, length))) {
                // Not part of the benchmark: clients ask for CONFIG before they begin.
                out(client.id)->append("-ERR only SET\r\n");
                begin = in.data() + length;
            } else {
                ++count;
            }
            in.remove_prefix(length);
        }
        if (count == 0) return in;
        const std::string_view commands(begin, static_cast<size_t>(in.data() - begin));
        if (leader_) {
            propose(client.id, 0, count, commands);
        } else {
            put_frame(*out(peers_[0]), Kind::Forward, client.id,
                      {reinterpret_cast<const char*>(&count), sizeof count}, commands);
        }
        return in;
    }
    void propose(uint64_t conn, uint64_t client, uint32_t count, std::string_view commands) {
        waiters_.push_back({conn, client, count});
        batch_.append(commands);
    }
    std::string_view take_frames(Conn& peer, std::string_view in) {
        Frame frame{};
        while (take_frame(in, frame)) {
            switch (frame.kind) {
                case Kind::Append:
                    batch_.append(frame.body);
                    received_ = frame.number;
                    break;
                case Kind::Ack:
                    peer.acked = frame.number;
                    break;
                case Kind::Forward:
                    propose(peer.id, frame.number, load<uint32_t>(frame.body.data()),
                            frame.body.substr(4));
                    break;
                case Kind::Reply:
                    answer(frame.number, load<uint32_t>(frame.body.data()));
                    break;
            }
        }
        return in;
    }
    void answer(uint64_t client, uint32_t count) {
        std::string* to = out(client);
        for (; to && count > 0; --count)
            to->append("+OK\r\n");
    }

    void end_turn() {
        if (leader_) {
            commit();
            if (!batch_.empty()) replicate();
        }
        flush();
        if (!batch_.empty()) {
            journal_.write(batch_);
            batch_.clear();
            if (leader_) {
                synced_ = sent_;
                commit();
            } else {
                put_frame(*out(peers_[0]), Kind::Ack, received_);
            }
            flush();
        }
    }
    void replicate() {
        open_.push_back({++sent_, std::move(waiters_)});
        waiters_.clear();
        for (const uint64_t peer : peers_)
            put_frame(*out(peer), Kind::Append, sent_, batch_);
    }
    // Two of three: the leader's own sync counts like a follower's.
    void commit() {
        std::array<uint64_t, 3> through{synced_, 0, 0};
        for (size_t i = 0; i < std::min<size_t>(peers_.size(), 2); ++i)
            if (const Conn* peer = find(peers_[i])) through[i + 1] = peer->acked;
        std::ranges::sort(through);
        for (; !open_.empty() && open_.front().number <= through[1]; open_.pop_front())
            for (const Waiter& w : open_.front().waiters) {
                if (w.client == 0) {
                    answer(w.conn, w.count);
                } else if (std::string* to = out(w.conn)) {
                    put_frame(*to, Kind::Reply, w.client,
                              {reinterpret_cast<const char*>(&w.count), sizeof w.count});
                }
            }
    }
    void flush() {
        for (const uint64_t id : dirty_) {
            Conn* conn = find(id);
            if (!conn) continue;
            conn->dirty = false;
            const ssize_t n = ::send(conn->fd, conn->out.data(), conn->out.size(), MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) {
                close(*conn);
                continue;
            }
            conn->out.erase(0, static_cast<size_t>(std::max<ssize_t>(n, 0)));
            if (!conn->out.empty()) {
                conn->blocked = true;
                watch(*conn, EPOLLIN | EPOLLOUT);
            }
        }
        dirty_.clear();
    }

    const bool leader_;
    Journal journal_;
    const int epoll_;
    std::vector<char> buffer_ = std::vector<char>(kRead);
    std::vector<std::unique_ptr<Conn>> conns_;  // by descriptor
    uint64_t lives_ = 0;
    std::vector<uint64_t> peers_;  // leader: the followers; follower: the leader
    std::vector<uint64_t> dirty_;
    std::string batch_;  // of this turn
    std::vector<Waiter> waiters_;
    std::deque<Batch> open_;  // sent, not yet answered
    uint64_t sent_ = 0, synced_ = 0, received_ = 0;
};

Options parse(int argc, char** argv) {
    Options o;
    const auto usage = [](const char* why) {
        std::fprintf(stderr, "floor: %s\n\n%s", why, kHelp);
        std::exit(2);
    };
    if (argc < 2) usage("leader or follower?");
    const std::string_view role = argv[1];
    if (role == "--help" || role == "-h") {
        std::fputs(kHelp, stdout);
        std::exit(0);
    }
    if (role != "leader" && role != "follower") usage("leader or follower?");
    o.leader = role == "leader";
    for (int i = 2; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--no-sync") {
            o.sync = false;
            continue;
        }
        if (i + 1 == argc) usage("an option lacks its value");
        const char* value = argv[++i];
        const auto port = static_cast<uint16_t>(std::atoi(value));
        if (name == "--clients") {
            o.clients = port;
        } else if (name == "--peers") {
            o.peers = port;
        } else if (name == "--leader") {
            o.leader_port = port;
        } else if (name == "--dir") {
            o.dir = value;
        } else if (name == "--journal-mb") {
            o.journal_mb = static_cast<size_t>(std::atoi(value));
        } else {
            usage("unknown option");
        }
    }
    if (o.dir.empty() || o.clients == 0 || (o.leader ? o.peers : o.leader_port) == 0)
        usage("--clients, --dir and --peers or --leader are needed");
    return o;
}

}  // namespace

int main(int argc, char** argv) {
    Node node(parse(argc, argv));
    node.run();
}
