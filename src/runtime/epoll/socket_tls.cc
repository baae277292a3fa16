// A socket under TLS: its handshake, and what differs in reading and writing.
#include <array>
#include <cerrno>
#include <sys/socket.h>

#include "runtime/epoll/net.h"
#include "runtime/epoll/socket.h"
#include "runtime/epoll/socket_handle.h"

namespace asterias::runtime {
namespace {
constexpr size_t kRawBytes = 16 * 1024 + 512;  // a receive: a record, with what is around it
constexpr size_t kRecordBytes = 16 * 1024;     // the most that fits into one (RFC 8446, 5.1)
constexpr size_t kSealedMost = 256 * 1024;     // ahead of the network
}  // namespace

Result<void> Socket::open_tls(EpollNet& net, Fd fd, const SocketAddress& remote,
                              std::shared_ptr<TlsContext> context, Ready ready) {
    Socket* socket = TRY(make(net, std::move(fd), remote));
    socket->stage_ = Stage::Handshaking;
    socket->tls_ = std::make_unique<TlsSession>(std::move(context));
    socket->ready_ = std::move(ready);
    net.add_handshaking(*socket);
    socket->handshake_timer_ =
        net.shard().timers().after(net.shard().common().options.tls_handshake_timeout, [socket] {
            socket->handshake_timer_ = {};
            socket->give_up_handshake("the handshake took too long (tls_handshake_timeout)");
        });
    return {};
}

// One receive a call: what one socket has to say must not be the whole of a turn.
void Socket::handshake_step() {
    if (!readable_) return;
    if (!net_.may_handshake()) return call_again();
    std::array<uint8_t, kRawBytes> raw;
    const ssize_t n = ::recv(fd_.get(), raw.data(), raw.size(), MSG_DONTWAIT);
    if (n == 0) return give_up_handshake("the other side ended");
    if (n < 0 && errno == EINTR) return call_again();
    readable_ = n == static_cast<ssize_t>(raw.size()) || (n > 0 && hangup_);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return give_up_handshake(errno_error(errno, "receive").describe());
    spoke_ = true;
    tls_->feed(std::span(raw).first(static_cast<size_t>(n)));
    const auto step = tls_->handshake();
    if (tls_->has_output()) mark_dirty();
    if (step == TlsSession::Step::Failed) return give_up_handshake(tls_->failure());
    if (step == TlsSession::Step::Done) return handshake_done();
    if (readable_) call_again();
}

void Socket::handshake_done() {
    stage_ = Stage::Open;
    readable_ = true;  // the first request may have come with the last message
    more_raw_ = true;
    if (handshake_timer_) net_.shard().timers().cancel(std::exchange(handshake_timer_, {}));
    net_.forget_handshaking(*this);
    net_.handshake_ended(true);
    if (std::string subject = tls_->subject(); !subject.empty()) peer_ = {std::move(subject), true};
    auto ready = std::move(ready_);
    ready(this);
}

void Socket::refuse(std::string_view text) {
    (void)tls_->write(text);
    tls_->say_goodbye();
    Chain last;
    tls_->take_output(last);
    send_last(fd_, last.flatten().view());
    close_descriptor();
    end_of_life();
}

void Socket::give_up_handshake(std::string why) {
    if (net_.shard().log().debug_enabled()) net_.shard().log().debug(peer_.name + ": " + why);
    net_.forget_handshaking(*this);
    net_.handshake_ended(false);
    // The alert that says why, if there is one and it can leave at once.
    Chain alert;
    if (tls_->take_output(alert)) {
        const Bytes bytes = alert.flatten();
        (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    close_descriptor();
    end_of_life();
}

// As recv(2), with at most one receive; fills the room as far as records are here. Records may
// carry no data (KeyUpdate): then EINTR says that the network may have more, EAGAIN that it has
// not.
ssize_t Socket::read_some(std::span<uint8_t> room) {
    if (!tls_) return ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    ssize_t n = tls_->read(room);
    if (n < 0 && errno == EAGAIN) {
        std::array<uint8_t, kRawBytes> raw;
        const ssize_t got = ::recv(fd_.get(), raw.data(), raw.size(), MSG_DONTWAIT);
        more_raw_ = got == static_cast<ssize_t>(raw.size());
        if (got <= 0) return got;
        tls_->feed(std::span(raw).first(static_cast<size_t>(got)));
        n = tls_->read(room);
        if (n < 0 && errno == EAGAIN && (more_raw_ || hangup_)) errno = EINTR;
    }
    const int error = errno;
    if (tls_->has_output()) mark_dirty();
    errno = error;
    return n;
}

// Two chunks that wait for the next answer would be most of what an idle connection holds.
void Socket::release_output() {
    out_.clear();
    sealed_.clear();
}

// Turns output into records, as large as there is output for, some way ahead of the network.
void Socket::seal() {
    std::array<std::string_view, 64> pieces;
    std::array<char, kRecordBytes> record;
    while (stage_ != Stage::Handshaking && !out_.empty() && sealed_.size() < kSealedMost) {
        const size_t count = out_.front(pieces);
        size_t filled = 0;
        for (size_t i = 0; i < count && filled < record.size(); ++i)
            filled += pieces[i].copy(record.data() + filled, record.size() - filled);
        if (!tls_->write({record.data(), filled}))
            return fail(Error{Errc::Closed, peer_.name + ": " + tls_->failure()});
        out_.consume(filled);
        tls_->take_output(sealed_);
    }
    if (stage_ == Stage::Flushing && out_.empty() && !std::exchange(goodbye_, true))
        tls_->say_goodbye();
    tls_->take_output(sealed_);
}

}  // namespace asterias::runtime
