#include "app/commands.h"

namespace asterias::app {

std::string version() { return "0.0.1"; }

}  // namespace asterias::app
