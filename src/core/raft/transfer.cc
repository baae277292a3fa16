// Not offered yet: changes and transfers are refused.
#include "core/raft/impl.h"

namespace asterias::raft {

ChangeOutcome Core::change(Instant, const Change&) { return Refused{"not offered yet"}; }
ChangeOutcome Core::transfer(Instant, NodeId) { return Refused{"not offered yet"}; }

}  // namespace asterias::raft
