// A compaction reports the first and the last key that it wrote, for listeners of which there are
// none here. RocksDB 7.8 asks for them also when the compaction failed; was the range tombstone
// that it began a table for the last thing in it, then the table has no key, and an assertion ends
// the process. (Later versions ask only after success.) The linker binds the question to these:
// cmake/rooms.cmake, --wrap. As members of CompactionState they take it as their only argument.
#include <rocksdb/slice.h>

namespace asterias::engine {

rocksdb::Slice no_smallest_key(void* job) asm(
    "__wrap__ZN7rocksdb15CompactionState15SmallestUserKeyEv");
rocksdb::Slice no_largest_key(void* job) asm(
    "__wrap__ZN7rocksdb15CompactionState14LargestUserKeyEv");

rocksdb::Slice no_smallest_key(void*) { return {}; }
rocksdb::Slice no_largest_key(void*) { return {}; }

}  // namespace asterias::engine
