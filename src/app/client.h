// app/client.h: small blocking clients for the command line: RESP and HTTP GET, with a deadline.
// Threading: one thread each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/tls/client_tls.h"
#include "base/result.h"
#include "base/time.h"
#include "port/net.h"
#include "proto/resp/reply_parser.h"

namespace asterias::app {

// A connected TCP socket; every call fails with Timeout after `timeout` without progress.
class Socket {
public:
    // `tls`: null for a plain one.
    static Result<Socket> connect(const port::Address& address, Duration timeout,
                                  std::shared_ptr<tls::ClientContext> tls = nullptr);
    Socket(Socket&& o) noexcept : fd_(std::exchange(o.fd_, -1)), tls_(std::move(o.tls_)) {}
    Socket& operator=(Socket&& o) noexcept {
        std::swap(fd_, o.fd_);
        std::swap(tls_, o.tls_);
        return *this;
    }
    ~Socket();
    // From now on.
    void set_timeout(Duration timeout);
    Result<void> write(std::string_view text);
    // At least one byte, or an empty string at the end of the stream.
    Result<std::string> read();

private:
    explicit Socket(int fd) : fd_(fd) {}
    std::string trouble() const;  // of the call that just failed
    int fd_ = -1;
    std::optional<tls::ClientStream> tls_;
};

// How a Redis door is entered.
struct Access {
    std::string user = "default";
    std::string password;                     // empty: nobody in particular
    std::shared_ptr<tls::ClientContext> tls;  // null: plain
};

class RespClient {
public:
    using Command = std::vector<std::string>;
    // Conflict: the door refuses the user; the text is its own.
    static Result<RespClient> connect(const port::Address& address, Duration timeout,
                                      const Access& access = {});
    // From now on, for each call.
    void set_timeout(Duration timeout) { socket_.set_timeout(timeout); }
    Result<resp::Value> call(const Command& command);
    // All are sent, then answered, in their order.
    Result<std::vector<resp::Value>> call_all(const std::vector<Command>& commands);

private:
    explicit RespClient(Socket socket) : socket_(std::move(socket)) {}
    Result<resp::Value> answer();
    Socket socket_;
    resp::ReplyParser parser_;
    std::string unread_;
};

struct HttpAnswer {
    int code = 0;
    std::string body;
};
// One request without a body; `method` is GET or POST, `path` has its query.
Result<HttpAnswer> http_ask(const port::Address& address, const std::string& method,
                            const std::string& path, Duration timeout);
// The body of GET path; an answer other than 200 is Unavailable.
Result<std::string> http_get(const port::Address& address, const std::string& path,
                             Duration timeout);
// For a value in a query.
std::string percent_encoded(const std::string& text);

}  // namespace asterias::app
