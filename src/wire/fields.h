// wire/fields.h: tagged fields {varint id, varint length, body}: the outer shape of every message
// between nodes, so that an older reader skips what it does not know. Ids are never reused; each
// format is drawn in docs/formats/.
#pragma once

#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::wire {

inline void field(Writer& out, uint32_t id, std::string_view body) { out.varint(id).bytes(body); }
void field(Writer& out, uint32_t id, uint64_t number);

// Iterates the fields of a message: while (fields.next()) switch (fields.id()) {...}; then ok().
class Fields {
public:
    explicit Fields(Bytes message) : in_(std::move(message)) {}
    bool next();
    uint32_t id() const { return id_; }
    const Bytes& body() const { return body_; }
    // The body as a number written by field(out, id, number).
    uint64_t number();
    bool ok() const { return in_.ok(); }
    void set_failed() { in_.set_failed(); }

private:
    Reader in_;
    uint32_t id_ = 0;
    Bytes body_;
};

}  // namespace asterias::wire
