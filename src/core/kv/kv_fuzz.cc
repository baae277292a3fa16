// Commands, replies, records and stored request results from bytes that nobody wrote. What is read
// can be written, and is read again as the same.
#include <cstdlib>

#include "core/kv/evaluate.h"

using namespace asterias;
using namespace asterias::kv;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

void commands(const Bytes& data) {
    wire::Reader in(data);
    const Command c = decode_command(in);
    if (!in.ok()) return;
    wire::Writer out;
    encode(out, c);
    wire::Reader again(out.take());
    require(decode_command(again) == c && again.at_end());
    if (c.op == Op::Boundary) return;  // catalogue_fuzz evaluates those
    // Whatever a gateway sends, a leader can evaluate: on nothing, and on a number.
    Record number;
    number.value = Bytes::literal("41");
    number.expiry_ms = 1000;
    const auto keys = keys_read(c);
    for (const Record* record : {static_cast<const Record*>(nullptr), &std::as_const(number)})
        for (int64_t now : {int64_t{1}, int64_t{2000}}) {
            const std::vector<const Record*> records(keys.size(), record);
            for (const auto& write : evaluate(c, keys, records, {now, {}, LogIndex(1)}).writes)
                require(write.record.empty() || decode_record(write.record).has_value());
        }
}
void replies(const Bytes& data) {
    wire::Reader in(data);
    const Reply r = decode_reply(in);
    if (!in.ok()) return;
    wire::Writer out;
    encode(out, r);
    wire::Reader again(out.take());
    require(decode_reply(again) == r && again.at_end());
}
void records(const Bytes& data) {
    if (auto r = decode_record(data)) {
        auto same = decode_record(encode(*r));
        require(same && *same == *r);
    }
    (void)has_expiry(data);
    if (auto r = decode_request_result(data)) {
        auto same = decode_request_result(encode_request_result(r->sequence, r->reply));
        require(same && same->sequence == r->sequence && same->reply == r->reply);
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    switch (bytes[0] % 3) {
        case 0:
            commands(data);
            break;
        case 1:
            replies(data);
            break;
        default:
            records(data);
    }
    return 0;
}
