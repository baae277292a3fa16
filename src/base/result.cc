#include "base/result.h"

namespace asterias {

std::string_view to_string(Errc code) {
    switch (code) {
        case Errc::Corrupt:
            return "corrupt";
        case Errc::Io:
            return "io";
        case Errc::NoSpace:
            return "no space";
        case Errc::NotFound:
            return "not found";
        case Errc::AlreadyExists:
            return "already exists";
        case Errc::InvalidArgument:
            return "invalid argument";
        case Errc::Unavailable:
            return "unavailable";
        case Errc::Timeout:
            return "timeout";
        case Errc::Limit:
            return "limit";
        case Errc::Closed:
            return "closed";
        case Errc::Cancelled:
            return "cancelled";
        case Errc::Unsupported:
            return "unsupported";
        case Errc::Conflict:
            return "conflict";
    }
    return "?";
}

std::string Error::describe() const { return std::string(to_string(code)) + ": " + context; }

}  // namespace asterias
