#include "app/secret.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <termios.h>
#include <unistd.h>

namespace asterias::app {
namespace {

constexpr char kInterrupt = '\x03';

// The terminal echoes nothing, and Ctrl-C is a letter: a process that died of it would leave the
// terminal silent.
class Silence {
public:
    explicit Silence(int fd) : fd_(fd), tty_(::tcgetattr(fd, &before_) == 0) {
        if (!tty_) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
        ::tcsetattr(fd_, TCSAFLUSH, &silent);
    }
    ~Silence() {
        if (!tty_) return;
        ::tcsetattr(fd_, TCSAFLUSH, &before_);
        std::fputs("\n", stderr);
    }
    bool tty() const { return tty_; }

private:
    termios before_{};
    const int fd_;
    const bool tty_;
};

}  // namespace

std::optional<std::string> read_secret(int fd, const std::string& prompt) {
    const Silence silence(fd);
    if (silence.tty()) std::fprintf(stderr, "%s: ", prompt.c_str());
    std::string line;
    // One byte at a time: what follows the line is somebody else's.
    for (char c = 0; c != '\n';) {
        const ssize_t n = ::read(fd, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 && line.empty()) return std::nullopt;
        if (n <= 0) break;
        if (silence.tty() && c == kInterrupt) return std::nullopt;
        if (c != '\n') line += c;
    }
    return line;
}

std::optional<std::string> ask_secret(const std::string& prompt) {
    const int tty = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) return std::nullopt;
    auto secret = read_secret(tty, prompt);
    ::close(tty);
    return secret;
}

Result<std::string> secret_in(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    if (!in || !std::getline(in, line))
        return fail(Errc::InvalidArgument,
                    path + ": " + (in.eof() ? "it is empty" : std::strerror(errno)));
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

}  // namespace asterias::app
