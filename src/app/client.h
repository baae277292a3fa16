// app/client.h: small blocking clients for the command line: RESP and HTTP GET, with a deadline.
// Threading: one thread each.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/net.h"
#include "proto/resp/reply_parser.h"

namespace asterias::app {

// A connected TCP socket; every call fails with Timeout after `timeout` without progress.
class Socket {
public:
    static Result<Socket> connect(const port::Address& address, Duration timeout);
    Socket(Socket&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Socket& operator=(Socket&& o) noexcept {
        std::swap(fd_, o.fd_);
        return *this;
    }
    ~Socket();
    Result<void> write(std::string_view text);
    // At least one byte, or an empty string at the end of the stream.
    Result<std::string> read();

private:
    explicit Socket(int fd) : fd_(fd) {}
    int fd_ = -1;
};

// One request at a time.
class RespClient {
public:
    static Result<RespClient> connect(const port::Address& address, Duration timeout);
    Result<resp::Value> call(const std::vector<std::string>& arguments);

private:
    explicit RespClient(Socket socket) : socket_(std::move(socket)) {}
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
