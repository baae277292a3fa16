#include "app/process.h"

#include <algorithm>
#include <fstream>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace asterias::app {
namespace {

double seconds_of(const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

}  // namespace

edge_resp::Process describe_process() {
    edge_resp::Process process;
    process.id = ::getpid();
    utsname name{};
    if (::uname(&name) == 0)
        process.system = std::string(name.sysname) + " " + name.release + " " + name.machine;
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    process.machine_memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page;
    uint64_t all = 0, resident = 0;
    if (std::ifstream("/proc/self/statm") >> all >> resident) process.memory = resident * page;
    rusage own{}, children{};
    ::getrusage(RUSAGE_SELF, &own);
    ::getrusage(RUSAGE_CHILDREN, &children);
    // The kernel counts it at other moments than the pages.
    process.memory_peak = std::max(process.memory, static_cast<uint64_t>(own.ru_maxrss) * 1024);
    process.user = seconds_of(own.ru_utime);
    process.system_time = seconds_of(own.ru_stime);
    process.children_user = seconds_of(children.ru_utime);
    process.children_system = seconds_of(children.ru_stime);
    return process;
}

}  // namespace asterias::app
