// DUMP and RESTORE of strings, in the form of Redis 7.0; payloads recorded from a real one.
#include "proto/resp/dump.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace asterias::resp {
namespace {

constexpr size_t kMost = 1024 * 1024;

std::string restored(std::string_view payload) {
    auto value = restore_string(Bytes::copy(payload), kMost);
    if (const auto* error = std::get_if<ArgumentError>(&value)) return "-" + error->text;
    return std::get<Bytes>(value).str();
}

// `body` with a footer that is right.
std::string sealed(std::string body) {
    body += std::string("\x0a\x00", 2);
    uint64_t crc = crc64(body);
    body.append(reinterpret_cast<const char*>(&crc), sizeof crc);
    return body;
}

const std::string kBad = "-ERR Bad data format";
const std::string kWrong = "-ERR DUMP payload version or checksum are wrong";

TEST(RespDump, TheChecksumIsThatOfRedis) {
    EXPECT_EQ(crc64("123456789"), 0xe9c6d914c4b8d9caull);
    EXPECT_EQ(crc64(""), 0u);
}

TEST(RespDump, StringsAndNumbersAreDumpedByteForByteAsRedisDoes) {
    using std::string_view_literals::operator""sv;
    EXPECT_EQ(dump_string("ohmytext").view(),
              "\x00\x08ohmytext\n\x00\xb6]\xeb\xe1\x8c\x03\xed\x88"sv);
    EXPECT_EQ(dump_string("123").view(), "\x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb9"sv);
    EXPECT_EQ(dump_string("-129").view(), "\x00\xc1\x7f\xff\n\x00\x17`\x82(T\x80\x84\x80"sv);
    EXPECT_EQ(dump_string("70000").view(),
              "\x00\xc2p\x11\x01\x00\n\x00\x01\xa4\x08\xfe\x95\x30\x95\xa5"sv);
    EXPECT_EQ(dump_string("12345678901").view(),
              "\x00\x0b"
              "12345678901\n\x00\x30NR\xd7'\x17\x65\x10"sv);
}

TEST(RespDump, WhatIsDumpedIsRestored) {
    Prng prng(3);
    for (const size_t size : {0, 1, 63, 64, 16'383, 16'384, 100'000}) {
        std::string value(size, ' ');
        for (char& c : value)
            c = static_cast<char>(prng.below(256));
        EXPECT_EQ(restored(dump_string(value).view()), value) << size;
    }
    for (const char* number : {"0", "-1", "127", "128", "-128", "-129", "32767", "32768",
                               "2147483647", "2147483648", "-2147483648", "-0", "01"})
        EXPECT_EQ(restored(dump_string(number).view()), number);
}

TEST(RespDump, WhatRedisCompressedIsRestored) {
    using std::string_view_literals::operator""sv;
    std::string repeated = "a10";
    for (int i = 0; i < 21; ++i)
        repeated += "abc";
    EXPECT_EQ(restored("\x00\xc3\r@B\x05"
                       "a10abc\xe0\x31\x02\x01"
                       "bc\n\x00\xceZ\x04+\x9e\xc0\xeb\x05"sv),
              repeated);
}

TEST(RespDump, DamageIsRefusedWhereverItIs) {
    const std::string good = dump_string("some text that is long enough").str();
    for (size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x10);
        EXPECT_EQ(restored(bad), kWrong) << i;
        EXPECT_TRUE(restored(good.substr(0, i)).starts_with("-ERR ")) << i;
    }
    std::string newer = good;
    newer[newer.size() - 10] = 11;
    EXPECT_EQ(restored(newer), kWrong);
}

TEST(RespDump, WhatIsSealedAndMakesNoSenseIsRefused) {
    using std::string_literals::operator""s;
    EXPECT_EQ(restored(sealed("\x00\x03"
                              "ab"s)),
              kBad)
        << "shorter than it says";
    EXPECT_EQ(restored(sealed("\x00\x01"
                              "ab"s)),
              kBad)
        << "longer than it says";
    EXPECT_EQ(restored(sealed("\x00\xc4"
                              "a"s)),
              kBad)
        << "no such encoding";
    EXPECT_EQ(restored(sealed("\x00\x82"s)), kBad) << "no such length";
    EXPECT_EQ(restored(sealed(""s)), kBad);
    EXPECT_TRUE(restored(sealed("\x01\x00"s)).starts_with("-ERR only strings"));
    EXPECT_EQ(restored(sealed("\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff"s)), kBad);
    // {compressed length}{length}{bytes}: a reference before the beginning; too much, too little.
    EXPECT_EQ(restored(sealed("\x00\xc3\x03\x04\x20\x00\x01"s)), kBad);
    EXPECT_EQ(restored(sealed("\x00\xc3\x05\x04\x00"
                              "a\xe0\x10\x00"s)),
              kBad);
    EXPECT_EQ(restored(sealed("\x00\xc3\x02\x04\x00"
                              "a"s)),
              kBad);
    EXPECT_EQ(restored(sealed("\x00\xc3\x02\xbf\xff\x00"
                              "a"s)),
              kBad)
        << "nothing is allocated for what cannot be";
    EXPECT_EQ(restored(sealed("\x00\xc3\x05\x05\x00"
                              "a\x40\x00\x00"s)),
              kBad);
    EXPECT_EQ(restored(sealed("\x00\xc3\x04\x05\x00"
                              "a\x40\x00"s)),
              "aaaaa");
}

TEST(RespDump, RandomBytesUnderARightSealDoNoHarm) {
    Prng prng(11);
    for (int round = 0; round < 20'000; ++round) {
        std::string body("\0\xc3", 2);
        for (size_t n = prng.below(40); n > 0; --n)
            body.push_back(static_cast<char>(prng.below(prng.chance(0.5) ? 256 : 32)));
        EXPECT_LE(restored(sealed(body)).size(), kMost);
    }
}

TEST(RespDump, NoChecksumIsAWrongOne) {
    std::string body("\x00\x00\x0a\x00", 4);
    EXPECT_EQ(restored(sealed(body.substr(0, 2))), "");
    EXPECT_EQ(restored(body + std::string(8, '\0')), kWrong);
}

}  // namespace
}  // namespace asterias::resp
