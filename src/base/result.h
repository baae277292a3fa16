// base/result.h: operating failures as values. Protocol outcomes are variants, bugs are CHECKs
// (ARCHITECTURE.md, Errors).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace asterias {

// One enumerator per thing a caller would act on differently.
enum class Errc : unsigned char {
    Corrupt,  // bytes that fail their checksum or grammar
    Io,       // the device failed; never retried (D1)
    NoSpace,  // disk full or reserve reached
    NotFound,
    AlreadyExists,
    InvalidArgument,  // the caller's input; context names the argument
    Unavailable,      // nobody can serve this now; certainly nothing happened
    Timeout,          // the deadline passed
    Limit,            // a named limit was reached; context names it
    Closed,           // connection or component is closing
    Cancelled,
    Unsupported,  // format or version that this build does not know
    Conflict,     // identity, lock or configuration contradicts what is there
};

std::string_view to_string(Errc code);

struct Error {
    Errc code;
    std::string context;  // short, names the thing and where possible the way out

    std::string describe() const;
};

template <typename T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string context) {
    return std::unexpected(Error{code, std::move(context)});
}

}  // namespace asterias

// TRY(expr): the value of a Result, or return its error from this (non-coroutine) function.
// CO_TRY: the same in a coroutine. Both are statement expressions.
#define ASTERIAS_TRY_(expr, ret)                                 \
    __extension__({                                              \
        auto&& try_result_ = (expr);                             \
        if (!try_result_) [[unlikely]]                           \
            ret std::unexpected(std::move(try_result_).error()); \
        std::move(try_result_).value();                          \
    })
#define TRY(expr) ASTERIAS_TRY_(expr, return)
