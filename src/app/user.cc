// asterias user hash: a password in, the line for the file out. It never stands on a command line,
// where ps would show it, and is not echoed.
#include <cstdio>
#include <unistd.h>

#include "app/commands.h"
#include "app/operate.h"
#include "app/secret.h"
#include "app/text.h"
#include "runtime/epoll/password.h"

namespace asterias::app {

int run_user_hash(const UserOptions& options) {
    const Caller caller{"user hash", "--name", options.json};
    const auto password = read_secret(STDIN_FILENO, "Password of " + options.user);
    if (!password) return caller.fail(kUsage, "no password came");
    const auto hash = runtime::hash_password(*password);
    if (!hash) return caller.fail(kUsage, hash.error().context);
    const std::string text = runtime::describe(*hash);
    if (options.json)
        std::printf("{\"user\":%s,\"hash\":%s}\n", json_string(options.user).c_str(),
                    json_string(text).c_str());
    else
        std::printf("%s = \"%s\"\n", json_string(options.user).c_str(), text.c_str());
    return kDone;
}

}  // namespace asterias::app
