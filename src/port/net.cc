#include "port/net.h"

#include <charconv>

namespace asterias::port {

Result<Address> Address::parse(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return fail(Errc::InvalidArgument, "'" + std::string(text) + "' is not HOST:PORT");
    std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    Address address{std::string(host), 0};
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (host.empty() || ec != std::errc{} || end != port.data() + port.size())
        return fail(Errc::InvalidArgument, "'" + std::string(text) + "' is not HOST:PORT");
    return address;
}

}  // namespace asterias::port
