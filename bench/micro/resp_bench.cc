// What the RESP layer costs per request, without sockets.
#include <string>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "proto/resp/command_table.h"
#include "proto/resp/parser.h"
#include "proto/resp/reply.h"
#include "proto/resp/reply_parser.h"

namespace asterias::resp {
namespace {

constexpr int kPipeline = 64;

std::string set_request(int key, size_t value_bytes) {
    const std::string name = "key:" + std::to_string(100'000'000 + key);
    return "*3\r\n$3\r\nSET\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n$" +
           std::to_string(value_bytes) + "\r\n" + std::string(value_bytes, 'v') + "\r\n";
}

void parse_pipeline_of_sets(benchmark::State& state) {
    std::string stream;
    for (int i = 0; i < kPipeline; ++i)
        stream += set_request(i, static_cast<size_t>(state.range(0)));
    const Bytes input = Bytes::copy(stream);
    Parser parser;
    for (auto _ : state) {
        size_t at = 0;
        for (int i = 0; i < kPipeline; ++i) {
            const Outcome outcome = parser.next(input, at);
            CHECK(std::holds_alternative<Request>(outcome), "the stream holds whole requests");
            benchmark::DoNotOptimize(std::get<Request>(outcome)[2].data());
        }
    }
    state.SetItemsProcessed(state.iterations() * kPipeline);
}
BENCHMARK(parse_pipeline_of_sets)->Arg(16)->Arg(256)->Arg(4096);

void parse_resolve_and_answer_sets(benchmark::State& state) {
    std::string stream;
    for (int i = 0; i < kPipeline; ++i)
        stream += set_request(i, 256);
    const Bytes input = Bytes::copy(stream);
    Parser parser;
    Chain out;
    ReplyWriter writer(out, ProtocolVersion::Resp2);
    for (auto _ : state) {
        size_t at = 0;
        for (int i = 0; i < kPipeline; ++i) {
            const Outcome outcome = parser.next(input, at);
            const auto resolved = resolve_command(std::get<Request>(outcome));
            benchmark::DoNotOptimize(std::get<const CommandSpec*>(resolved));
            writer.ok();
        }
        out.consume(out.size());
    }
    state.SetItemsProcessed(state.iterations() * kPipeline);
}
BENCHMARK(parse_resolve_and_answer_sets);

void find_get(benchmark::State& state) {
    std::string name = "GET";
    for (auto _ : state) {
        benchmark::DoNotOptimize(name.data());
        benchmark::DoNotOptimize(find_command(name));
    }
}
BENCHMARK(find_get);

void write_bulk(benchmark::State& state) {
    const Bytes value = Bytes::copy(std::string(static_cast<size_t>(state.range(0)), 'v'));
    Chain out;
    ReplyWriter writer(out, ProtocolVersion::Resp2);
    for (auto _ : state) {
        for (int i = 0; i < kPipeline; ++i)
            writer.bulk(value);
        out.consume(out.size());
    }
    state.SetItemsProcessed(state.iterations() * kPipeline);
}
BENCHMARK(write_bulk)->Arg(256)->Arg(4096);

void parse_bulk_replies(benchmark::State& state) {
    std::string stream;
    for (int i = 0; i < kPipeline; ++i)
        stream += "$256\r\n" + std::string(256, 'v') + "\r\n";
    const Bytes input = Bytes::copy(stream);
    ReplyParser parser;
    for (auto _ : state) {
        size_t at = 0;
        for (int i = 0; i < kPipeline; ++i)
            benchmark::DoNotOptimize(parser.next(input, at));
    }
    state.SetItemsProcessed(state.iterations() * kPipeline);
}
BENCHMARK(parse_bulk_replies);

}  // namespace
}  // namespace asterias::resp
