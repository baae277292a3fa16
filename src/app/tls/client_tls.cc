#include "app/tls/client_tls.h"

#include <cerrno>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"

namespace asterias::tls {
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

ClientContext::ClientContext(ClientOptions options)
    : options_(std::move(options)), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    CHECK(context_, "there is memory for a TLS context");
}

Result<std::shared_ptr<ClientContext>> ClientContext::make(const ClientOptions& options) {
    ERR_clear_error();
    std::shared_ptr<ClientContext> made(new ClientContext(options));
    SSL_CTX* c = made->context_.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    const auto refuse = [](const std::string& file, const char* otherwise) {
        return fail(Errc::InvalidArgument, file + ": " + last_words(otherwise));
    };
    if (options.verify) {
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
        if (options.ca_file.empty())
            SSL_CTX_set_default_verify_paths(c);
        else if (SSL_CTX_load_verify_file(c, options.ca_file.c_str()) != 1)
            return refuse(options.ca_file, "no certificate");
    }
    if (options.cert_file.empty()) return made;
    if (SSL_CTX_use_certificate_chain_file(c, options.cert_file.c_str()) != 1)
        return refuse(options.cert_file, "no certificate");
    if (SSL_CTX_use_PrivateKey_file(c, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return refuse(options.key_file, "no key");
    if (SSL_CTX_check_private_key(c) != 1)
        return refuse(options.key_file, "is not the key of the certificate");
    return made;
}

ClientStream::ClientStream(std::shared_ptr<ClientContext> context, ssl_st* ssl)
    : context_(std::move(context)), ssl_(ssl, SSL_free) {}

Result<ClientStream> ClientStream::connect(std::shared_ptr<ClientContext> context, int fd,
                                           const std::string& host) {
    ERR_clear_error();
    SSL* ssl = SSL_new(context->context_.get());
    CHECK(ssl, "there is memory for a TLS session");
    const ClientOptions& options = context->options_;
    ClientStream stream(std::move(context), ssl);
    SSL_set_fd(ssl, fd);
    if (!options.name.empty()) {
        SSL_set_tlsext_host_name(ssl, options.name.c_str());
        SSL_set1_host(ssl, options.name.c_str());
    } else if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) != 1) {
        SSL_set1_host(ssl, host.c_str());
    }
    if (SSL_connect(ssl) == 1) return stream;
    const long verdict = SSL_get_verify_result(ssl);
    const std::string why =
        options.verify && verdict != X509_V_OK
            ? std::string("its certificate is refused: ") + X509_verify_cert_error_string(verdict)
            : last_words("the handshake failed; does the door speak TLS?");
    ERR_clear_error();
    return fail(Errc::Unavailable, "TLS: " + why);
}

ssize_t ClientStream::failed(int result, int would_block) {
    const int error = SSL_get_error(ssl_.get(), result);
    trouble_ = last_words("the connection was cut");
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    errno = error == would_block ? EAGAIN : EPROTO;
    return -1;
}

ssize_t ClientStream::receive(void* to, size_t room) {
    const int n = SSL_read(ssl_.get(), to, static_cast<int>(room));
    return n > 0 ? n : failed(n, SSL_ERROR_WANT_READ);
}

ssize_t ClientStream::send(std::string_view from) {
    const int n = SSL_write(ssl_.get(), from.data(), static_cast<int>(from.size()));
    return n > 0 ? n : failed(n, SSL_ERROR_WANT_WRITE);
}

bool ClientStream::pending() const { return SSL_pending(ssl_.get()) > 0; }

}  // namespace asterias::tls
