#include "runtime/epoll/tls.h"

#include <algorithm>
#include <cerrno>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"

namespace asterias::runtime {
namespace {

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

struct TlsSession::Impl {
    SSL* ssl = nullptr;
    BIO *in = nullptr, *out = nullptr;  // owned by ssl
    ~Impl() { SSL_free(ssl); }
};

TlsSession::TlsSession(std::shared_ptr<TlsContext> context)
    : context_(std::move(context)), impl_(std::make_unique<Impl>()) {
    impl_->ssl = SSL_new(context_->impl_->context);
    impl_->in = BIO_new(BIO_s_mem());
    impl_->out = BIO_new(BIO_s_mem());
    CHECK(impl_->ssl && impl_->in && impl_->out, "there is memory for a TLS session");
    BIO_set_mem_eof_return(impl_->in, -1);
    SSL_set_bio(impl_->ssl, impl_->in, impl_->out);
    SSL_set_accept_state(impl_->ssl);
}

TlsSession::~TlsSession() = default;

bool TlsSession::failed(int result) {
    const int error = SSL_get_error(impl_->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
    failure_ = "TLS: " + last_words("the connection broke");
    return true;
}

TlsSession::Step TlsSession::handshake() {
    ERR_clear_error();
    const int done = SSL_do_handshake(impl_->ssl);
    if (done == 1) return Step::Done;
    return failed(done) ? Step::Failed : Step::More;
}

void TlsSession::feed(std::span<const uint8_t> bytes) {
    const int n = BIO_write(impl_->in, bytes.data(), static_cast<int>(bytes.size()));
    CHECK(n == static_cast<int>(bytes.size()), "memory takes what it is given");
}

ssize_t TlsSession::read(std::span<uint8_t> room) {
    ERR_clear_error();
    const int most = static_cast<int>(std::min<size_t>(room.size(), 1u << 30));
    const int n = SSL_read(impl_->ssl, room.data(), most);
    if (n > 0) return n;
    if (SSL_get_error(impl_->ssl, n) == SSL_ERROR_ZERO_RETURN) return 0;
    errno = failed(n) ? EPROTO : EAGAIN;
    return -1;
}

bool TlsSession::pending() const {
    return SSL_pending(impl_->ssl) > 0 || BIO_pending(impl_->in) > 0;
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

bool TlsSession::has_output() const { return BIO_pending(impl_->out) > 0; }

bool TlsSession::take_output(Chain& to) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(impl_->out, &data);
    if (size <= 0) return false;
    to.append(std::string_view(data, static_cast<size_t>(size)));
    (void)BIO_reset(impl_->out);
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
