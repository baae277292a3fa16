#include "app/local_cluster.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "app/client.h"
#include "app/commands.h"
#include "app/config/ports.h"
#include "service/node/identity.h"

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Can this port be bound on loopback now?
bool port_free(uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool ok = ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    return ok;
}

// A run of `count` free ports, looked for from a place that differs per process.
uint16_t free_run(uint32_t count, uint16_t from) {
    for (uint32_t base = from; base < 60000; base += count) {
        bool all = true;
        for (uint32_t i = 0; i < count && all; ++i)
            all = port_free(static_cast<uint16_t>(base + i));
        if (all) return static_cast<uint16_t>(base);
    }
    return 0;
}

pid_t run_program(const std::vector<std::string>& arguments, const std::string& log_file,
                  int death_signal) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    // The child dies with its parent (with the thread that forked it): nobody has to look for stray
    // nodes.
    ::prctl(PR_SET_PDEATHSIG, death_signal);
    if (::getppid() != parent) ::_exit(1);
    ::setpgid(0, 0);  // Ctrl-C reaches the supervisor alone
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log >= 0) {
        ::dup2(log, 1);
        ::dup2(log, 2);
    }
    std::vector<char*> argv;
    for (const auto& a : arguments)
        argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

uintmax_t size_of(const std::string& file) {
    std::error_code ec;
    const uintmax_t size = std::filesystem::file_size(file, ec);
    return ec ? 0 : size;
}

// The last lines of `file` behind byte `from`, empty ones left out, each on a line of its own.
std::string last_words(const std::string& file, uintmax_t from) {
    constexpr size_t kLines = 3;
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(from));
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        if (line.empty()) continue;
        lines.push_back(line);
        if (lines.size() > kLines) lines.erase(lines.begin());
    }
    std::string text;
    for (const auto& line : lines)
        text += "\n  | " + line;
    return text;
}

}  // namespace

std::string own_executable() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

std::string json_field(const std::string& json, const std::string& name, size_t from) {
    const std::string mark = "\"" + name + "\":";
    size_t at = json.find(mark, from);
    if (at == std::string::npos) return "";
    at += mark.size();
    if (json[at] == '"') {
        std::string text;
        for (++at; at < json.size() && json[at] != '"'; ++at)
            text += json[at] == '\\' && at + 1 < json.size() ? json[++at] : json[at];
        return text;
    }
    return json.substr(at, json.find_first_of(",}]", at) - at);
}

LocalCluster::LocalCluster(LocalClusterOptions options)
    : options_(std::move(options)),
      resp_port_(options_.resp_port),
      http_port_(options_.http_port),
      peer_port_(options_.peer_port),
      pids_(options_.nodes, 0),
      log_begins_(options_.nodes, 0) {
    // Below the ports that the system gives to connections (32768 and on): one of those could take
    // a node's port while it is down.
    const auto start = static_cast<uint16_t>(20000 + ::getpid() % 12000);
    if (!resp_port_) resp_port_ = free_run(options_.nodes, start);
    if (!http_port_) http_port_ = free_run(options_.nodes, static_cast<uint16_t>(resp_port_ + 16));
    if (!peer_port_) peer_port_ = free_run(options_.nodes, static_cast<uint16_t>(http_port_ + 16));
}

LocalCluster::~LocalCluster() { stop(); }

std::string LocalCluster::directory(size_t node) const {
    return options_.data + "/node-" + std::to_string(node + 1);
}

Result<void> LocalCluster::check_ports() const {
    const std::vector<config::PortRange> doors = {
        {"--resp-port", resp_port_}, {"--http-port", http_port_}, {"--peer-port", peer_port_}};
    for (const auto& door : doors)
        if (door.first == 0)
            return fail(Errc::Limit, "no " + std::to_string(pids_.size()) +
                                         " free ports in a row for " + door.flag);
    // Some may have been chosen here.
    if (auto trouble = config::port_trouble(doors, options_.nodes); !trouble.empty())
        return fail(Errc::InvalidArgument, trouble);
    for (const auto& door : doors)
        for (size_t i = 0; i < pids_.size(); ++i)
            if (!port_free(port_of(door.first, i)))
                return fail(Errc::Conflict, "port " + std::to_string(port_of(door.first, i)) +
                                                " is taken; move this cluster with " + door.flag +
                                                " PORT");
    return {};
}

Result<void> LocalCluster::start(Duration timeout) {
    if (auto free = check_ports(); !free) return free;
    std::error_code ec;
    if (std::filesystem::exists(options_.data + "/identity", ec))
        return fail(Errc::Conflict, options_.data +
                                        " is the directory of one node, and this takes one that "
                                        "holds a directory for each; start the node with: asterias "
                                        "serve --data " +
                                        options_.data);
    if (auto same = check_same(); !same) return same;
    const bool made = std::filesystem::create_directories(options_.data, ec);
    if (ec) return fail(Errc::Io, options_.data + ": " + ec.message());
    auto started = start_nodes(timeout);
    if (!started && made && !std::filesystem::exists(directory(0) + "/identity", ec))
        std::filesystem::remove_all(options_.data, ec);
    return started;
}

namespace {
Result<node::Identity> identity_in(const std::string& directory) {
    std::ifstream in(directory + "/" + std::string(node::kIdentityFile), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    return node::decode_identity(Bytes::copy(content));
}
}  // namespace

uint64_t LocalCluster::number(size_t node) const {
    const auto identity = identity_in(directory(node));
    return identity && identity->node ? identity->node.value : node + 1;
}

// What a cluster was born with stays: other wishes are told at once, not waited for or passed over.
Result<void> LocalCluster::check_same() const {
    const auto identity = identity_in(directory(0));
    if (!identity) return {};  // nothing yet; or the node says what is wrong with it
    const auto& born = identity->founding;
    if (born.expected != options_.nodes)
        return fail(Errc::Conflict, options_.data + " holds a cluster that was born with --nodes " +
                                        std::to_string(born.expected) +
                                        ": start it so, or name another directory with --data");
    for (const auto& k : options_.keyspaces)
        if (std::find(born.keyspaces.begin(), born.keyspaces.end(), k) == born.keyspaces.end())
            return fail(Errc::Conflict,
                        options_.data + " holds a cluster that was born without keyspace '" + k +
                            "': start it without --keyspace " + k +
                            "; is it not there yet, make it then: asterias keyspace create " + k);
    return {};
}

Result<void> LocalCluster::start_nodes(Duration timeout) {
    std::error_code ec;
    for (size_t i = 0; i < pids_.size(); ++i) {
        std::filesystem::create_directories(directory(i), ec);
        if (i == 0 && !std::filesystem::exists(directory(0) + "/identity"))
            if (auto founded = found(); !founded) return founded;
        if (auto spawned = spawn(i); !spawned) return spawned;
    }
    if (wait_ready(timeout)) return {};
    const std::vector<pid_t> before = pids_;
    const std::string ended = ended_child();
    for (size_t i = 0; i < pids_.size(); ++i)
        if (before[i] > 0 && pids_[i] == 0)
            return fail(Errc::Closed, ended + last_words(log_path(i), log_begins_[i]));
    return fail(Errc::Timeout,
                "the nodes found no leader in time; see " + options_.data + "/node-*/log");
}

Result<void> LocalCluster::found() {
    std::vector<std::string> init = {own_executable(), "init",
                                     "--data",         directory(0),
                                     "--nodes",        std::to_string(options_.nodes),
                                     "--shards",       std::to_string(options_.shards)};
    for (const auto& k : options_.keyspaces) {
        init.push_back("--keyspace");
        init.push_back(k);
    }
    const std::string log = options_.data + "/init.log";
    const uintmax_t from = size_of(log);
    int status = 0;
    ::waitpid(run_program(init, log, options_.death_signal), &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) return {};
    const bool wrong_use = WIFEXITED(status) && WEXITSTATUS(status) == kUsage;
    const std::string words = last_words(log, from);
    return fail(wrong_use ? Errc::InvalidArgument : Errc::Io,
                "init failed" + (words.empty() ? " without a word" : ":" + words));
}

std::vector<std::string> LocalCluster::arguments(size_t node) const {
    std::vector<std::string> all = {own_executable(), "serve",
                                    "--data",         directory(node),
                                    "--resp-port",    std::to_string(resp(node).port),
                                    "--http-port",    std::to_string(http(node).port),
                                    "--peer-port",    std::to_string(peer(node).port),
                                    "--shards",       std::to_string(options_.shards),
                                    "--log-level",    options_.log_level,
                                    "--name",         "n" + std::to_string(node + 1)};
    if (node > 0) {
        all.push_back("--join");
        all.push_back(peer(0).describe());
    }
    return all;
}

std::string LocalCluster::command_line(size_t node) const {
    std::string line;
    for (const auto& a : arguments(node))
        line += (line.empty() ? "" : " ") + a;
    return line;
}

size_t LocalCluster::running_count() const {
    size_t n = 0;
    for (pid_t pid : pids_)
        n += pid > 0;
    return n;
}

Result<void> LocalCluster::spawn(size_t node) {
    log_begins_[node] = size_of(log_path(node));
    pids_[node] = run_program(arguments(node), log_path(node), options_.death_signal);
    if (pids_[node] < 0) return fail(Errc::Limit, "cannot start a process");
    return {};
}

void LocalCluster::kill_hard(size_t node) {
    if (pids_[node] <= 0) return;
    ::kill(pids_[node], SIGKILL);
    ::waitpid(pids_[node], nullptr, 0);
    pids_[node] = 0;
}

void LocalCluster::pause(size_t node) {
    if (pids_[node] > 0) ::kill(pids_[node], SIGSTOP);
}

void LocalCluster::carry_on(size_t node) {
    if (pids_[node] > 0) ::kill(pids_[node], SIGCONT);
}

void LocalCluster::stop() {
    for (pid_t pid : pids_)
        if (pid > 0) {
            ::kill(pid, SIGTERM);
            ::kill(pid, SIGCONT);  // who was paused hears of it, too
        }
    const auto deadline = SteadyClock::now() + seconds(10);
    for (pid_t& pid : pids_) {
        while (pid > 0 && ::waitpid(pid, nullptr, WNOHANG) == 0) {
            if (SteadyClock::now() > deadline) ::kill(pid, SIGKILL);
            std::this_thread::sleep_for(milliseconds(5));
        }
        pid = 0;
    }
}

std::string LocalCluster::ended_child() {
    for (size_t i = 0; i < pids_.size(); ++i) {
        int status = 0;
        if (pids_[i] <= 0 || ::waitpid(pids_[i], &status, WNOHANG) != pids_[i]) continue;
        pids_[i] = 0;
        return "node " + std::to_string(number(i)) + " ended " +
               (WIFEXITED(status) ? "with exit code " + std::to_string(WEXITSTATUS(status))
                                  : "by signal " + std::to_string(WTERMSIG(status))) +
               "; its log is " + log_path(i) + "\n  start it again:  " + command_line(i);
    }
    return "";
}

bool LocalCluster::wait_ready(Duration timeout) {
    const auto deadline = SteadyClock::now() + timeout;
    for (size_t i = 0; i < pids_.size();) {
        if (SteadyClock::now() > deadline) return false;
        auto status = http_get(http(i), "/status", seconds(1));
        bool ready = status.has_value() && status->find("\"leader\":") != std::string::npos &&
                     status->find("\"leader\":0") == std::string::npos;
        if (ready) {
            ++i;
            continue;
        }
        for (size_t k = 0; k < pids_.size(); ++k)
            if (pids_[k] > 0 && ::kill(pids_[k], 0) != 0) return false;
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
            return false;
        std::this_thread::sleep_for(milliseconds(10));
    }
    return true;
}

size_t LocalCluster::leader_in(const std::string& status, const std::string& keyspace) const {
    const size_t at = status.find("\"keyspace\":\"" + keyspace + "\"");
    if (at == std::string::npos) return size();
    const std::string node = json_field(status, "leader", at);
    if (node.empty() || node == "0") return size();
    // The node's number is the cluster's, its index is ours: matched by the peer port.
    const size_t member = status.find("{\"node\":" + node + ",\"peer\":");
    if (member == std::string::npos) return size();
    const std::string address = json_field(status, "peer", member);
    for (size_t k = 0; k < size(); ++k)
        if (peer(k).describe() == address) return k;
    return size();
}

}  // namespace asterias::app
