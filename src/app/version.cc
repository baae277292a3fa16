#include "app/commands.h"

namespace asterias::app {

std::string version() { return "0.0.1"; }

std::span<const ExitCode> exit_codes() {
    static constexpr ExitCode kAll[] = {
        {kDone, "done"},
        {kFailed, "failed: the same again, later, may help"},
        {kUsage, "wrong use: the command line, or a file that it names"},
        {kUnreachable, "no node was reached"},
        {kCheckFailed,
         "it was answered, and not all is well, not all could be asked, or the key is not there"},
        {kRefused,
         "refused: doing the same again does not help (serve: do not restart it blindly)"},
    };
    return kAll;
}

}  // namespace asterias::app
