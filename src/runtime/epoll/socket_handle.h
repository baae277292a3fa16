// runtime/epoll/socket_handle.h: what the owner of a connection holds (socket.h).
#pragma once

#include "runtime/epoll/socket.h"

namespace asterias::runtime {

class Socket::Handle final : public port::Connection {
public:
    explicit Handle(Socket& socket) : socket_(socket) {}
    ~Handle() override { socket_.release(); }

    void start(port::ConnectionHandler& handler) override { socket_.start(handler); }
    Chain& out() override { return socket_.out(); }
    size_t unsent() const override { return socket_.unsent(); }
    void pause_reading(bool paused) override { socket_.pause_reading(paused); }
    void close_after_flush() override { socket_.close_after_flush(); }
    const port::PeerIdentity& peer() const override { return socket_.peer_; }

private:
    Socket& socket_;
};

}  // namespace asterias::runtime
