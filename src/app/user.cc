// asterias user hash: a password in, the line for the file out. It never stands on a command line,
// where ps would show it, and is not echoed.
#include <cstdio>
#include <iostream>
#include <string>
#include <termios.h>
#include <unistd.h>

#include "app/commands.h"
#include "runtime/epoll/password.h"
#include "service/node/json.h"

namespace asterias::app {
namespace {

class Silence {
public:
    Silence() : tty_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!tty_) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    ~Silence() {
        if (!tty_) return;
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        std::fputs("\n", stderr);
    }
    bool tty() const { return tty_; }

private:
    termios before_{};
    const bool tty_;
};

}  // namespace

int run_user_hash(const std::string& user) {
    std::string password;
    {
        const Silence silence;
        if (silence.tty()) std::fprintf(stderr, "Password of %s: ", user.c_str());
        std::getline(std::cin, password);
    }
    const auto hash = runtime::hash_password(password);
    if (!hash) {
        std::fprintf(stderr, "asterias user hash: %s\n", hash.error().context.c_str());
        return kUsage;
    }
    std::printf("%s = \"%s\"\n", node::quoted(user).c_str(), runtime::describe(*hash).c_str());
    return kDone;
}

}  // namespace asterias::app
