#include "app/client.h"

#include <arpa/inet.h>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace asterias::app {

Result<Socket> Socket::connect(const port::Address& address, Duration timeout,
                               std::shared_ptr<tls::ClientContext> tls) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail(Errc::Limit, "no socket: " + std::string(std::strerror(errno)));
    Socket socket(fd);
    socket.set_timeout(timeout);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
    if (inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1)
        return fail(Errc::InvalidArgument, "'" + address.host + "' is not a numeric address");
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
        return fail(Errc::Unavailable, address.describe() + ": " + std::strerror(errno));
    if (tls) {
        auto stream = tls::ClientStream::connect(std::move(tls), fd, host);
        if (!stream)
            return fail(Errc::Unavailable, address.describe() + ": " + stream.error().context);
        socket.tls_ = std::move(*stream);
    }
    return socket;
}

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);
}

void Socket::set_timeout(Duration timeout) {
    const auto micros = std::chrono::duration_cast<microseconds>(timeout).count();
    const timeval tv{micros / 1000000, micros % 1000000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

std::string Socket::trouble() const {
    return tls_ && errno == EPROTO ? "TLS: " + tls_->trouble() : std::strerror(errno);
}

Result<void> Socket::write(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n =
            tls_ ? tls_->send(text) : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(Errc::Unavailable, "send: " + trouble());
        text.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Result<std::string> Socket::read() {
    char buffer[16384];
    for (;;) {
        const ssize_t n =
            tls_ ? tls_->receive(buffer, sizeof buffer) : ::recv(fd_, buffer, sizeof buffer, 0);
        if (n >= 0) return std::string(buffer, static_cast<size_t>(n));
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return fail(Errc::Timeout, "no answer in time");
        return fail(Errc::Unavailable, "recv: " + trouble());
    }
}

Result<RespClient> RespClient::connect(const port::Address& address, Duration timeout,
                                       const Access& access) {
    auto socket = Socket::connect(address, timeout, access.tls);
    if (!socket) return std::unexpected(socket.error());
    RespClient client(std::move(*socket));
    if (access.password.empty()) return client;
    const auto answer = client.call({"AUTH", access.user, access.password});
    if (!answer) return std::unexpected(answer.error());
    if (answer->is_error()) return fail(Errc::Conflict, answer->text.str());
    return client;
}

Result<resp::Value> RespClient::call(const Command& command) {
    auto answers = call_all({command});
    if (!answers) return std::unexpected(answers.error());
    return std::move(answers->front());
}

Result<std::vector<resp::Value>> RespClient::call_all(const std::vector<Command>& commands) {
    std::string request;
    for (const auto& command : commands) {
        request += "*" + std::to_string(command.size()) + "\r\n";
        for (const auto& word : command)
            request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    if (auto written = socket_.write(request); !written) return std::unexpected(written.error());
    std::vector<resp::Value> answers;
    while (answers.size() < commands.size())
        answers.push_back(TRY(answer()));
    return answers;
}

Result<resp::Value> RespClient::answer() {
    for (;;) {
        size_t at = 0;
        auto outcome = parser_.next(Bytes::copy(unread_), at);
        unread_.erase(0, at);
        if (auto* value = std::get_if<resp::Value>(&outcome)) return std::move(*value);
        if (auto* error = std::get_if<resp::ProtocolError>(&outcome))
            return fail(Errc::Corrupt, error->text);
        const size_t wanted = std::get<resp::NeedMore>(outcome).wanted;
        do {
            auto more = socket_.read();
            if (!more) return std::unexpected(more.error());
            if (more->empty()) return fail(Errc::Closed, "the node closed the connection");
            unread_ += *more;
        } while (unread_.size() < wanted);
    }
}

Result<HttpAnswer> http_ask(const port::Address& address, const std::string& method,
                            const std::string& path, Duration timeout) {
    auto socket = Socket::connect(address, timeout);
    if (!socket) return std::unexpected(socket.error());
    if (auto sent = socket->write(method + " " + path + " HTTP/1.1\r\nHost: " + address.describe() +
                                  "\r\nAsterias-Command: cli\r\nConnection: close\r\n\r\n");
        !sent)
        return std::unexpected(sent.error());
    std::string all;
    for (;;) {
        auto more = socket->read();
        if (!more) return std::unexpected(more.error());
        if (more->empty()) break;
        all += *more;
    }
    constexpr std::string_view kStatusLine = "HTTP/1.1 ";
    const size_t head = all.find("\r\n\r\n");
    if (head == std::string::npos || !all.starts_with(kStatusLine))
        return fail(Errc::Unavailable, address.describe() + " did not answer in HTTP");
    return HttpAnswer{std::atoi(all.c_str() + kStatusLine.size()), all.substr(head + 4)};
}

Result<std::string> http_get(const port::Address& address, const std::string& path,
                             Duration timeout) {
    auto answer = http_ask(address, "GET", path, timeout);
    if (!answer) return std::unexpected(answer.error());
    if (answer->code != 200)
        return fail(Errc::Unavailable,
                    address.describe() + path + " answered " + std::to_string(answer->code));
    return answer->body;
}

std::string percent_encoded(const std::string& text) {
    std::string out;
    for (const char c : text) {
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
        if (std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-._~", c))
            out += c;
        else
            out += escape;
    }
    return out;
}

}  // namespace asterias::app
