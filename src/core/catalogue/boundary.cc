#include "core/catalogue/boundary.h"

#include <algorithm>

#include "base/mutant.h"
#include "core/catalogue/catalogue.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::catalogue {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kKeyspaceAt = 1;  // of an engine key: behind its space

bool is_data(const Bytes& key) {
    return key.size() >= kv::kDataPrefixBytes && key[0] == static_cast<uint8_t>(kv::Space::Data);
}
bool is_request(const Bytes& key) {
    return key.size() > kKeyspaceAt + 4 && key[0] == static_cast<uint8_t>(kv::Space::Requests);
}

// The same key in another keyspace.
Bytes moved_key(const Bytes& key, KeyspaceId to) {
    if (is_request(key)) return kv::request_key(to, key.view().substr(kKeyspaceAt + 4));
    const auto database = static_cast<uint16_t>((uint16_t{key[5]} << 8) | key[6]);
    return kv::data_key(to, database, key.view().substr(kv::kDataPrefixBytes));
}

// As it came, with its deadline; its version and label are those of the entry that takes it in.
std::optional<Bytes> moved_value(const kv::Write& item, const kv::Context& context) {
    if (is_request(item.key)) {
        if (!kv::decode_request_result(item.record)) return std::nullopt;
        return item.record;
    }
    auto record = kv::decode_record(item.record);
    if (!record) return std::nullopt;
    record->commit_time = context.commit_time;
    record->version = context.index;
    if (MUTANT(catalogue_move_forgets_deadlines)) record->expiry_ms = 0;
    return kv::encode(*record);
}

bool take_in(const Order& order, Place place, const kv::Context& context,
             std::vector<kv::Write>& writes) {
    for (const auto& item : order.items) {
        if (!is_data(item.key) && !is_request(item.key)) return false;
        auto value = moved_value(item, context);
        if (!value) return false;
        writes.push_back({moved_key(item.key, place.keyspace), std::move(*value)});
    }
    return true;
}

bool clear(const Order& order, const Boundary& now, Place place, std::vector<kv::Write>& writes) {
    for (const auto& item : order.items) {
        const bool hidden = is_data(item.key) && is_of(place.keyspace, order.name, item.key) &&
                            now.fences(item.key.view().substr(kv::kDataPrefixBytes));
        if (!hidden) return false;
        writes.push_back({item.key, {}});
    }
    return true;
}

Decided refusal(std::string_view why) { return {{kv::Reply::error(why), {}}, std::nullopt}; }

}  // namespace

std::optional<std::string_view> prefix_of(std::string_view user_key) {
    const size_t colon = user_key.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    return user_key.substr(0, colon);
}

bool Boundary::fences(std::string_view user_key) const {
    if (fenced.empty()) return false;
    const auto name = prefix_of(user_key);
    return name && std::ranges::binary_search(fenced, *name);
}

bool Boundary::refuses(const kv::Command& command) const {
    if ((!closed && !since) || command.op == kv::Op::Boundary) return false;
    bool beyond = closed || (command.spans() && command.generation <= since);
    command.for_each_key([&](const Bytes& key) { beyond |= fences(key.view()); });
    return beyond;
}

Bytes encode(const Boundary& b) {
    wire::Writer out(32);
    out.u8(kFormat).varint(b.generation).varint(b.since).u8(b.closed).varint(b.fenced.size());
    for (const auto& name : b.fenced)
        out.bytes(name);
    return out.take();
}

Result<Boundary> decode_boundary(const Bytes& bytes) {
    wire::Reader in(bytes);
    const uint8_t format = in.u8();
    if (in.ok() && format != kFormat)
        return fail(Errc::Unsupported, "boundary format " + std::to_string(format));
    Boundary b;
    b.generation = in.varint();
    b.since = in.varint();
    const uint8_t closed = in.u8();
    b.closed = closed == 1;
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        b.fenced.push_back(in.bytes().str());
        const size_t size = b.fenced.size();
        if (size > 1 && b.fenced[size - 1] <= b.fenced[size - 2]) in.set_failed();
    }
    const bool odd = b.since > b.generation || (!b.fenced.empty() && !b.since);
    if (!in.ok() || !in.at_end() || closed > 1 || odd) return fail(Errc::Corrupt, "boundary");
    return b;
}

Bytes boundary_key(GroupId group) { return kv::meta_key(group, "boundary"); }

Bytes encode(const Order& order) {
    size_t bytes = 64;
    for (const auto& item : order.items)
        bytes += item.key.size() + item.record.size() + 10;
    wire::Writer out(bytes);
    out.u8(static_cast<uint8_t>(order.what)).varint(order.generation).bytes(order.name);
    out.varint(order.items.size());
    for (const auto& item : order.items)
        out.bytes(item.key).bytes(item.record);
    return out.take();
}

Result<Order> decode_order(const Bytes& bytes) {
    wire::Reader in(bytes);
    Order order;
    const uint8_t what = in.u8();
    if (what < 1 || what > 6) in.set_failed();
    order.what = static_cast<Order::What>(what);
    order.generation = in.varint();
    order.name = in.bytes().str();
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        kv::Write item;
        item.key = in.bytes();
        item.record = in.bytes();
        order.items.push_back(std::move(item));
    }
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "order of a boundary");
    return order;
}

kv::Command command_of(const Order& order, KeyspaceId keyspace) {
    kv::Command command;
    command.op = kv::Op::Boundary;
    command.keyspace = keyspace;
    command.values.push_back(encode(order));
    return command;
}

Decided evaluate(const Boundary& now, const kv::Command& command, Place place,
                 const kv::Context& context) {
    const auto order =
        command.values.size() == 1
            ? decode_order(command.values.front())
            : Result<Order>(std::unexpected(Error{Errc::Corrupt, "an order has one value"}));
    if (!order) return refusal(kNoOrder);
    if (order->generation < now.generation && !MUTANT(catalogue_late_orders_taken))
        return refusal(kLate);
    Boundary next = now;
    next.generation = std::max(now.generation, order->generation);
    Decided decided;
    auto& writes = decided.evaluation.writes;
    const auto at = std::ranges::lower_bound(next.fenced, order->name);
    const bool there = at != next.fenced.end() && *at == order->name;
    switch (order->what) {
        case Order::What::Fence:
            if (!check_name(order->name)) return refusal(kNoOrder);
            if (there) break;
            next.fenced.insert(at, order->name);
            next.since = next.generation;
            break;
        case Order::What::Lift:
            if (!there) break;
            next.fenced.erase(at);
            next.since = next.generation;
            break;
        case Order::What::Open:
            next.closed = false;
            break;
        case Order::What::Close:
            next.closed = !MUTANT(catalogue_close_ignored);
            break;
        case Order::What::Import:
            if (!take_in(*order, place, context, writes)) return refusal(kNoOrder);
            break;
        case Order::What::Clear:
            if (!clear(*order, now, place, writes)) return refusal(kNoOrder);
            break;
    }
    writes.push_back({boundary_key(place.group), encode(next)});
    decided.evaluation.reply = kv::Reply::ok();
    decided.boundary = std::move(next);
    return decided;
}

bool is_of(KeyspaceId keyspace, std::string_view name, const Bytes& key) {
    if (key.size() < kv::kDataPrefixBytes ||
        !key.view().starts_with(kv::data_prefix(keyspace).view()))
        return false;
    return prefix_of(key.view().substr(kv::kDataPrefixBytes)) == name;
}

std::optional<Bytes> seek(KeyspaceId keyspace, std::string_view name, const Bytes& from) {
    const std::string first = std::string(name) + ":";
    if (from.empty()) return kv::data_key(keyspace, 0, first);
    if (from.size() < kv::kDataPrefixBytes ||
        !from.view().starts_with(kv::data_prefix(keyspace).view()))
        return std::nullopt;
    const uint32_t database = (uint32_t{from[5]} << 8) | from[6];
    if (is_of(keyspace, name, from)) {
        BytesBuilder next(from.size() + 1);
        next.append(from.view());
        next.push_back(0);
        return next.take();
    }
    if (from.view().substr(kv::kDataPrefixBytes) < first)
        return kv::data_key(keyspace, static_cast<uint16_t>(database), first);
    if (database == UINT16_MAX) return std::nullopt;
    return kv::data_key(keyspace, static_cast<uint16_t>(database + 1), first);
}

}  // namespace asterias::catalogue
