// tests/redirect.c: a process whose connections to one local port go to another. Built and
// preloaded by tests/_proxy.py. REDIRECT_FROM and REDIRECT_TO are the two ports.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static in_port_t port_of(const char* name) {
    const char* text = getenv(name);
    return htons((in_port_t)(text ? atoi(text) : 0));
}

int connect(int fd, const struct sockaddr* address, socklen_t bytes) {
    static int (*real)(int, const struct sockaddr*, socklen_t);
    if (!real) *(void**)&real = dlsym(RTLD_NEXT, "connect");
    if (address->sa_family != AF_INET || bytes < sizeof(struct sockaddr_in))
        return real(fd, address, bytes);
    struct sockaddr_in to = *(const struct sockaddr_in*)address;
    if (to.sin_port == port_of("REDIRECT_FROM")) to.sin_port = port_of("REDIRECT_TO");
    return real(fd, (const struct sockaddr*)&to, sizeof(to));
}
