// Bodies of Raft, Forward and ForwardReply frames, from a peer that says anything. What is read can
// be written, and is read again as the same.
#include <cstdlib>

#include "service/replica/codec.h"

using namespace asterias;
using namespace asterias::replica;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

void messages(const Bytes& data) {
    wire::Reader in(data);
    while (in.ok() && !in.at_end()) {
        GroupMessage m;
        if (!read_message(in, m)) continue;
        wire::Writer out;
        write_message(out, m.group, m.message);
        wire::Reader again(out.take());
        GroupMessage same;
        require(read_message(again, same) && again.at_end());
        require(same.group == m.group && same.message == m.message);
    }
}
void forwards(const Bytes& data) {
    wire::Reader in(data);
    const auto head = read_head(in);
    (void)head;
    while (in.ok() && !in.at_end()) {
        const auto f = read_forwarded(in);
        if (!in.ok()) return;
        wire::Writer out;
        write_forwarded(out, f.ticket, f.sequence, f.remaining_ms, f.command);
        wire::Reader again(out.take());
        const auto same = read_forwarded(again);
        require(again.ok() && again.at_end() && same.ticket == f.ticket &&
                same.sequence == f.sequence && same.remaining_ms == f.remaining_ms &&
                same.command == f.command);
    }
}
void answers(const Bytes& data) {
    wire::Reader in(data);
    while (in.ok() && !in.at_end()) {
        const auto a = read_answered(in);
        if (!in.ok()) return;
        wire::Writer out;
        write_answered(out, a);
        wire::Reader again(out.take());
        const auto same = read_answered(again);
        require(again.ok() && again.at_end() && same.ticket == a.ticket && same.epoch == a.epoch &&
                same.answer.kind == a.answer.kind && same.answer.reply == a.answer.reply);
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    switch (bytes[0] % 3) {
        case 0:
            messages(data);
            break;
        case 1:
            forwards(data);
            break;
        default:
            answers(data);
    }
    return 0;
}
