// app/tls/client_tls.h: TLS 1.2 and 1.3 of a client over a connected socket, blocking or not.
// Reference: RFC 8446; names in certificates RFC 6125. Threading: a context may be shared by
// streams of several threads, a stream is one thread's. Who uses it ignores SIGPIPE: OpenSSL
// writes without MSG_NOSIGNAL.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/result.h"

struct ssl_ctx_st;  // of OpenSSL
struct ssl_st;

namespace asterias::tls {

struct ClientOptions {
    bool verify = true;
    std::string ca_file;  // PEM of those who may have signed; empty: the system's
    std::string name;     // that the certificate must bear; empty: the address that is spoken to
    std::string cert_file, key_file;  // PEM of this client, where the server asks for it
};

class ClientContext {
public:
    // InvalidArgument names the file and what is wrong with it.
    static Result<std::shared_ptr<ClientContext>> make(const ClientOptions& options);

private:
    friend class ClientStream;
    explicit ClientContext(ClientOptions options);
    ClientOptions options_;
    std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
};

class ClientStream {
public:
    // The handshake, on a blocking socket, whose timeouts hold. `host`: a numeric address. The
    // stream does not own `fd`. Error: Unavailable, with what was wrong.
    static Result<ClientStream> connect(std::shared_ptr<ClientContext> context, int fd,
                                        const std::string& host);
    // As recv(2) and send(2): bytes, 0 at the end of the stream, -1 with errno: EAGAIN when the
    // socket would block or its timeout passed, else EPROTO.
    ssize_t receive(void* to, size_t room);
    ssize_t send(std::string_view from);
    // Of the last call that failed with EPROTO: what the other side, or OpenSSL, said.
    const std::string& trouble() const { return trouble_; }
    // Decrypted and not received: no event of the socket tells of it.
    bool pending() const;

private:
    ClientStream(std::shared_ptr<ClientContext> context, ssl_st* ssl);
    ssize_t failed(int result, int would_block);

    std::shared_ptr<ClientContext> context_;
    std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
    std::string trouble_;
};

}  // namespace asterias::tls
