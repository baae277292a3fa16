// TLS on a listener, spoken by a blocking client of OpenSSL's own on another thread.
#include "runtime/epoll/tls.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <latch>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>
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
        if (!text.empty()) SSL_write(ssl, text.data(), static_cast<int>(text.size()));
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

// A client whose records go to the network when the test says so.
struct Client {
    explicit Client(const port::Address& to) : Client(to, nullptr) {}
    // `in_between` is called when the first flight of the other side is there.
    Client(const port::Address& to, const std::function<void()>& in_between) : fd(connected(to)) {
        SSL_set_fd(ssl, fd.get());
        SSL_set0_wbio(ssl, records);
        ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
        EXPECT_EQ(SSL_connect(ssl), -1);
        send();
        ::fcntl(fd.get(), F_SETFL, 0);
        char byte = 0;
        ::recv(fd.get(), &byte, 1, MSG_PEEK);
        if (in_between) in_between();
        EXPECT_EQ(SSL_connect(ssl), 1);
        send();
    }
    ~Client() {
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
    void write(const std::string& text) {
        EXPECT_GT(SSL_write(ssl, text.data(), static_cast<int>(text.size())), 0);
    }
    void change_key() {
        EXPECT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        EXPECT_EQ(SSL_do_handshake(ssl), 1);
    }
    void send() {
        char* data = nullptr;
        long left = BIO_get_mem_data(records, &data);
        while (left > 0) {
            const ssize_t n = ::send(fd.get(), data, static_cast<size_t>(left), MSG_NOSIGNAL);
            if (n <= 0) break;  // the other side has closed
            data += n;
            left -= n;
        }
        (void)BIO_reset(records);
    }
    std::string read(size_t most) {
        std::string text(most, 0);
        const int n = SSL_read(ssl, text.data(), static_cast<int>(most));
        return text.substr(0, static_cast<size_t>(std::max(n, 0)));
    }
    // Whether the other side ends within a long time.
    bool ended() const {
        const timeval patience{20, 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        char buffer[4096];
        ssize_t n = 0;
        while ((n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0) {
        }
        return n == 0 || errno == ECONNRESET;
    }
    Fd fd;
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL* ssl = SSL_new(context);
    BIO* records = BIO_new(BIO_s_mem());  // owned by ssl
};

// Consumes `step` bytes a call, or what `decide` says, echoes them, and closes behind the last.
using Decide = std::function<port::Consumed(size_t available)>;
struct Echo final : port::ConnectionHandler {
    Echo(std::unique_ptr<port::Connection> c, size_t s, Decide d)
        : connection(std::move(c)), step(s), decide(std::move(d)) {}
    port::Consumed on_data(const Bytes& available) override {
        const size_t n = std::min(step, available.size());
        const auto consumed =
            decide ? decide(available.size())
                   : port::Consumed{.bytes = n, .wanted = n < available.size() ? 1u : 0u};
        connection->out().append(available.slice(0, consumed.bytes));
        return consumed;
    }
    void on_end_of_stream() override { connection->close_after_flush(); }
    void on_closed(const Error&) override {}
    std::unique_ptr<port::Connection> connection;
    const size_t step;
    const Decide decide;
};

struct Bench {
    explicit Bench(RuntimeOptions options = {}) : world(options) {}
    // Runs `client` on a thread of its own against an echo on `shard`.
    port::Task<void> run(port::Shard& shard, size_t step,
                         std::function<void(port::Address)> client) {
        if (!plain) how.tls = *Tls::load(make_files(files.path()));
        // A port that the system chooses speaks TLS like any other.
        auto listener = world.runtime().listen(
            shard.id(), {"127.0.0.1", 0}, how, [this, step](std::unique_ptr<port::Connection> c) {
                ++echoes_made;
                echoes.push_back(std::make_unique<Echo>(std::move(c), step, decide));
                echoes.back()->connection->start(*echoes.back());
            });
        EXPECT_TRUE(listener);
        at = (*listener)->address();
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
    Listening how;
    Decide decide;
    bool plain = false;
    int echoes_made = 0;
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

TEST(Tls, WhoOnlyConnectsGivesWayToWhoSpoke) {
    RuntimeOptions options;
    options.tls_handshakes_max = 2;
    Bench b(options);
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            std::vector<Fd> silent;
            Client client(at, [&] {
                for (int i = 0; i < 5; ++i)
                    silent.push_back(connected(at));
                char byte;
                for (size_t i = 0; i < 4; ++i)
                    EXPECT_LE(::recv(silent[i].get(), &byte, 1, 0), 0);
            });
            client.write("x");
            client.send();
            EXPECT_EQ(client.read(1), "x");
        });
    });
}

TEST(Tls, TheEndThatCameWithTheLastBytesIsHeard) {
    Bench b;
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            Client client(at);
            client.write("x");
            SSL_shutdown(client.ssl);
            client.send();
            EXPECT_EQ(client.read(1), "x");
            EXPECT_TRUE(client.ended());
            // The same of bytes that are no record.
            Client broken(at);
            broken.write("x");
            BIO_write(broken.records, "\x17\x03\x03\x00\x20", 5);
            BIO_write(broken.records, std::string(32, 'A').data(), 32);
            broken.send();
            EXPECT_TRUE(broken.ended());
        });
    });
}

TEST(Tls, WhatComesWhileARecordIsHalfReadIsReadToo) {
    constexpr size_t kFirst = 16'000, kSecond = 100;
    RuntimeOptions options;
    options.read_buffer_bytes = 4096;  // a record takes several turns
    Bench b(options);
    std::latch half_read(1), sent(1);
    b.decide = [&, calls = 0](size_t available) mutable -> port::Consumed {
        if (available == 1) return {1, 0};
        // The second of these calls is the last of its turn; the next one finds the rest of the
        // record, and the event of what is sent now.
        if (++calls == 2) {
            half_read.count_down();
            sent.wait();
        }
        if (available == kFirst + kSecond) return {available, 0};
        return {0, calls < 2 ? 2 * available : kFirst + kSecond};
    };
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 0, [&](port::Address at) {
            Client client(at);
            client.write("x");
            client.send();
            EXPECT_EQ(client.read(1), "x");
            client.write(std::string(kFirst, 'a'));
            client.send();
            half_read.wait();
            client.write(std::string(kSecond, 'b'));
            client.send();
            sent.count_down();
            const timeval patience{20, 0};
            ::setsockopt(client.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            size_t got = 0;
            for (std::string part = "?"; !part.empty() && got < kFirst + kSecond;
                 got += part.size())
                part = client.read(kFirst);
            EXPECT_EQ(got, kFirst + kSecond);
        });
    });
}

TEST(Tls, KeysMayChangeButWhoDoesNothingElseIsClosed) {
    Bench b;
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            Client honest(at);
            for (int i = 0; i < 20; ++i)
                honest.change_key();
            honest.write("x");
            honest.send();
            EXPECT_EQ(honest.read(1), "x");

            Client silent(at), busy(at);
            for (int i = 0; i < 10'000; ++i)
                silent.change_key();
            silent.send();
            EXPECT_TRUE(silent.ended());
            // A byte of data now and then does not help.
            for (int i = 0; i < 10'000; ++i) {
                busy.change_key();
                if (i % 1000 == 0) busy.write("x");
            }
            busy.send();
            EXPECT_TRUE(busy.ended());
            EXPECT_EQ(ask(at, "x"), "x");
        });
    });
}

TEST(Tls, AHandshakeThatOnlyGrowsIsGivenUp) {
    Bench b;
    b.world.run([&](port::Shard& shard) {
        return b.run(shard, 100, [&](port::Address at) {
            const Fd fd = connected(at);
            // The first fragments of one ClientHello of 120 KiB.
            std::string hello("\x01\x01\xe0\x00", 4);
            hello.resize(72 * 1024, 'x');
            for (size_t i = 0; i < hello.size(); i += 8192) {
                const std::string record =
                    std::string("\x16\x03\x01\x20\x00", 5) + hello.substr(i, 8192);
                ::send(fd.get(), record.data(), record.size(), MSG_NOSIGNAL);
            }
            char buffer[100];
            while (::recv(fd.get(), buffer, sizeof buffer, 0) > 0) {
            }
        });
    });
    EXPECT_NE(b.world.sink.text().find("64 KiB came"), std::string::npos);
}

TEST(Tls, AListenersBoundIsItsOwnAndRefusesWithoutLingering) {
    for (const bool sealed : {true, false}) {
        Bench b;
        b.how.connections_max = 1;
        b.how.refuse = [] { return std::string_view("full"); };
        b.plain = !sealed;
        b.world.run([&](port::Shard& shard) {
            return b.run(shard, 100, [&](port::Address at) {
                if (sealed) {
                    Client first(at);
                    first.write("x");
                    first.send();
                    EXPECT_EQ(first.read(1), "x");
                    EXPECT_EQ(ask(at, ""), "full");
                    return;
                }
                const Fd first = connected(at);
                char buffer[100];
                EXPECT_EQ(::send(first.get(), "x", 1, 0), 1);
                EXPECT_EQ(::recv(first.get(), buffer, sizeof buffer, 0), 1);
                for (int i = 0; i < 50; ++i) {
                    const Fd next = connected(at);
                    EXPECT_EQ(::recv(next.get(), buffer, sizeof buffer, 0), 4);
                    EXPECT_EQ(::recv(next.get(), buffer, sizeof buffer, 0), 0);
                    // It does not close its side: nobody waits for that.
                }
            });
        });
        EXPECT_EQ(b.echoes_made, 1);
    }
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
