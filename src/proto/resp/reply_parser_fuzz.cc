// The same bytes in one piece and cut at random points give the same values; values that the writer
// can express survive being written in RESP3 and parsed again.
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prng.h"
#include "proto/resp/reply.h"
#include "proto/resp/reply_parser.h"

namespace asterias::resp {
namespace {

struct Run {
    std::vector<Value> values;
    std::string end;
};

Run parse(std::string_view input, const ReplyLimits& limits, Prng* cuts) {
    ReplyParser parser(limits);
    Run run;
    size_t consumed = 0, wanted = 0;
    for (size_t end = 0; end < input.size() && run.end.empty();) {
        end = cuts ? std::min(input.size(), end + 1 + cuts->below(24)) : input.size();
        if (end - consumed < wanted) continue;
        const Bytes piece = Bytes::copy(input.substr(consumed, end - consumed));
        size_t at = 0;
        for (bool more = true; more && run.end.empty();) {
            auto outcome = parser.next(piece, at);
            CHECK(at <= piece.size(), "no more is consumed than is there");
            if (auto* value = std::get_if<Value>(&outcome)) run.values.push_back(std::move(*value));
            if (auto* error = std::get_if<ProtocolError>(&outcome)) run.end = error->text;
            if (auto* need = std::get_if<NeedMore>(&outcome)) {
                wanted = need->wanted;
                CHECK(wanted == 0 || wanted > piece.size() - at, "what is wanted is not there yet");
                more = false;
            }
        }
        consumed += at;
    }
    return run;
}

// False if the value has no written form of its own (a status with a lone LF, say).
bool write(ReplyWriter& out, const Value& v) {
    const bool one_line = v.text.view().find_first_of("\r\n") == std::string_view::npos;
    switch (v.kind) {
        case ValueKind::Simple:
            if (one_line) out.simple(v.text.view());
            return one_line;
        case ValueKind::Error:
            if (one_line) out.error(v.text.view());
            return one_line;
        case ValueKind::Integer:
            out.integer(v.integer);
            return true;
        case ValueKind::Bulk:
            out.bulk(v.text);
            return true;
        case ValueKind::Null:
            out.null();
            return true;
        case ValueKind::Array:
            out.array(v.items.size());
            break;
        case ValueKind::Map:
            out.map(v.items.size() / 2);
            break;
        case ValueKind::Set:
            out.set(v.items.size());
            break;
        case ValueKind::Push:
            out.push(v.items.size());
            break;
        case ValueKind::Double:
            out.real(v.real);
            return v.real == v.real;  // nan equals nothing
        case ValueKind::Boolean:
            out.boolean(v.integer != 0);
            return true;
        case ValueKind::BigNumber:
            out.big_number(v.text.view());
            return true;
        case ValueKind::Verbatim:
            out.verbatim("txt", v.text.view());
            return true;
    }
    for (const auto& item : v.items)
        if (!write(out, item)) return false;
    return true;
}

bool same(const std::vector<Value>& a, const std::vector<Value>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (a[i].describe() != b[i].describe()) return false;  // nan is shown, too
    return true;
}

}  // namespace
}  // namespace asterias::resp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace asterias::resp;
    if (size < 2) return 0;
    ReplyLimits limits;
    if (data[0] & 1) limits = {64, 100, 50, 4};
    asterias::Prng cuts(data[1]);
    const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const Run whole = parse(input, limits, nullptr);
    const Run pieces = parse(input, limits, &cuts);
    CHECK(same(whole.values, pieces.values), "cutting the input changes no value");
    CHECK(whole.end == pieces.end, "cutting the input changes no error");
    for (const auto& value : whole.values) {
        asterias::Chain out;
        ReplyWriter writer(out, ProtocolVersion::Resp3);
        if (!write(writer, value)) continue;
        const Run again = parse(out.flatten().view(), {}, &cuts);
        CHECK(again.values.size() == 1 && again.values[0] == value, "values survive a round trip");
    }
    return 0;
}
