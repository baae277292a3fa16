// bench/sync/sync_bench.cc: what one synced 4 KiB write costs, by how its file was prepared and by
// where it runs. The reason for preallocating segments with zeroes, and for syncing on the shard.
//   sync_bench [DIRECTORY [WRITES]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "port/disk.h"
#include "port/scope.h"
#include "port/sync.h"
#include "runtime/epoll/runtime.h"

namespace {

using namespace asterias;  // NOLINT: a program, not a header

constexpr size_t kWrite = 4096;

struct QuietSink final : LogSink {
    void write(LogLevel, std::string_view, std::string) override {}
    bool enabled(LogLevel) const override { return false; }
};

enum class Prepared : unsigned char { Appended, Reserved, Zeroed };

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

port::Task<void> measure(port::Shard& shard, std::string path, Prepared how, size_t writes,
                         const char* name) {
    std::filesystem::remove(path);
    auto file = std::move(*co_await shard.disk().open(path, port::OpenMode::Create));
    if (how == Prepared::Zeroed && !co_await file->preallocate(writes * kWrite)) std::abort();
    if (how == Prepared::Reserved) {
        const int fd = ::open(path.c_str(), O_RDWR);
        if (::fallocate(fd, 0, 0, static_cast<off_t>(writes * kWrite)) != 0 || ::fsync(fd) != 0)
            std::abort();
        ::close(fd);
    }
    const Bytes block = Bytes::copy(std::string(kWrite, 'b'));
    std::vector<double> micros;
    const double cpu = cpu_seconds();
    for (size_t i = 0; i < writes; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        std::vector<Bytes> pieces(1, block);
        if (!co_await file->write(i * kWrite, std::move(pieces), port::Durability::Synced))
            std::abort();
        micros.push_back(
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
                .count());
    }
    const double cpu_each = (cpu_seconds() - cpu) * 1e6 / static_cast<double>(writes);
    std::ranges::sort(micros);
    std::printf("%-34s median %6.0f us  p99 %6.0f us  CPU %5.1f us\n", name, micros[writes / 2],
                micros[writes * 99 / 100], cpu_each);
}

port::Task<void> all(port::Shard& shard, runtime::Runtime& runtime, std::string path, size_t writes,
                     bool on_shard) {
    if (on_shard) {
        co_await measure(shard, path, Prepared::Appended, writes, "append, on the shard");
        co_await measure(shard, path, Prepared::Reserved, writes, "fallocate only, on the shard");
        co_await measure(shard, path, Prepared::Zeroed, writes, "preallocated, on the shard");
    } else {
        co_await measure(shard, path, Prepared::Zeroed, writes, "preallocated, on the disk thread");
    }
    runtime.stop();
}

void run(const std::string& path, size_t writes, bool on_shard) {
    Registry registry;
    QuietSink sink;
    runtime::RuntimeOptions options;
    options.inline_sync_limit = on_shard ? Duration::max() : Duration::zero();
    auto runtime = std::move(*runtime::Runtime::create(options, registry, Log(sink, "bench")));
    std::unique_ptr<port::Scope> scope;
    runtime->run([&](port::Shard& shard) {
        scope = std::make_unique<port::Scope>(shard);
        scope->spawn("bench", all(shard, *runtime, path, writes, on_shard));
    });
}

}  // namespace

int main(int argc, char** argv) {
    const std::string path = std::string(argc > 1 ? argv[1] : ".") + "/sync_bench.tmp";
    const size_t writes = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 2000;
    run(path, writes, true);
    run(path, writes, false);
    std::filesystem::remove(path);
}
