// Identity files and founding records, with the checksum as it is and made right. What is accepted
// comes back the same, and everything that follows from a founding record can be asked of it.
#include <cstdlib>

#include "base/crc32c.h"
#include "service/node/identity.h"
#include "wire/writer.h"

using namespace asterias;
using namespace asterias::node;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

void follow(const Founding& f) {
    (void)catalogue_of(f).of("a:b");
    if (f.members.empty()) return;  // not founded yet
    for (GroupId group : groups_of(f))
        require(!members_of(f, group).empty());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes), size});
    (void)decode_identity(data);
    wire::Writer right;
    right.raw("ASTERIAS").u8(4).u32(crc32c(data.view())).raw(data.view());
    if (auto id = decode_identity(right.take())) {
        auto same = decode_identity(encode(*id));
        require(same && *same == *id);
        follow(id->founding);
    }
    if (auto f = decode_founding(data)) {
        auto same = decode_founding(encode(*f));
        require(same && *same == *f);
        follow(*f);
    }
    return 0;
}
