#include "runtime/epoll/tls.h"

#include <algorithm>
#include <cerrno>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <utility>

#include "base/check.h"

namespace asterias::runtime {
namespace {

constexpr size_t kBarrenMost = 64 * 1024;   // more than four of the largest records
constexpr size_t kAnswersMost = 64 * 1024;  // alerts and the like, while the network takes nothing
// RFC 8446, 5.5 wants a new key every 2^24 records. Making one costs some microseconds, and asking
// for it 27 bytes.
constexpr uint64_t kFreeKeyUpdates = 64, kRecordsPerKeyUpdate = 1000;

// The newest word of OpenSSL, without codes; the rest is forgotten.
std::string last_words(const char* otherwise) {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    ERR_clear_error();
    return reason ? reason : otherwise;
}

// A key with a passphrase would ask for it on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

}  // namespace

struct TlsContext::Impl {
    SSL_CTX* context = nullptr;
    ~Impl() { SSL_CTX_free(context); }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsFiles& files) {
    ERR_clear_error();
    auto impl = std::make_unique<Impl>();
    impl->context = SSL_CTX_new(TLS_server_method());
    CHECK(impl->context, "there is memory for a TLS context");
    SSL_CTX* c = impl->context;
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    const auto refuse = [](const std::string& file, const char* otherwise) {
        return fail(Errc::InvalidArgument, file + ": " + last_words(otherwise));
    };
    if (SSL_CTX_use_certificate_chain_file(c, files.certificate.c_str()) != 1)
        return refuse(files.certificate, "no certificate");
    if (SSL_CTX_use_PrivateKey_file(c, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return refuse(files.key, "no key");
    if (SSL_CTX_check_private_key(c) != 1)
        return refuse(files.key, "is not the key of the certificate");
    if (!files.client_ca.empty()) {
        STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(files.client_ca.c_str());
        if (!names || SSL_CTX_load_verify_file(c, files.client_ca.c_str()) != 1) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return refuse(files.client_ca, "no certificate");
        }
        SSL_CTX_set_client_CA_list(c, names);
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

Result<std::shared_ptr<Tls>> Tls::load(const TlsFiles& files) {
    auto context = TRY(TlsContext::load(files));
    return std::shared_ptr<Tls>(new Tls(std::move(context)));
}

Result<void> Tls::renew(const TlsFiles& files) {
    auto context = TRY(TlsContext::load(files));
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
    return {};
}

std::shared_ptr<TlsContext> Tls::context() const {
    const std::lock_guard lock(mutex_);
    return context_;
}

// What lies between OpenSSL and the network. Memory BIOs of OpenSSL keep the largest size that they
// ever had; an idle connection is to hold none of it.
struct TlsSession::Impl {
    SSL* ssl = nullptr;
    std::string in, out;
    size_t taken = 0;  // of `in`
    ~Impl() { SSL_free(ssl); }

    static Impl& of(BIO* bio) { return *static_cast<Impl*>(BIO_get_data(bio)); }
    static int read(BIO* bio, char* to, int most) {
        Impl& self = of(bio);
        BIO_clear_retry_flags(bio);
        const size_t n = self.in.copy(to, static_cast<size_t>(std::max(most, 0)), self.taken);
        if (n == 0) {
            BIO_set_retry_read(bio);
            return -1;
        }
        self.taken += n;
        if (self.taken == self.in.size()) {
            self.in = std::string();
            self.taken = 0;
        }
        return static_cast<int>(n);
    }
    static int write(BIO* bio, const char* from, int count) {
        BIO_clear_retry_flags(bio);
        of(bio).out.append(from, static_cast<size_t>(count));
        return count;
    }
    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

    // One for all sessions, as long as the process lives.
    static const BIO_METHOD* method() {
        static const BIO_METHOD* const kMethod = [] {
            BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "session");
            CHECK(made, "there is memory for a method");
            BIO_meth_set_read(made, &Impl::read);
            BIO_meth_set_write(made, &Impl::write);
            BIO_meth_set_ctrl(made, &Impl::control);
            return made;
        }();
        return kMethod;
    }
};

TlsSession::TlsSession(std::shared_ptr<TlsContext> context)
    : context_(std::move(context)), impl_(std::make_unique<Impl>()) {
    impl_->ssl = SSL_new(context_->impl_->context);
    BIO* bio = BIO_new(Impl::method());
    CHECK(impl_->ssl && bio, "there is memory for a TLS session");
    BIO_set_data(bio, impl_.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(impl_->ssl, bio, bio);  // takes it
    SSL_set_accept_state(impl_->ssl);
    SSL_set_msg_callback_arg(impl_->ssl, &key_updates_);
    SSL_set_msg_callback(impl_->ssl, [](int sent, int, int type, const void* message, size_t size,
                                        SSL*, void* key_updates) {
        if (!sent && type == SSL3_RT_HANDSHAKE && size > 0 &&
            *static_cast<const uint8_t*>(message) == SSL3_MT_KEY_UPDATE)
            ++*static_cast<uint64_t*>(key_updates);
    });
}

TlsSession::~TlsSession() = default;

bool TlsSession::failed(int result) {
    const int error = SSL_get_error(impl_->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
    failure_ = "TLS: " + last_words("the connection broke");
    return true;
}

bool TlsSession::overdone() {
    if (barren_ > kBarrenMost)
        failure_ = "TLS: 64 KiB came without a byte of data";
    else if (key_updates_ > kFreeKeyUpdates + records_ / kRecordsPerKeyUpdate)
        failure_ = "TLS: too many changes of the key";
    else if (impl_->out.size() > kAnswersMost)
        failure_ = "TLS: the other side does not take its alerts";
    else
        return false;
    return true;
}

TlsSession::Step TlsSession::handshake() {
    ERR_clear_error();
    const int done = SSL_do_handshake(impl_->ssl);
    if (done == 1) {
        barren_ = 0;
        return Step::Done;
    }
    return failed(done) || overdone() ? Step::Failed : Step::More;
}

void TlsSession::feed(std::span<const uint8_t> bytes) {
    impl_->in.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    barren_ += bytes.size();
}

// What ends the session may lie behind data, and OpenSSL tells it once.
ssize_t TlsSession::read(std::span<uint8_t> room) {
    ERR_clear_error();
    size_t filled = 0;
    while (filled < room.size() && !end_) {
        const size_t most = std::min<size_t>(room.size() - filled, 1u << 30);
        const int n = SSL_read(impl_->ssl, room.data() + filled, static_cast<int>(most));
        if (n <= 0) {
            if (SSL_get_error(impl_->ssl, n) == SSL_ERROR_ZERO_RETURN)
                end_ = 0;
            else if (failed(n) || overdone())
                end_ = EPROTO;
            break;
        }
        filled += static_cast<size_t>(n);
        barren_ = 0;
        ++records_;
        if (!pending()) break;
    }
    if (filled > 0) return static_cast<ssize_t>(filled);
    if (end_ == 0) return 0;
    errno = end_.value_or(EAGAIN);
    return -1;
}

bool TlsSession::pending() const {
    return end_ || SSL_pending(impl_->ssl) > 0 || !impl_->in.empty();
}

bool TlsSession::write(std::string_view text) {
    ERR_clear_error();
    const int n = SSL_write(impl_->ssl, text.data(), static_cast<int>(text.size()));
    if (n == static_cast<int>(text.size())) return true;
    if (!failed(n)) failure_ = "TLS: nothing can be written now";
    return false;
}

void TlsSession::say_goodbye() {
    ERR_clear_error();
    SSL_shutdown(impl_->ssl);
    ERR_clear_error();
}

bool TlsSession::has_output() const { return !impl_->out.empty(); }

bool TlsSession::take_output(Chain& to) {
    if (impl_->out.empty()) return false;
    to.append(std::string_view(std::exchange(impl_->out, {})));
    return true;
}

std::string TlsSession::subject() const {
    X509* certificate = SSL_get0_peer_certificate(impl_->ssl);
    if (!certificate || SSL_get_verify_result(impl_->ssl) != X509_V_OK) return "";
    char text[256];
    X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
    return text;
}

}  // namespace asterias::runtime
