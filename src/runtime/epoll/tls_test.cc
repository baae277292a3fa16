// TLS on a listener, spoken by a blocking client of OpenSSL's own on another thread.
#include "runtime/epoll/tls.h"

#include <cstdio>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <thread>

#include <gtest/gtest.h>

#include "port/sync.h"
#include "runtime/epoll/system.h"
#include "runtime/epoll/testing.h"

namespace asterias::runtime {
namespace {

// A certificate that signs itself, and its key, in `directory`.
TlsFiles make_files(const std::string& directory) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    TlsFiles files{directory + "/c.pem", directory + "/k.pem", ""};
    FILE* file = std::fopen(files.certificate.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(files.key.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return files;
}

Fd connected(const port::Address& to) {
    const auto address = numeric_address(to);
    Fd fd(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), address->get(), address->size), 0);
    return fd;
}

// Sends `text`, ends its side, and returns what came until the other side ended; "" also when the
// handshake failed.
std::string ask(const port::Address& to, const std::string& text) {
    const Fd fd = connected(to);
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd.get());
    std::string got;
    if (SSL_connect(ssl) == 1) {
        SSL_write(ssl, text.data(), static_cast<int>(text.size()));
        ::shutdown(fd.get(), SHUT_WR);
        char buffer[4096];
        for (int n = 0; (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;)
            got.append(buffer, static_cast<size_t>(n));
        EXPECT_TRUE(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) << "no close_notify came";
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    return got;
}

// Consumes `step` bytes a call, echoes them, and closes behind the last.
struct Echo final : port::ConnectionHandler {
    Echo(std::unique_ptr<port::Connection> c, size_t s) : connection(std::move(c)), step(s) {}
    port::Consumed on_data(const Bytes& available) override {
        const size_t n = std::min(step, available.size());
        connection->out().append(available.slice(0, n));
        return {n, n < available.size() ? 1u : 0u};
    }
    void on_end_of_stream() override { connection->close_after_flush(); }
    void on_closed(const Error&) override {}
    std::unique_ptr<port::Connection> connection;
    const size_t step;
};

struct Bench {
    explicit Bench(RuntimeOptions options = {}) : world(options) {}
    // Runs `client` on a thread of its own against an echo on `shard`.
    port::Task<void> run(port::Shard& shard, size_t step,
                         std::function<void(port::Address)> client) {
        const port::Address any{"127.0.0.1", 0};
        // Which port it is is known after the first listen only.
        {
            auto probe = *shard.net().listen(any, [](std::unique_ptr<port::Connection>) {});
            at = probe->address();
        }
        EXPECT_TRUE(world.runtime().use_tls(at, make_files(files.path())));
        auto listener = shard.net().listen(at, [this, step](std::unique_ptr<port::Connection> c) {
            echoes.push_back(std::make_unique<Echo>(std::move(c), step));
            echoes.back()->connection->start(*echoes.back());
        });
        EXPECT_TRUE(listener);
        port::Signal done(shard);
        bool ended = false;
        std::thread thread([&] {
            client(at);
            shard.submit(shard.id(), [&] {
                ended = true;
                done.notify();
            });
        });
        while (!ended)
            co_await done.wait();
        thread.join();
        echoes.clear();
    }
    TempDirectory files;
    World world;
    port::Address at;
    std::vector<std::unique_ptr<Echo>> echoes;
};

TEST(Tls, EveryByteComesBackAndTheEndIsSaid) {
    Bench b;
    std::string text(300'000, 'x');
    for (size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>('a' + i * 7 % 26);
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100'000, [&](port::Address at) {
            EXPECT_EQ(ask(at, "hello"), "hello");
            EXPECT_TRUE(ask(at, text) == text);
        });
    });
}

TEST(Tls, WhatIsNoTlsReachesNoHandler) {
    Bench b;
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            const Fd fd = connected(at);
            EXPECT_EQ(::send(fd.get(), "PING\r\n", 6, MSG_NOSIGNAL), 6);
            char buffer[100];
            while (::recv(fd.get(), buffer, sizeof buffer, 0) > 0) {
            }
            EXPECT_EQ(ask(at, "x"), "x");
        });
    });
    const std::string failures = "asterias_net_tls_handshake_failures_total{shard=\"0\"} 1\n";
    EXPECT_NE(b.world.registry.print().find(failures), std::string::npos);
}

TEST(Tls, TheOldestHandshakeMakesRoomAndASlowOneIsGivenUp) {
    RuntimeOptions options;
    options.tls_handshakes_max = 2;
    options.tls_handshake_timeout = seconds(1);
    Bench b(options);
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            std::vector<Fd> silent;
            for (int i = 0; i < 5; ++i)
                silent.push_back(connected(at));
            EXPECT_EQ(ask(at, "x"), "x");
            char byte;
            for (const Fd& fd : silent)
                EXPECT_LE(::recv(fd.get(), &byte, 1, 0), 0);
        });
    });
    EXPECT_NE(b.world.sink.text().find("too many handshakes"), std::string::npos);
    EXPECT_NE(b.world.sink.text().find("took too long"), std::string::npos);
}

TEST(Tls, FilesThatDoNotBelongTogetherAreRefusedByName) {
    const TempDirectory one, two;
    const TlsFiles a = make_files(one.path()), b = make_files(two.path());
    EXPECT_TRUE(TlsContext::load(a));
    const auto told = [](const TlsFiles& files) {
        const auto context = TlsContext::load(files);
        return context ? "taken" : context.error().context;
    };
    EXPECT_NE(told({a.certificate, b.key, ""}).find(b.key), std::string::npos);
    EXPECT_NE(told({a.key, a.key, ""}).find(a.key), std::string::npos);
    EXPECT_NE(told({"/none", a.key, ""}).find("/none"), std::string::npos);
    EXPECT_NE(told({a.certificate, a.key, "/none"}).find("/none"), std::string::npos);
}

}  // namespace
}  // namespace asterias::runtime
