// asterias init, asterias serve: one node on the real runtime.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/configure.h"
#include "app/guard.h"
#include "app/log_sink.h"
#include "app/operate.h"
#include "app/parameters.h"
#include "app/process.h"
#include "app/records.h"
#include "app/text.h"
#include "edge/http/door.h"
#include "edge/resp/door.h"
#include "engine/rocks/engine.h"
#include "runtime/epoll/runtime.h"
#include "service/node/json.h"
#include "service/node/node.h"

namespace asterias::app {
namespace {

// How long a node that is told to end waits for the answers that it owes.
constexpr Duration kDrainMost = seconds(1);

LogLevel parse_level(const std::string& text) {
    if (text == "debug") return LogLevel::Debug;
    if (text == "info") return LogLevel::Info;
    if (text == "error") return LogLevel::Error;
    return LogLevel::Warn;
}

// Asked before anything is made there. Where it cannot be seen the node finds out, and says why.
bool is_empty(const std::string& directory) {
    std::error_code ec;
    return !std::filesystem::exists(directory + "/identity", ec) && !ec &&
           !std::filesystem::exists(directory + "/engine", ec) && !ec;
}

edge_resp::DebugFor parse_debug(const std::string& text) {
    if (text == "yes") return edge_resp::DebugFor::Everybody;
    return text == "local" ? edge_resp::DebugFor::Loopback : edge_resp::DebugFor::Nobody;
}

bool is_port(const Error& error) { return error.context.starts_with("listen on "); }

// Starting again as it is does not help.
bool is_hopeless(const Error& error) {
    if (is_port(error)) return false;
    switch (error.code) {
        case Errc::Corrupt:
        case Errc::Conflict:
        case Errc::Unsupported:
        case Errc::Io:
        case Errc::NotFound:         // nobody lives there
        case Errc::AlreadyExists:    // somebody does
        case Errc::InvalidArgument:  // the cluster knows better, or the options
        case Errc::Limit:            // started too often
            return true;
        default:
            return false;
    }
}

// Of HTTP.
int status_of(Errc code) {
    switch (code) {
        case Errc::InvalidArgument:
            return 400;
        case Errc::NotFound:
            return 404;
        case Errc::Conflict:
            return 409;
        case Errc::Timeout:
        case Errc::Closed:
            return 504;  // it may have been done, or go on
        default:
            return 503;
    }
}

// Connections that the process has descriptors for. Files come first: a journal that cannot open
// its next segment ends the node, so clients must never be able to take the last descriptor.
// Those that only wait for their last bytes are counted with the others.
struct ConnectionLimits {
    size_t all = 0;         // per shard
    size_t resp = 0;        // per shard
    size_t handshakes = 0;  // per shard, beside `resp`
    size_t http = 0;        // on the one shard that has them
};
ConnectionLimits connection_limits(const config::Settings& settings) {
    const size_t shards = settings.shards;
    constexpr rlim_t kWanted = 65536;
    constexpr size_t kFilesMost = 2048;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < kWanted) {
        files.rlim_cur = std::min(files.rlim_max, kWanted);
        ::setrlimit(RLIMIT_NOFILE, &files);
        ::getrlimit(RLIMIT_NOFILE, &files);
    }
    const auto all = static_cast<size_t>(std::min(files.rlim_cur, kWanted));
    const size_t each = (all - std::min(all / 2, kFilesMost)) / shards;
    const size_t handshakes =
        std::min(settings.tls_handshakes_max, settings.tls_cert.empty() ? 1 : each / 8 + 1);
    // The last eighth is for other nodes.
    return {each,
            std::clamp<size_t>(settings.resp.connections_max, 1,
                               std::max(each * 3 / 4, handshakes + 1) - handshakes),
            handshakes, std::max<size_t>(each / 8, 1)};
}

// Else the first to hear of it would be the clients that are turned away.
void tell_fewer_clients(const config::Settings& settings, const ConnectionLimits& limits, Log log) {
    if (limits.resp == settings.resp.connections_max) return;
    log.warn("maxclients is " + std::to_string(limits.resp) + " of a shard, not " +
             std::to_string(settings.resp.connections_max) +
             ": the process may have too few descriptors for more (ulimit -Hn)");
}

// The composition root of one serving process.
class Server {
public:
    Server(const ConfigOptions& given, const config::Loaded& loaded, const ConnectionLimits& limits,
           std::shared_ptr<runtime::Tls> tls, runtime::Runtime& runtime, Registry& registry,
           Log log)
        : given_(given),
          options_(loaded.settings),
          running_(loaded),
          limits_(limits),
          tls_(std::move(tls)),
          runtime_(runtime),
          registry_(registry),
          log_(log),
          users_(loaded.settings.users),
          parameters_(loaded.settings, [this] { tune_doors(); }) {
        const config::Settings& options = options_;
        std::vector<port::Shard*> shards;
        for (size_t i = 0; i < runtime.shard_count(); ++i)
            shards.push_back(&runtime.shard(ShardId(i)));
        node::Options node_options = options.node;
        node_options.directory = options.data;
        node_options.peer_address = {options.host, options.peer_port};
        node_options.door_address = {options.host, options.resp_port};
        node_options.http_address = {options.host, options.http_port};
        if (!options.join.empty()) node_options.join = *port::Address::parse(options.join);
        node_options.replace = NodeId(options.replace);
        auto engine = [this](std::string directory) {
            engine::RocksOptions rocks;
            rocks.directory = std::move(directory);
            rocks.log = log_;
            rocks.write_buffer_bytes = size_t{options_.memtable_mib} << 20;
            rocks.on_damage = [this](const Error& error) { end_damaged(error); };
            return engine::open_rocks(rocks);
        };
        node_ = std::make_unique<node::Node>(std::move(shards), std::move(node_options), engine,
                                             registry, log);
        node_->on_cursor([this](uint64_t cursor, node::Node::CursorFound found) {
            place_of(cursor, std::move(found));
        });
        node_->on_end([this](const Error& why) { refuse(why); });
        doors_.resize(runtime.shard_count());
    }

    // On shard 0.
    void start(port::Shard& shard) {
        scope_ = std::make_unique<port::Scope>(shard);
        scope_->spawn("serve.start", start_task(shard));
    }
    void on_signal(int signal) {
        if (signal == SIGHUP) return reload();
        if (!node_->started() || std::exchange(stopping_, true)) return runtime_.stop();
        scope_->spawn("serve.stop", stop_task());
    }
    int result() const { return result_; }
    // Everything has ended in order: this may be destroyed once the loops do not run any more.
    bool closed() const { return closed_; }

private:
    // What is live is taken again; with anything wrong nothing is. Addresses are not asked anew:
    // the certificate goes to the door that runs.
    void reload() {
        config::Reloaded said = configure_again(given_, running_);
        auto& problems = said.loaded.problems;
        if (tls_ && problems.empty())
            if (auto done = tls_->renew(tls_files(said.loaded.settings)); !done)
                problems.push_back(done.error().context);
        for (const auto& problem : problems)
            log_.error("SIGHUP: " + problem + "; nothing was changed");
        if (!problems.empty()) return;
        for (const auto& waiting : said.waiting)
            log_.warn("SIGHUP: " + waiting);
        running_ = std::move(said.loaded);
        users_.replace(running_.settings.users);
        parameters_.replace(running_.settings);
        log_.info("SIGHUP: " + std::to_string(running_.settings.users.size()) + " users" +
                  (tls_ ? ", certificate and key" : ""));
    }

    port::Task<> start_task(port::Shard& shard) {
        auto started = co_await node_->start();
        if (!started) {
            if (is_hopeless(started.error())) co_return refuse(started.error());
            co_return fail(started.error(), "--peer-port");
        }
        edge_http::Pages pages;
        pages.metrics = [this] { return registry_.print(); };
        pages.status = [this] { return node_->status_json(); };
        pages.live = [this] { return checks(node_->live()); };
        pages.ready = [this] { return checks(node_->ready()); };
        pages.api = [this](edge_http::ApiRequest request) { return api(std::move(request)); };
        http_ = std::make_unique<edge_http::Door>(shard, std::move(pages), http_options(), log_);
        if (auto listening = http_->listen(); !listening)
            co_return fail(listening.error(), "--http-port");
        for (size_t i = 0; i < doors_.size(); ++i) {
            if (i == 0)
                open_door(0);
            else
                shard.submit(ShardId(i), [this, i] { open_door(i); });
        }
    }

    edge_http::Options http_options() const {
        edge_http::Options options = options_.http;
        options.address = {options_.host, options_.http_port};
        // As many again may be closing.
        options.connections_max = std::min(options.connections_max, (limits_.http + 1) / 2);
        options.listen = [this, at = options.address](port::Shard& shard,
                                                      port::AcceptHandler accept) {
            return runtime_.listen(shard.id(), at, {nullptr, limits_.http, {}}, std::move(accept));
        };
        return options;
    }

    // What lies under /v1/.
    port::Task<edge_http::ApiReply> api(edge_http::ApiRequest request) {
        if (request.path == "/v1/why" && !request.post)
            co_return reply_of(co_await node_->why_json(request.query["keyspace"]));
        if (request.path == "/v1/nodes" && !request.post)
            co_return reply_of(co_await node_->nodes_json());
        if (request.path == "/v1/replica") co_return reply_of(co_await replica(std::move(request)));
        if (request.path == "/v1/keyspace")
            co_return reply_of(co_await keyspace(std::move(request)));
        co_return reply_of(asterias::fail(Errc::NotFound, "nothing lies at " + request.path));
    }
    port::Task<Result<std::string>> keyspace(edge_http::ApiRequest request) {
        auto order = node::keyspace_order_of(request.query, request.post);
        if (!order) co_return std::unexpected(order.error());
        co_return co_await node_->order_keyspace(std::move(*order));
    }
    port::Task<Result<std::string>> replica(edge_http::ApiRequest request) {
        node::Order order;
        order.keyspace = request.query["keyspace"];
        order.witness = request.query["witness"] == "1";
        order.force = request.query["force"] == "1";
        if (request.post) {
            const auto what = node::what_of(request.query["op"]);
            if (!what) co_return std::unexpected(what.error());
            order.what = *what;
        }
        for (const auto& [name, number] : {std::pair{"node", &order.node}, {"from", &order.from}}) {
            const std::string& text = request.query[name];
            const auto [end, ec] =
                std::from_chars(text.data(), text.data() + text.size(), number->value);
            if (!text.empty() && (ec != std::errc() || end != text.data() + text.size()))
                co_return asterias::fail(Errc::InvalidArgument,
                                         std::string(name) + ": '" + text + "' is no number");
        }
        co_return co_await node_->order(order);
    }
    static edge_http::ApiReply reply_of(const Result<std::string>& result) {
        if (result) return {200, *result};
        const Error& error = result.error();
        return {status_of(error.code), "{\"error\":" + node::quoted(error.context) + "}"};
    }

    static port::Task<std::vector<edge_http::Check>> checks(
        port::Task<std::vector<node::Check>> asked) {
        std::vector<edge_http::Check> told;
        for (auto& check : co_await std::move(asked))
            told.push_back({std::move(check.name), std::move(check.trouble)});
        co_return told;
    }

    // On shard 0: of a cursor that a door of this node gave. `found` is called there.
    void place_of(uint64_t cursor, node::Node::CursorFound found) {
        const auto at = edge_resp::Cursors::shard_of(cursor);
        if (at.value >= doors_.size())
            return found(asterias::fail(Errc::NotFound, "no door of this node gave this cursor"));
        runtime_.shard(ShardId(0)).submit(at, [this, at, cursor, to = std::move(found)]() mutable {
            Result<Bytes> place = asterias::fail(Errc::NotFound, "this cursor is lost");
            if (const auto& door = doors_[at.value])
                if (const auto kept = door->place_of(cursor))
                    place = edge_resp::Cursors::encode(*kept);
            runtime_.shard(at).submit(
                ShardId(0),
                [place = std::move(place), to = std::move(to)]() mutable { to(std::move(place)); });
        });
    }
    // On shard 0: of any other cursor.
    port::Task<> find_place(uint64_t cursor, node::Node::CursorFound found) {
        found(co_await node_->fetch_cursor(edge_resp::Cursors::node_of(cursor), 12, cursor));
        --cursors_sought_;
    }
    // On `asker`, where `found` is called.
    void find_cursor(ShardId asker, uint64_t cursor, edge_resp::About::Found found) {
        auto back = [this, asker, to = std::move(found)](Result<Bytes> bytes) mutable {
            runtime_.shard(ShardId(0))
                .submit(asker, [bytes = std::move(bytes), to = std::move(to)]() mutable {
                    if (!bytes) return to(std::unexpected(bytes.error()));
                    to(edge_resp::Cursors::decode(*bytes));
                });
        };
        runtime_.shard(asker).submit(ShardId(0), [this, cursor, to = std::move(back)]() mutable {
            if ((node_->identity().node.value & 0xFFF) == edge_resp::Cursors::node_of(cursor))
                return place_of(cursor, std::move(to));
            if (stopping_) return to(asterias::fail(Errc::Unavailable, "the node stops"));
            ++cursors_sought_;
            scope_->spawn("serve.cursor", find_place(cursor, std::move(to)));
        });
    }

    void open_door(size_t i) {
        edge_resp::About about;
        about.find_cursor = [this, i](uint64_t cursor, edge_resp::About::Found found) {
            find_cursor(ShardId(i), cursor, std::move(found));
        };
        about.other_doors = [this, i](const std::function<void(edge_resp::Door&)>& what) {
            for (size_t j = 0; j < doors_.size(); ++j)
                if (j != i)
                    runtime_.shard(ShardId(i)).submit(ShardId(j), [this, j, what] {
                        if (doors_[j]) what(*doors_[j]);
                    });
        };
        about.version = version();
        about.node = node_->identity().node.value;
        about.cluster = to_string(node_->identity().founding.cluster);
        about.messages = &node_->member(ShardId(i)).messages();
        edge_resp::Options options = options_.resp;
        options.address = {options_.host, options_.resp_port};
        options.connections_max = limits_.resp;
        options.guard = &guard_;
        options.parameters = &parameters_;
        options.records = &records_;
        options.debug = parse_debug(options_.enable_debug_command);
        static_cast<edge_resp::Live&>(options) = parameters_.live();
        options.listen = [this, at = options.address](port::Shard& shard,
                                                      edge_resp::Options::Refuse refuse,
                                                      port::AcceptHandler accept) {
            return runtime_.listen(shard.id(), at, {tls_, limits_.resp, std::move(refuse)},
                                   std::move(accept));
        };
        about.process = describe_process;
        about.expired = &registry_.counter("asterias_expired_keys_total",
                                           "Keys found past their deadline by leaders here.");
        auto& member = node_->member(ShardId(i));
        about.replication = [&member] {
            std::string out;
            for (const auto& [group, leader] : member.status().leaders)
                out +=
                    "asterias_group_" + to_string(group) + "_leader:" + to_string(leader) + "\r\n";
            return out;
        };
        doors_[i] = std::make_unique<edge_resp::Door>(member.shard(), node_->strategy(ShardId(i)),
                                                      std::move(about), options, registry_, log_);
        if (auto listening = doors_[i]->listen(); !listening)
            fail(listening.error(), "--resp-port");
    }

    // On any shard. What they take is what holds when they come to it, so the last change wins.
    void tune_doors() {
        for (size_t i = 0; i < doors_.size(); ++i)
            runtime_.shard(ShardId(0)).submit(ShardId(i), [this, i] {
                if (doors_[i]) doors_[i]->tune(parameters_.live());
            });
    }

    // What was accepted is answered, as far as that is possible soon.
    port::Task<> stop_task() {
        log_.info("stopping");
        node_->give_up_orders();
        port::Signal closed(runtime_.shard(ShardId(0)));
        size_t open = doors_.size();
        for (size_t i = 0; i < doors_.size(); ++i)
            runtime_.shard(ShardId(0)).submit(ShardId(i), [this, i, &open, &closed] {
                const auto ended = [this, i, &open, &closed] {
                    doors_[i].reset();
                    runtime_.shard(ShardId(i)).submit(ShardId(0), [&open, &closed] {
                        if (--open == 0) closed.notify();
                    });
                };
                if (!doors_[i]) return ended();
                doors_[i]->drain(kDrainMost, ended);
            });
        co_await closed.wait();
        while (cursors_sought_ > 0)
            co_await port::sleep(runtime_.shard(ShardId(0)), milliseconds(10));
        if (http_) co_await http_->close();
        http_.reset();
        co_await node_->close();
        closed_ = true;
        runtime_.stop();
    }

    // The directory cannot take part: a supervisor that starts it again changes nothing.
    void refuse(const Error& error) {
        std::fprintf(stderr, "asterias serve: %s\nThe directory of this node is %s\n",
                     error.describe().c_str(), options_.data.c_str());
        result_ = kRefused;
        runtime_.stop();
    }
    // From a thread of the engine, at any time: as a kill would end it.
    [[noreturn]] void end_damaged(const Error& error) const {
        std::fprintf(stderr,
                     "asterias serve: %s\nA table of the engine is damaged, and starting the node "
                     "again does not help. The way out: take its copies out of their groups "
                     "(asterias replica remove), and start it on an empty directory with "
                     "--replace\nThe directory of this node is %s\n",
                     error.describe().c_str(), options_.data.c_str());
        ::_exit(kRefused);
    }
    // `port_flag` is what moves the port, if that is what was in the way.
    void fail(const Error& error, const char* port_flag) {
        const bool port = is_port(error);
        std::fprintf(stderr, "asterias serve: %s%s%s\n", error.describe().c_str(),
                     port ? "\nThe port is set with " : "", port ? port_flag : "");
        result_ = kFailed;
        runtime_.stop();
    }

    const ConfigOptions& given_;
    const config::Settings options_;  // of the start
    config::Loaded running_;          // what is live is newer
    const ConnectionLimits limits_;
    const std::shared_ptr<runtime::Tls> tls_;  // null: the Redis door is plain
    runtime::Runtime& runtime_;
    Registry& registry_;
    Log log_;
    runtime::Users users_;
    Guard guard_{users_};
    SharedRecords records_;
    Parameters parameters_;
    std::unique_ptr<node::Node> node_;
    std::vector<std::unique_ptr<edge_resp::Door>> doors_;
    std::unique_ptr<edge_http::Door> http_;
    std::unique_ptr<port::Scope> scope_;
    size_t cursors_sought_ = 0;  // at other nodes; shard 0
    bool stopping_ = false, closed_ = false;
    int result_ = kDone;
};

}  // namespace

int run_init(const InitOptions& options) {
    Registry registry;
    auto sink = make_log_sink(LogLevel::Warn, LogForm::Human, "");
    Log log(*sink, "init");
    auto runtime = runtime::Runtime::create({}, registry, log);
    if (!runtime) {
        std::fprintf(stderr, "asterias init: %s\n", runtime.error().describe().c_str());
        return kFailed;
    }
    Result<void> result;
    std::unique_ptr<port::Scope> scope;
    auto work = [&](port::Shard& shard) -> port::Task<> {
        result = co_await node::init(shard, options.data, options.nodes, options.keyspaces,
                                     options.shards);
        (*runtime)->stop();
    };
    (*runtime)->run([&](port::Shard& shard) {
        scope = std::make_unique<port::Scope>(shard);
        scope->spawn("init", work(shard));
    });
    scope.reset();
    if (!result) {
        const Error& error = result.error();
        return Caller{"init", "--data", options.json}.fail(error.code == Errc::InvalidArgument
                                                               ? kUsage
                                                           : is_hopeless(error) ? kRefused
                                                                                : kFailed,
                                                           error.describe());
    }
    if (options.json) {
        std::printf("{\"data\":%s,\"nodes\":%u,\"shards\":%u}\n", json_string(options.data).c_str(),
                    options.nodes, options.shards);
        return kDone;
    }
    std::printf("A cluster of %u node%s begins in %s.\nStart it:       asterias serve --data %s\n",
                options.nodes, options.nodes == 1 ? "" : "s", options.data.c_str(),
                options.data.c_str());
    if (options.nodes > 1)
        std::printf("Then, %u more:  asterias serve --data DIR --join HOST:PEER_PORT\n",
                    options.nodes - 1);
    return kDone;
}

int run_serve(const ConfigOptions& given) {
    // Before the first thread is made: one that does not block them would take these signals, which
    // the runtime reads, as an order to die.
    sigset_t stops;
    sigemptyset(&stops);
    for (int s : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&stops, s);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    // Whoever read the log is gone: that must not end a node.
    ::signal(SIGPIPE, SIG_IGN);
    const config::Loaded loaded = configure(given);
    if (!loaded.problems.empty()) return tell_problems("serve", loaded);
    const config::Settings& options = loaded.settings;
    if (options.join.empty() && is_empty(options.data)) {
        std::fprintf(stderr, "asterias serve: %s\n", node::nobody_lives_in(options.data).c_str());
        return kRefused;
    }
    Registry registry;
    auto sink =
        make_log_sink(parse_level(options.log_level),
                      options.log_format == "json" ? LogForm::Json : LogForm::Human, options.name);
    Log log(*sink, "serve");
    runtime::RuntimeOptions runtime_options;
    runtime_options.shards = options.shards;
    const ConnectionLimits limits = connection_limits(options);
    runtime_options.max_connections = limits.all;
    runtime_options.tls_handshake_timeout = options.tls_handshake_timeout;
    runtime_options.tls_handshakes_max = limits.handshakes;
    auto runtime = runtime::Runtime::create(runtime_options, registry, log);
    if (!runtime) {
        std::fprintf(stderr, "asterias serve: %s\n", runtime.error().describe().c_str());
        return kFailed;
    }
    const auto tls = load_tls(options);
    if (!tls) {
        std::fprintf(stderr, "asterias serve: %s\n", tls.error().context.c_str());
        return kUsage;
    }
    tell_fewer_clients(options, limits, log);
    auto server = std::make_unique<Server>(given, loaded, limits, *tls, **runtime, registry, log);
    if (auto armed = (*runtime)->on_signal([&server](int signal) { server->on_signal(signal); });
        !armed) {
        std::fprintf(stderr, "asterias serve: %s\n", armed.error().describe().c_str());
        return kFailed;
    }
    (*runtime)->run([&](port::Shard& shard) {
        if (shard.id() == ShardId(0)) server->start(shard);
    });
    const int result = server->result();
    if (server->closed()) {
        server.reset();
        log.info("stopped");
        return result;
    }
    // It was told to end at once, or could not start. Everything durable is on disk; what is left
    // are tasks that wait for events of a loop that no longer runs. Their Scopes are right to
    // object, so the process ends here.
    std::fflush(nullptr);
    _exit(result);
}

}  // namespace asterias::app
