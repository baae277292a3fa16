#include "edge/http/door.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace asterias::edge_http {
namespace {

struct RequestHead {
    std::string method, path, query;
    bool keep_alive = true;
    bool command = false;  // the header that a browser does not send
    int refuse = 0;        // a status code; 0: fine
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool is_token(unsigned char c) {
    return std::isalnum(c) || (c != 0 && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

// Can these bytes be the begin of a request? METHOD SP TARGET SP VERSION CRLF, then lines that end
// in CRLF, too. What cannot is refused at once: nobody waits for its end.
bool may_be_request(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return false;
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] != '\n') return false;
    }
    const size_t end = text.find('\r');
    const std::string_view line = text.substr(0, end);
    const size_t method = std::min(line.find(' '), line.size());
    if (!std::all_of(line.begin(), line.begin() + static_cast<ptrdiff_t>(method), is_token))
        return false;
    if (!std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }))
        return false;
    if (line.starts_with(' ')) return false;
    return end == std::string_view::npos || line.find(' ', method + 1) != std::string_view::npos;
}

// `head` ends before the blank line. RFC 9112, as far as a server without request bodies needs it.
RequestHead parse_head(std::string_view head) {
    RequestHead r;
    const size_t line_end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, line_end);
    const size_t a = line.find(' '), b = line.rfind(' ');
    const auto refused = [](int code) {
        RequestHead refusal;
        refusal.refuse = code;
        return refusal;
    };
    if (a == std::string_view::npos || b <= a) return refused(400);
    r.method = line.substr(0, a);
    r.path = line.substr(a + 1, b - a - 1);
    const std::string_view version = line.substr(b + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return refused(505);
    r.keep_alive = version == "HTTP/1.1";
    bool host = false;
    size_t at = line_end + 2;
    while (at < head.size()) {
        const size_t end = std::min(head.find("\r\n", at), head.size());
        const std::string_view field = head.substr(at, end - at);
        at = end + 2;
        const size_t colon = field.find(':');
        if (colon == 0 || colon == std::string_view::npos || field[colon - 1] == ' ')
            return refused(400);
        const std::string name = lower(field.substr(0, colon));
        std::string_view value = field.substr(colon + 1);
        while (!value.empty() && value.front() == ' ')
            value.remove_prefix(1);
        if (name == "host") host = true;
        if (name == "asterias-command") r.command = true;
        if (name == "connection") {
            if (lower(value) == "close") r.keep_alive = false;
            if (lower(value) == "keep-alive") r.keep_alive = true;
        }
        // No page takes a body: what announces one cannot be answered and resynchronised safely.
        if (name == "transfer-encoding" || (name == "content-length" && value != "0"))
            return refused(413);
    }
    if (!host && version == "HTTP/1.1") return refused(400);
    if (const size_t query = r.path.find('?'); query != std::string::npos) {
        r.query = r.path.substr(query + 1);
        r.path.resize(query);
    }
    return r;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const int letter = std::tolower(static_cast<unsigned char>(c)) - 'a';
    return letter >= 0 && letter < 6 ? 10 + letter : -1;
}

// false: a broken escape.
bool percent_decode(std::string_view text, std::string& out) {
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
        if (low < 0) return false;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return true;
}

// In their order; false: a broken escape.
bool parse_query(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(pair.size() + 1, text.size()));
        const size_t equals = std::min(pair.find('='), pair.size());
        std::string name, value;
        if (!percent_decode(pair.substr(0, equals), name) ||
            !percent_decode(pair.substr(std::min(equals + 1, pair.size())), value))
            return false;
        out.emplace_back(std::move(name), std::move(value));
    }
    return true;
}

bool parse_query(std::string_view text, std::map<std::string, std::string>& out) {
    std::vector<std::pair<std::string, std::string>> pairs;
    if (!parse_query(text, pairs)) return false;
    for (auto& [name, value] : pairs)
        out[name] = std::move(value);
    return true;
}

// The body of /livez or /readyz, and whether nothing that was asked for fails.
struct Verdict {
    bool fine = true;
    std::string text;
};
Verdict verdict_of(const std::vector<Check>& checks, const std::vector<std::string>& excluded,
                   std::string_view page, bool verbose) {
    Verdict v;
    for (const auto& check : checks) {
        const bool out = std::ranges::find(excluded, check.name) != excluded.end();
        v.fine &= out || check.trouble.empty();
        v.text += check.trouble.empty() ? "[+]" + check.name + " ok"
                                        : "[-]" + check.name + " failed: " + check.trouble;
        v.text += out ? " (excluded)\n" : "\n";
    }
    for (const auto& name : excluded)
        if (std::ranges::find(checks, name, &Check::name) == checks.end())
            v.text += "there is no check '" + name + "' to exclude\n";
    if (v.fine) return {true, (verbose ? v.text : "") + "ok\n"};
    v.text += std::string(page) + " check failed\n";
    return v;
}

std::string_view reason(int code) {
    switch (code) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        default:
            return "HTTP Version Not Supported";
    }
}

}  // namespace

class Door::Session : public port::ConnectionHandler {
public:
    Session(Door& door, uint64_t id, std::unique_ptr<port::Connection> connection)
        : door_(door), id_(id), connection_(std::move(connection)) {}
    ~Session() override { await(Awaits::Nothing); }
    void start() {
        await(Awaits::Request);
        connection_->start(*this);
    }
    bool busy() const { return busy_; }

    port::Consumed on_data(const Bytes& available) override {
        size_t at = 0;
        while (!ended_ && !busy_ && !close_after_) {
            if (connection_->unsent() > port::kHighOutputMark) {
                // Who does not read its pages is not read from.
                connection_->pause_reading(true);
                await(Awaits::Nothing);
                return {at, 0};
            }
            const std::string_view rest = available.view().substr(at);
            const size_t most = door_.options_.head_bytes_max;
            const size_t end = rest.find("\r\n\r\n");
            const bool whole = end != std::string_view::npos;
            if (!may_be_request(rest.substr(0, std::min(whole ? end + 2 : rest.size(), most)))) {
                answer(400, "", {}, false, false);
                return {at, 0};
            }
            if (!whole) {
                if (rest.size() > most) answer(431, "", {}, false, false);
                // More bytes of the same request do not move its deadline.
                const auto next = rest.empty() ? Awaits::Request : Awaits::Rest;
                if (at > 0 || next != awaits_) await(next);
                return {at, 0};
            }
            at += end + 4;
            if (end > most)
                answer(431, "", {}, false, false);
            else
                handle(parse_head(rest.substr(0, end)));
        }
        return {at, 0};
    }
    void on_end_of_stream() override { finish_up(); }
    // No more requests; ends when what it owes is on its way out.
    void finish_up() {
        close_after_ = true;
        if (busy_ || ended_) return;
        connection_->close_after_flush();
        end();
    }
    void on_closed(const Error&) override { end(); }
    void on_drained() override {
        if (ended_ || busy_) return;
        if (awaits_ == Awaits::Nothing) await(Awaits::Request);
        connection_->pause_reading(false);
    }

    void answer(int code, std::string_view type, const Bytes& body, bool head, bool keep_alive) {
        if (ended_) return;
        keep_alive = keep_alive && !close_after_;
        std::string text = "HTTP/1.1 " + std::to_string(code) + " " + std::string(reason(code)) +
                           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
        if (!type.empty()) text += "Content-Type: " + std::string(type) + "\r\n";
        if (code == 405) text += "Allow: GET, HEAD, POST\r\n";
        text += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
        connection_->out().append(std::string_view(text));
        if (!head) connection_->out().append(body);
        if (!keep_alive) {
            connection_->close_after_flush();
            end();
        }
    }
    // Of a page that took time.
    void finish(int code, std::string_view type, const Bytes& body, bool head, bool keep_alive) {
        busy_ = false;
        answer(code, type, body, head, keep_alive);
        if (ended_) return;
        await(Awaits::Request);
        connection_->pause_reading(false);
    }

private:
    // What the peer is to send next: a request, or the rest of one. Nothing while it is our turn.
    enum class Awaits : unsigned char { Nothing, Request, Rest };
    void await(Awaits what) {
        if (timer_) door_.shard_.timers().cancel(timer_);
        timer_ = {};
        awaits_ = ended_ ? Awaits::Nothing : what;
        if (awaits_ == Awaits::Nothing) return;
        timer_ = door_.shard_.timers().after(
            what == Awaits::Rest ? door_.options_.request_timeout : door_.options_.idle_timeout,
            [this] {
                timer_ = {};
                too_late();
            });
    }
    void too_late() {
        if (awaits_ == Awaits::Rest) return answer(408, "", {}, false, false);
        // A long page may still be on its way to a slow reader.
        if (connection_->unsent() > 0) return await(Awaits::Request);
        connection_->close_after_flush();
        end();
    }
    void handle(const RequestHead& r) {
        if (r.refuse) return answer(r.refuse, "", {}, false, false);
        const bool head = r.method == "HEAD", post = r.method == "POST";
        const bool api = door_.pages_.api && r.path.starts_with("/v1/");
        if (r.method != "GET" && !head && !(post && api)) return answer(405, "", {}, false, false);
        if (post && !r.command)
            return answer(403, "text/plain",
                          Bytes::literal("a POST needs the header Asterias-Command\n"), false,
                          r.keep_alive);
        if (api) {
            ApiRequest request{post, r.path, {}};
            if (!parse_query(r.query, request.query))
                return answer(400, "text/plain", Bytes::literal("broken query\n"), head,
                              r.keep_alive);
            wait_for_page();
            return door_.scope_.spawn(
                "http.api", door_.answer_api(id_, std::move(request), head, r.keep_alive));
        }
        if (r.path == "/metrics")
            return answer(200, "text/plain; version=0.0.4; charset=utf-8",
                          Bytes::copy(door_.pages_.metrics()), head, r.keep_alive);
        if (r.path == "/status") {
            wait_for_page();
            return door_.share<Bytes>(
                door_.status_, [door = &door_] { return door->status_page(); },
                [door = &door_, id = id_, head, keep = r.keep_alive](const Bytes& b) {
                    door->tell(id, 200, "application/json", b, head, keep);
                });
        }
        if (r.path == "/livez" || r.path == "/readyz" || r.path == "/health")
            return tell_checks(r, head);
        answer(404, "text/plain", Bytes::literal("pages: /livez /readyz /metrics /status\n"), head,
               r.keep_alive);
    }
    void tell_checks(const RequestHead& r, bool head) {
        std::vector<std::pair<std::string, std::string>> query;
        if (!parse_query(r.query, query))
            return answer(400, "text/plain", Bytes::literal("broken query\n"), head, r.keep_alive);
        Telling telling;
        const bool live = r.path == "/livez";
        telling.page = live ? "livez" : "readyz";
        for (auto& [name, value] : query) {
            if (name == "verbose") telling.verbose = true;
            if (name == "exclude") telling.excluded.push_back(std::move(value));
        }
        wait_for_page();
        door_.share<std::vector<Check>>(
            live ? door_.live_ : door_.ready_, live ? door_.pages_.live : door_.pages_.ready,
            [door = &door_, id = id_, telling = std::move(telling), head,
             keep = r.keep_alive](const std::vector<Check>& checks) {
                door->tell_checks(id, telling, checks, head, keep);
            });
    }
    // Later requests of this connection wait: answers keep their order.
    void wait_for_page() {
        busy_ = true;
        await(Awaits::Nothing);
        connection_->pause_reading(true);
    }
    void end() {
        if (std::exchange(ended_, true)) return;
        await(Awaits::Nothing);
        door_.shard_.post([door = &door_, alive = std::weak_ptr(door_.alive_), id = id_] {
            if (!alive.expired()) door->sessions_.erase(id);
        });
    }

    Door& door_;
    const uint64_t id_;
    std::unique_ptr<port::Connection> connection_;
    port::TimerId timer_;
    Awaits awaits_ = Awaits::Nothing;
    bool busy_ = false;
    bool close_after_ = false;
    bool ended_ = false;
};

Door::Door(port::Shard& shard, Pages pages, Options options, Log log)
    : shard_(shard),
      pages_(std::move(pages)),
      options_(std::move(options)),
      log_(log.named("http")),
      scope_(shard) {}

Door::~Door() = default;

Result<void> Door::listen() {
    port::AcceptHandler accepted = [this](std::unique_ptr<port::Connection> c) {
        accept(std::move(c));
    };
    listener_ = TRY(options_.listen ? options_.listen(shard_, std::move(accepted))
                                    : shard_.net().listen(options_.address, std::move(accepted)));
    return {};
}

port::Address Door::address() const { return listener_->address(); }

void Door::accept(std::unique_ptr<port::Connection> connection) {
    // Full: whoever came first and waits for nothing gives way, so that connections which never
    // send a request cannot keep the next reader of /metrics out.
    if (sessions_.size() >= options_.connections_max) {
        const auto idle = std::find_if(sessions_.begin(), sessions_.end(),
                                       [](const auto& s) { return !s.second->busy(); });
        if (idle == sessions_.end()) return;
        sessions_.erase(idle);
    }
    const uint64_t id = next_session_++;
    auto session = std::make_unique<Session>(*this, id, std::move(connection));
    sessions_.emplace(id, std::move(session)).first->second->start();
}

template <typename Page>
void Door::share(Shared<Page>& shared, std::function<port::Task<Page>()> make,
                 std::move_only_function<void(const Page&)> tell) {
    shared.asked.push_back(std::move(tell));
    if (!std::exchange(shared.making, true))
        scope_.spawn("http.page", make_page(shared, std::move(make)));
}

template <typename Page>
port::Task<> Door::make_page(Shared<Page>& shared, std::function<port::Task<Page>()> make) {
    while (!shared.asked.empty()) {
        auto asked = std::exchange(shared.asked, {});
        const Page page = co_await make();
        for (auto& tell : asked)
            tell(page);
    }
    shared.making = false;
}

port::Task<Bytes> Door::status_page() { co_return Bytes::copy(co_await pages_.status() + "\n"); }

void Door::tell(uint64_t session, int code, std::string_view type, const Bytes& body, bool head,
                bool keep_alive) {
    const auto it = sessions_.find(session);
    if (it != sessions_.end()) it->second->finish(code, type, body, head, keep_alive);
}

void Door::tell_checks(uint64_t session, const Telling& telling, const std::vector<Check>& checks,
                       bool head, bool keep_alive) {
    const Verdict v = verdict_of(checks, telling.excluded, telling.page, telling.verbose);
    tell(session, v.fine ? 200 : 503, "text/plain", Bytes::copy(v.text), head, keep_alive);
}

port::Task<> Door::answer_api(uint64_t session, ApiRequest request, bool head, bool keep_alive) {
    const ApiReply reply = co_await pages_.api(std::move(request));
    tell(session, reply.code, "application/json", Bytes::copy(reply.json + "\n"), head, keep_alive);
}

port::Task<> Door::close() {
    listener_.reset();
    // Who goes on asking must not keep the scope from closing.
    for (auto& [id, session] : sessions_)
        session->finish_up();
    co_await scope_.close();
}

}  // namespace asterias::edge_http
