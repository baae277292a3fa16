#include <deque>

#include "app/load/session.h"
#include "proto/resp/reply_parser.h"

namespace asterias::load {
namespace {

void word(std::string& out, std::string_view text) {
    out.append("$").append(std::to_string(text.size())).append("\r\n").append(text).append("\r\n");
}

class RespSession : public Session {
public:
    explicit RespSession(Credentials who) : who_(std::move(who)) {}

    void greet(std::string& out) override {
        if (who_.password.empty()) return;
        out.append("*3\r\n$4\r\nAUTH\r\n");
        word(out, who_.user);
        word(out, who_.password);
        greeting_ = true;
    }

    void ask(Operation operation, std::string_view key, std::string_view value,
             std::string& out) override {
        asked_.push_back({operation, operation == Operation::SetWait ? 2 : 1, false});
        switch (operation) {
            case Operation::Set:
            case Operation::SetWait:
                out.append("*3\r\n$3\r\nSET\r\n");
                word(out, key);
                word(out, value);
                if (operation == Operation::SetWait)
                    out.append("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n5000\r\n");
                return;
            case Operation::Get:
                out.append("*2\r\n$3\r\nGET\r\n");
                return word(out, key);
            case Operation::Incr:
                out.append("*2\r\n$4\r\nINCR\r\n");
                return word(out, key);
        }
    }

    size_t receive(const Bytes& input, std::string&, Finished& finished) override {
        size_t at = 0;
        for (;;) {
            auto outcome = parser_.next(input, at);
            if (const auto* value = std::get_if<resp::Value>(&outcome)) {
                take(*value, finished);
                continue;
            }
            if (const auto* error = std::get_if<resp::ProtocolError>(&outcome)) {
                finished.broken = true;
                finished.first_failure = error->text;
            }
            return at;
        }
    }

private:
    struct Asked {
        Operation operation;
        int replies_left;
        bool failed;
    };

    static bool as_promised(const Asked& asked, const resp::Value& value) {
        using enum resp::ValueKind;
        switch (asked.operation) {
            case Operation::Set:
                return value.kind == Simple;
            case Operation::Get:
                return value.kind == Bulk;
            case Operation::Incr:
                return value.kind == Integer;
            case Operation::SetWait:
                return asked.replies_left == 2 ? value.kind == Simple
                                               : value.kind == Integer && value.integer >= 1;
        }
        return false;
    }

    void take(const resp::Value& value, Finished& finished) {
        if (std::exchange(greeting_, false)) {
            finished.broken = value.is_error();
            if (finished.broken) finished.first_failure = value.describe();
            return;
        }
        if (asked_.empty()) {
            finished.broken = true;
            finished.first_failure = "an answer that nobody asked for";
            return;
        }
        Asked& asked = asked_.front();
        if (!as_promised(asked, value)) {
            asked.failed = true;
            if (finished.first_failure.empty()) finished.first_failure = value.describe();
        }
        if (--asked.replies_left > 0) return;
        finished.done++;
        finished.failed += asked.failed;
        asked_.pop_front();
    }

    const Credentials who_;
    bool greeting_ = false;  // its answer is awaited
    resp::ReplyParser parser_;
    std::deque<Asked> asked_;
};

}  // namespace

std::unique_ptr<Session> make_resp_session(Credentials credentials) {
    return std::make_unique<RespSession>(std::move(credentials));
}

}  // namespace asterias::load
