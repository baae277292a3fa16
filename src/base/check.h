// base/check.h: CHECK(condition, "why it must hold"): a broken invariant is a bug of ours, never
// bad input. On in every build. A failed CHECK prints and aborts, except inside a CheckTrap, where
// it throws CheckFailed: the group driver applies entries under a trap, so that a poisonous entry
// stops one group and not the node (ARCHITECTURE.md, Errors).
#pragma once

#include <exception>
#include <source_location>
#include <string>

namespace asterias {

class CheckFailed : public std::exception {
public:
    explicit CheckFailed(std::string what) : what_(std::move(what)) {}
    const char* what() const noexcept override { return what_.c_str(); }

private:
    std::string what_;
};

// While one lives, failed CHECKs of this thread throw CheckFailed. Not nestable across co_await.
class CheckTrap {
public:
    CheckTrap();
    ~CheckTrap();
    CheckTrap(const CheckTrap&) = delete;
    CheckTrap& operator=(const CheckTrap&) = delete;
};

[[noreturn]] void check_failed(const char* condition, const char* why,
                               std::source_location where = std::source_location::current());

}  // namespace asterias

#define CHECK(condition, why)                          \
    do {                                               \
        if (!(condition)) [[unlikely]]                 \
            ::asterias::check_failed(#condition, why); \
    } while (false)
