// bench/load/etcd_session.h: a Session of the load generator for etcd's gRPC, over HTTP/2 with
// prior knowledge. Incr and SetWait do not exist there.
#pragma once

#include <memory>
#include <string>

#include "app/load/session.h"

namespace asterias::load {

std::unique_ptr<Session> make_etcd_session(std::string authority);

}  // namespace asterias::load
