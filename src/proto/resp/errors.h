// proto/resp/errors.h: error replies whose exact text clients and test suites compare (Redis 7.0).
#pragma once

#include <string_view>

namespace asterias::resp {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kIncrementOverflow = "ERR increment or decrement would overflow";
// DECRBY of the smallest integer, which has no negative.
inline constexpr std::string_view kDecrementOverflow = "ERR decrement would overflow";
inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kStringTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
inline constexpr std::string_view kBusyKey = "BUSYKEY Target key name already exists.";
inline constexpr std::string_view kWrongDump = "ERR DUMP payload version or checksum are wrong";
inline constexpr std::string_view kDbIndexOutOfRange = "ERR DB index is out of range";
inline constexpr std::string_view kAuthenticationRequired = "NOAUTH Authentication required.";
inline constexpr std::string_view kHelloUnauthenticated =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    "protocol version at the same time";
inline constexpr std::string_view kWrongPassword =
    "WRONGPASS invalid username-password pair or user is disabled.";
inline constexpr std::string_view kNoPasswordConfigured =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";
inline constexpr std::string_view kUnsupportedProtocol = "NOPROTO unsupported protocol version";
inline constexpr std::string_view kProtocolNotInteger =
    "ERR Protocol version is not an integer or out of range";
inline constexpr std::string_view kClientNameCharacters =
    "ERR Client names cannot contain spaces, newlines or special characters.";
// Ours: Redis takes any length.
inline constexpr std::string_view kClientNameLength = "ERR Client names have at most 256 bytes.";

}  // namespace asterias::resp
