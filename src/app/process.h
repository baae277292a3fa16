// app/process.h: what this process takes of its machine, as INFO tells it.
#pragma once

#include "edge/resp/door.h"

namespace asterias::app {

// What the system does not tell is 0.
edge_resp::Process describe_process();

}  // namespace asterias::app
