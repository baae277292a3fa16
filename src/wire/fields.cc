#include "wire/fields.h"

namespace asterias::wire {

void field(Writer& out, uint32_t id, uint64_t number) {
    Writer body(10);
    body.varint(number);
    out.varint(id).bytes(body.view());
}

bool Fields::next() {
    if (in_.at_end() || !in_.ok()) return false;
    id_ = static_cast<uint32_t>(in_.varint());
    body_ = in_.bytes();
    return in_.ok();
}

uint64_t Fields::number() {
    Reader body(body_);
    const uint64_t v = body.varint();
    if (!body.ok() || !body.at_end()) in_.set_failed();
    return v;
}

}  // namespace asterias::wire
