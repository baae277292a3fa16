#include "port/engine_owner.h"

#include <cstring>
#include <string>

#include "base/mutant.h"

namespace asterias::port {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kBytes = 25;  // u8 format | u64 cluster | u64 node | u64 nonce

Bytes encode(const EngineOwner& owner) {
    char out[kBytes] = {kFormat};
    std::memcpy(out + 1, &owner.cluster.value, 8);
    std::memcpy(out + 9, &owner.node.value, 8);
    std::memcpy(out + 17, &owner.nonce, 8);
    return Bytes::copy({out, kBytes});
}

Result<EngineOwner> decode(std::string_view bytes) {
    if (bytes.size() != kBytes || static_cast<uint8_t>(bytes[0]) != kFormat)
        return fail(Errc::Unsupported, "the engine names its owner in another format");
    EngineOwner owner;
    std::memcpy(&owner.cluster.value, bytes.data() + 1, 8);
    std::memcpy(&owner.node.value, bytes.data() + 9, 8);
    std::memcpy(&owner.nonce, bytes.data() + 17, 8);
    return owner;
}

std::string describe(const EngineOwner& owner) {
    return "node " + to_string(owner.node) + " of cluster " + to_string(owner.cluster);
}

}  // namespace

Task<Result<void>> claim(Engine& engine, Shard& shard, EngineOwner owner) {
    auto first = co_await engine.scan(shard, {}, {}, {.entries = 1});
    if (!first) co_return std::unexpected(first.error());
    if (first->empty()) {
        EngineBatch batch;
        batch.put(Bytes::copy(kEngineOwnerKey), encode(owner));
        auto written = engine.write(batch);
        if (!written) co_return std::unexpected(written.error());
        co_return Result<void>();
    }
    auto said = co_await engine.get(shard, Bytes::copy(kEngineOwnerKey));
    if (!said) co_return std::unexpected(said.error());
    if (!*said) co_return fail(Errc::Unsupported, "the engine does not say whose it is");
    auto found = decode((*said)->view());
    if (!found) co_return std::unexpected(found.error());
    if (*found == owner || MUTANT(engine_owner_unchecked)) co_return Result<void>();
    const bool other_birth = found->cluster == owner.cluster && found->node == owner.node;
    co_return fail(Errc::Conflict, "the engine belongs to " + describe(*found) +
                                       (other_birth ? ", of another data directory" : "") +
                                       ", not to " + describe(owner));
}

}  // namespace asterias::port
