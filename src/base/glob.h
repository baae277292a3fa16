// base/glob.h: glob patterns as Redis matches them (util.c: stringmatchlen): * ? [abc] [^a]
// [a-z] and \ for the next byte. CONFIG GET, KEYS, SCAN, PSUBSCRIBE.
// Other than there, a pattern of stars takes the empty text, as KEYS * does.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace asterias {

enum class GlobCase : uint8_t { Exact, Ignored };

// What a door takes from a client: one text costs so many steps for each of its bytes at most.
inline constexpr std::size_t kGlobBytesMax = 1024;  // glob-bytes-max
inline constexpr std::string_view kGlobTooLong =
    "ERR the pattern is too long, at most 1024 bytes (glob-bytes-max)";

// A pattern, read once; any size. Takes 2 bytes for each of its bytes, and 32 for each set.
class Glob {
public:
    explicit Glob(std::string_view pattern, GlobCase mode = GlobCase::Exact);

    bool matches(std::string_view text) const {
        uint64_t steps = 0;
        return matches(text, steps);
    }
    // Adds to `steps` what it took, (pattern + 1) * (text + 1) at most: only the last star is ever
    // tried again. A step is some nanoseconds.
    bool matches(std::string_view text, uint64_t& steps) const;

private:
    using Set = std::array<uint64_t, 4>;  // a bit for each byte

    size_t read_set(std::string_view pattern, size_t at);
    bool takes(uint16_t element, unsigned char c) const;

    GlobCase mode_;
    std::vector<uint16_t> elements_;  // a byte; or one of those in glob.cc; or kSet + its place
    std::vector<Set> sets_;
};

// For a pattern that is used once.
bool glob_match(std::string_view pattern, std::string_view text, GlobCase mode = GlobCase::Exact);

}  // namespace asterias
