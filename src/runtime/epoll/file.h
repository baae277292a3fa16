// runtime/epoll/file.h: one open file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "port/disk.h"
#include "runtime/epoll/system.h"

namespace asterias::runtime {

class EpollDisk;

class EpollFile final : public port::File {
public:
    EpollFile(EpollDisk& disk, Fd fd, std::string path);

    port::Task<Result<void>> write(uint64_t offset, std::vector<Bytes> pieces,
                                   port::Durability durability) override;
    port::Task<Result<void>> sync() override;
    port::Task<Result<Bytes>> read(uint64_t offset, size_t count) override;
    port::Task<Result<uint64_t>> size() override;
    port::Task<Result<void>> preallocate(uint64_t bytes) override;

private:
    // Shared with jobs on other threads: a file may be closed while one is running.
    struct Open {
        Fd fd;
        std::string path;
    };
    static Result<void> write_pieces(const Open& file, uint64_t offset,
                                     const std::vector<Bytes>& pieces);
    static Result<void> sync_data(const Open& file);
    static Result<Bytes> read_blocking(const Open& file, uint64_t offset, size_t count);
    static Result<void> write_zeroes(const Open& file, uint64_t from, uint64_t to);
    static Result<void> fill_holes(const Open& file, uint64_t end);
    static Result<void> fill_with_zeroes(const Open& file, uint64_t bytes);

    EpollDisk& disk_;
    std::shared_ptr<const Open> open_;
    bool in_flight_ = false;
};

}  // namespace asterias::runtime
