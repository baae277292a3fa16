// edge/http/door.h: the operator's door: GET /metrics (Prometheus text 0.0.4), GET /status (JSON),
// GET /livez and /readyz, and what lies under /v1/ (JSON; arguments in the query, GET to look, POST
// to change). HTTP/1.1 and 1.0 as far as scrapers, curl and load balancers need: no request has a
// body; keep-alive, pipelining in order; anything else is refused in HTTP's own form. A POST needs
// the header `Asterias-Command`, whatever its value: a page in somebody's browser cannot send that
// to a node on loopback. Threading: one shard.
//
// /livez and /readyz are as etcd and Kubernetes have them: 200 and `ok`, or 503 and every check on
// a line, `[+]name ok` or `[-]name failed: why`. `?verbose` lists them also when all is well;
// `?exclude=name`, also several times, leaves one out. /health is /readyz under an older name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/time.h"
#include "port/net.h"
#include "port/scope.h"
#include "port/shard.h"

namespace asterias::edge_http {

struct Options {
    port::Address address;
    // How it listens; empty: as its shard's network does.
    using Listen =
        std::function<Result<std::unique_ptr<port::Listener>>(port::Shard&, port::AcceptHandler)>;
    Listen listen;
    size_t connections_max = 256;
    size_t head_bytes_max = 16 * 1024;       // beyond it: 431
    Duration request_timeout = seconds(10);  // from the first byte of a request to its end: 408
    Duration idle_timeout = seconds(60);     // between requests; then the connection is closed
};

// What was asked under /v1/. The query is decoded; a name that comes twice has its last value.
struct ApiRequest {
    bool post = false;
    std::string path;  // with /v1/
    std::map<std::string, std::string> query;
};
struct ApiReply {
    int code = 200;  // 200, 400, 404, 409 or 503
    std::string json;
};

// One line of /livez and /readyz.
struct Check {
    std::string name;
    std::string trouble;  // one line; empty: it is fine
};

// Pages. Called on the door's shard. Of status, live and ready one each is made at a time: who asks
// meanwhile shares the next one, so that many who ask cost little more than one.
struct Pages {
    std::function<std::string()> metrics;
    std::function<port::Task<std::string>()> status;
    std::function<port::Task<std::vector<Check>>()> live, ready;
    // Without it nothing lies under /v1/.
    std::function<port::Task<ApiReply>(ApiRequest)> api{};
};

class Door {
public:
    Door(port::Shard& shard, Pages pages, Options options, Log log);
    ~Door();

    Result<void> listen();
    port::Address address() const;
    // Takes no more requests, waits for pages that are being made.
    port::Task<> close();

private:
    class Session;
    void accept(std::unique_ptr<port::Connection> connection);
    template <typename Page>
    struct Shared {
        std::vector<std::move_only_function<void(const Page&)>> asked;
        bool making = false;
    };
    template <typename Page>
    void share(Shared<Page>& shared, std::function<port::Task<Page>()> make,
               std::move_only_function<void(const Page&)> tell);
    template <typename Page>
    port::Task<> make_page(Shared<Page>& shared, std::function<port::Task<Page>()> make);
    // How the checks of a page are to be told.
    struct Telling {
        std::string_view page;
        bool verbose = false;
        std::vector<std::string> excluded;
    };
    port::Task<Bytes> status_page();
    void tell(uint64_t session, int code, std::string_view type, const Bytes& body, bool head,
              bool keep_alive);
    void tell_checks(uint64_t session, const Telling& telling, const std::vector<Check>& checks,
                     bool head, bool keep_alive);
    port::Task<> answer_api(uint64_t session, ApiRequest request, bool head, bool keep_alive);

    port::Shard& shard_;
    const Pages pages_;
    const Options options_;
    Log log_;
    port::Scope scope_;
    std::unique_ptr<port::Listener> listener_;
    std::map<uint64_t, std::unique_ptr<Session>> sessions_;
    Shared<Bytes> status_;
    Shared<std::vector<Check>> live_, ready_;
    uint64_t next_session_ = 1;
    // Callbacks on their way hold it weakly: none runs once the door is gone.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>();
};

}  // namespace asterias::edge_http
