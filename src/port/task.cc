#include "port/task.h"

#include <array>
#include <new>

namespace asterias::port {
namespace {
// Size classes of 64 bytes up to 1 KiB; larger frames go to the heap. Lists are per thread, and a
// frame that dies on another thread (a node being torn down) simply changes lists.
constexpr size_t kStep = 64;
constexpr size_t kClasses = 16;
constexpr size_t kKeep = 1024;  // frames kept per class

struct Free {
    Free* next;
};
struct Lists {
    std::array<Free*, kClasses> head{};
    std::array<size_t, kClasses> count{};
    ~Lists() {
        for (auto* list : head)
            while (list)
                ::operator delete(std::exchange(list, list->next));
    }
};
thread_local Lists lists;
}  // namespace

void* allocate_frame(size_t bytes) {
    const size_t cls = (bytes - 1) / kStep;
    if (cls >= kClasses) return ::operator new(bytes);
    if (Free* frame = lists.head[cls]) {
        lists.head[cls] = frame->next;
        --lists.count[cls];
        return frame;
    }
    return ::operator new((cls + 1) * kStep);
}

void free_frame(void* frame, size_t bytes) noexcept {
    const size_t cls = (bytes - 1) / kStep;
    if (cls >= kClasses || lists.count[cls] >= kKeep) return ::operator delete(frame);
    lists.head[cls] = new (frame) Free{lists.head[cls]};
    ++lists.count[cls];
}

}  // namespace asterias::port
