// service/replica/poison.h: which entry could not be applied on this node, and how often. A failed
// CHECK while applying stops the group on this node; a restart tries once more, and then no more: a
// node must not run into the same wall for ever. The word lies in a small file in the node's
// directory, one per group, until the entry is applied or somebody removes it.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "port/disk.h"

namespace asterias::replica {

struct Poison {
    LogIndex index;
    uint32_t failures = 0;
    std::string why;
    bool operator==(const Poison&) const = default;
};
inline constexpr uint32_t kPoisonFailuresMax = 2;

std::string poison_name(GroupId group);
// nullopt: none. Errors: Corrupt, Unsupported, Io. `disk` outlives the task.
port::Task<Result<std::optional<Poison>>> load_poison(port::Disk& disk, std::string directory,
                                                      GroupId group);
// Durable on completion.
port::Task<Result<void>> store_poison(port::Disk& disk, std::string directory, GroupId group,
                                      Poison poison);
port::Task<Result<void>> clear_poison(port::Disk& disk, std::string directory, GroupId group);

}  // namespace asterias::replica
