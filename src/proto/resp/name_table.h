// proto/resp/name_table.h: finds rows of a constant table by their names, in any case: open
// addressing, filled at compile time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/resp/arguments.h"

namespace asterias::resp {

template <size_t kSlots>
class NameTable {
public:
    // `rows` have a `name`, lower case, each once; at most half as many as there are slots.
    template <typename Rows>
    constexpr explicit NameTable(const Rows& rows) {
        static_assert((kSlots & (kSlots - 1)) == 0);
        rows_.fill(kEmpty);
        for (size_t i = 0; i < rows.size(); ++i) {
            if (rows[i].name.size() > longest_) longest_ = rows[i].name.size();
            size_t slot = slot_of(rows[i].name);
            while (rows_[slot] != kEmpty)
                slot = (slot + 1) % kSlots;
            rows_[slot] = static_cast<uint16_t>(i);
        }
    }
    // `rows` is what the table was made of. Null: there is none.
    template <typename Rows>
    auto find(const Rows& rows, std::string_view name) const -> decltype(&rows[0]) {
        if (name.size() > longest_) return nullptr;
        for (size_t slot = slot_of(name); rows_[slot] != kEmpty; slot = (slot + 1) % kSlots) {
            const auto& row = rows[rows_[slot]];
            if (equals_ignoring_case(row.name, name)) return &row;
        }
        return nullptr;
    }

private:
    static constexpr uint16_t kEmpty = 0xffff;

    static constexpr size_t slot_of(std::string_view name) {
        uint32_t hash = 1;
        for (const char c : name) {
            const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            hash = (hash ^ static_cast<uint8_t>(lower)) * 0x01000193u;
        }
        return (hash ^ hash >> 15) % kSlots;
    }

    std::array<uint16_t, kSlots> rows_{};
    size_t longest_ = 0;
};

}  // namespace asterias::resp
