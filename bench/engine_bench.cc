// bench_engine: what a put and a point read cost in each engine. Run on an otherwise idle machine:
//   cmake --build build/release --target bench_engine && build/release/bench_engine
#include <cstdlib>
#include <filesystem>
#include <string>

#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "engine/mem/mem.h"
#include "engine/rocks/engine.h"

namespace {

using namespace asterias;
constexpr uint64_t kKeys = 1'000'000;
constexpr size_t kBatch = 50;

Bytes key(uint64_t number) {
    std::string text(16, '0');
    for (size_t i = 16; number > 0; number /= 10)
        text[--i] = static_cast<char>('0' + number % 10);
    return Bytes::copy("k:" + text);
}

// Half random, half constant: compresses about 2:1, as small records do.
Bytes value(Prng& prng) {
    std::string text(256, 'v');
    for (size_t i = 0; i < 128; ++i)
        text[i] = static_cast<char>(prng.next());
    return Bytes::copy(text);
}

struct Disk {
    Disk() {
        const char* root = std::getenv("BENCH_DIR");
        std::string name = std::string(root ? root : "/tmp") + "/bench_engine_XXXXXX";
        if (mkdtemp(name.data())) directory = name;
    }
    ~Disk() { std::filesystem::remove_all(directory); }
    std::string directory;
};

void put_all(benchmark::State& state, port::Engine& engine, bool flush) {
    Prng prng(1);
    std::vector<port::EngineBatch> batches(200);
    for (auto& batch : batches)
        for (size_t i = 0; i < kBatch; ++i)
            batch.put(key(prng.below(kKeys)), value(prng));
    size_t next = 0;
    for (auto _ : state) {
        while (!engine.write(batches[next])) {
        }
        next = (next + 1) % batches.size();
        if (flush && next == 0) engine.request_flush();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatch));
}

void fill(port::Engine& engine, uint64_t keys) {
    Prng prng(2);
    for (uint64_t i = 0; i < keys;) {
        port::EngineBatch batch;
        for (size_t k = 0; k < kBatch; ++k)
            batch.put(key(i++), value(prng));
        while (!engine.write(batch)) {
        }
    }
}

void get_all(benchmark::State& state, port::Engine& engine, uint64_t keys) {
    Prng prng(3);
    std::vector<Bytes> wanted;
    for (int i = 0; i < 4096; ++i)
        wanted.push_back(key(prng.below(keys)));
    size_t next = 0;
    uint64_t blocked = 0;
    for (auto _ : state) {
        auto found = engine.try_get(wanted[next].view());
        blocked += std::holds_alternative<port::WouldBlock>(found) ? 1 : 0;
        benchmark::DoNotOptimize(found);
        next = (next + 1) % wanted.size();
    }
    state.counters["blocked"] = static_cast<double>(blocked);
}

void rocks_put(benchmark::State& state) {
    Disk disk;
    auto engine = engine::open_rocks({.directory = disk.directory});
    put_all(state, **engine, state.range(0) != 0);
}
BENCHMARK(rocks_put)->Arg(0)->Arg(1)->UseRealTime()->MeasureProcessCPUTime();

void rocks_get_memtable(benchmark::State& state) {
    Disk disk;
    auto engine = engine::open_rocks({.directory = disk.directory});
    fill(**engine, 20'000);
    get_all(state, **engine, 20'000);
}
BENCHMARK(rocks_get_memtable);

void rocks_get_cached_block(benchmark::State& state) {
    Disk disk;
    engine::RocksOptions options{.directory = disk.directory, .block_cache_bytes = 512 << 20};
    fill(**engine::open_rocks(options), 200'000);
    auto engine = engine::open_rocks(options);
    auto snapshot = (*engine)->snapshot();
    Prng prng(3);
    for (int i = 0; i < 4096; ++i)
        benchmark::DoNotOptimize(snapshot->get(key(prng.below(200'000)).view()));
    get_all(state, **engine, 200'000);
}
BENCHMARK(rocks_get_cached_block);

void mem_put(benchmark::State& state) {
    engine::MemImage image;
    auto engine = engine::open_mem(image, {});
    put_all(state, **engine, false);
}
BENCHMARK(mem_put);

void mem_get(benchmark::State& state) {
    engine::MemImage image;
    auto engine = engine::open_mem(image, {});
    fill(**engine, 20'000);
    get_all(state, **engine, 20'000);
}
BENCHMARK(mem_get);

// Prints what an open, empty engine costs in memory, then ends.
void rocks_idle_memory(benchmark::State& state) {
    Disk disk;
    auto engine = engine::open_rocks({.directory = disk.directory});
    for (auto _ : state) {
    }
    std::system("grep -E '^(Pss|Pss_Anon|Private_Dirty):' /proc/$PPID/smaps_rollup");
}
BENCHMARK(rocks_idle_memory)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
