#include "runtime/epoll/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/epoll/disk.h"

namespace asterias::runtime {
namespace {

constexpr size_t kPiecesPerWrite = 64;
constexpr size_t kZeroBytes = 1024 * 1024;

// Marks a file as busy for the life of one write.
class InFlight {
public:
    explicit InFlight(bool& flag) : flag_(flag) {
        CHECK(!flag_, "at most one write or sync of a file is in flight");
        flag_ = true;
    }
    ~InFlight() { flag_ = false; }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

private:
    bool& flag_;
};

struct Timed {
    Result<void> result;
    Duration took{};
};

}  // namespace

EpollFile::EpollFile(EpollDisk& disk, Fd fd, std::string path)
    : disk_(disk), open_(std::make_shared<const Open>(std::move(fd), std::move(path))) {}

Result<void> EpollFile::write_pieces(const Open& file, uint64_t offset,
                                     const std::vector<Bytes>& pieces) {
    size_t piece = 0;  // the first one not yet written in full
    size_t skip = 0;   // of that piece
    while (piece < pieces.size()) {
        std::array<iovec, kPiecesPerWrite> vectors;
        int count = 0;
        for (size_t i = piece; i < pieces.size() && count < static_cast<int>(kPiecesPerWrite);
             ++i) {
            const size_t from = i == piece ? skip : 0;
            vectors[count++] = {const_cast<uint8_t*>(pieces[i].data()) + from,
                                pieces[i].size() - from};
        }
        const ssize_t n =
            ::pwritev(file.fd.get(), vectors.data(), count, static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno_fail(errno, "write " + file.path);
        }
        auto written = static_cast<size_t>(n);
        offset += written;
        while (piece < pieces.size() && written >= pieces[piece].size() - skip) {
            written -= pieces[piece].size() - skip;
            skip = 0;
            ++piece;
        }
        skip += written;
    }
    return {};
}

Result<void> EpollFile::sync_data(const Open& file) {
    if (MUTANT(epoll_sync_skipped)) return {};
    // fdatasync also carries a changed length; a failure is final (reliability rule 36), and so is
    // an interruption: what reached the device is unknown.
    if (::fdatasync(file.fd.get()) != 0) {
        Error why = errno_error(errno, "sync " + file.path);
        if (why.code != Errc::NoSpace) why.code = Errc::Io;
        return std::unexpected(std::move(why));
    }
    return {};
}

port::Task<Result<void>> EpollFile::write(uint64_t offset, std::vector<Bytes> pieces,
                                          port::Durability durability) {
    // Goes to memory only, so it need not leave the shard; but while the device is slow even that
    // may wait for it.
    if (durability == port::Durability::Volatile && disk_.sync_inline()) {
        const InFlight mark(in_flight_);
        co_return write_pieces(*open_, offset, pieces);
    }
    const bool synced = durability == port::Durability::Synced;
    auto job = [file = open_, offset, pieces = std::move(pieces), synced]() -> Timed {
        const Instant begin = monotonic_now();
        auto result = write_pieces(*file, offset, pieces);
        if (result && synced) result = sync_data(*file);
        return {std::move(result), monotonic_now() - begin};
    };
    const InFlight mark(in_flight_);
    if (disk_.sync_inline()) {
        Timed done = job();
        disk_.record_sync(done.took, true);
        co_return std::move(done.result);
    }
    Timed done =
        co_await run_on(disk_.sync_thread(), disk_.shard(),
                        [&flag = disk_.thread_sync_flag(), job = std::move(job)]() mutable {
                            flag.begin();
                            Timed timed = job();
                            flag.end();
                            return timed;
                        });
    if (synced) disk_.record_sync(done.took, false);
    co_return std::move(done.result);
}

port::Task<Result<void>> EpollFile::sync() { return write(0, {}, port::Durability::Synced); }

Result<Bytes> EpollFile::read_blocking(const Open& file, uint64_t offset, size_t count) {
    BytesBuilder bytes(count);
    while (bytes.size() < count) {
        const size_t have = bytes.size();
        uint8_t* at = bytes.extend(count - have);
        const ssize_t n =
            ::pread(file.fd.get(), at, count - have, static_cast<off_t>(offset + have));
        bytes.truncate(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
        if (n == 0) break;
        if (n < 0 && errno != EINTR) return errno_fail(errno, "read " + file.path);
    }
    return bytes.take();
}

port::Task<Result<Bytes>> EpollFile::read(uint64_t offset, size_t count) {
    struct stat status{};
    if (::fstat(open_->fd.get(), &status) != 0) co_return errno_fail(errno, "read " + open_->path);
    const auto size = static_cast<uint64_t>(status.st_size);
    count = std::min<uint64_t>(count, size - std::min(size, offset));
    if (count == 0) co_return Bytes();

    // What is in the page cache costs no other thread.
    BytesBuilder bytes(count);
    const iovec vector{bytes.extend(count), count};
    const ssize_t n =
        ::preadv2(open_->fd.get(), &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (n == static_cast<ssize_t>(count)) co_return bytes.take();
    co_return co_await run_on(
        disk_.shard().common().blocking, disk_.shard(),
        [file = open_, offset, count] { return read_blocking(*file, offset, count); });
}

port::Task<Result<uint64_t>> EpollFile::size() {
    struct stat status{};
    if (::fstat(open_->fd.get(), &status) != 0)
        co_return errno_fail(errno, "size of " + open_->path);
    co_return static_cast<uint64_t>(status.st_size);
}

Result<void> EpollFile::write_zeroes(const Open& file, uint64_t from, uint64_t to) {
    const std::vector<uint8_t> zeroes(std::min<uint64_t>(kZeroBytes, to - std::min(from, to)));
    while (from < to) {
        const ssize_t n =
            ::pwrite(file.fd.get(), zeroes.data(), std::min<uint64_t>(zeroes.size(), to - from),
                     static_cast<off_t>(from));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_fail(errno, "preallocate " + file.path);
        from += static_cast<uint64_t>(n);
    }
    return {};
}

// What lies below the size need not have been written: a sparse copy, or extents that were only
// reserved. Filesystems that do not tell have no holes.
Result<void> EpollFile::fill_holes(const Open& file, uint64_t end) {
    for (uint64_t at = 0; at < end;) {
        const off_t hole = ::lseek(file.fd.get(), static_cast<off_t>(at), SEEK_HOLE);
        if (hole < 0 || static_cast<uint64_t>(hole) >= end) break;
        const off_t data = ::lseek(file.fd.get(), hole, SEEK_DATA);
        at = data < 0 ? end : std::min(end, static_cast<uint64_t>(data));
        if (auto filled = write_zeroes(file, static_cast<uint64_t>(hole), at); !filled)
            return filled;
    }
    return {};
}

// Reserving alone is not enough: writing to a reserved extent for the first time changes metadata,
// and every such sync pays for a commit of the filesystem's own journal. The size follows the
// zeroes and not the reservation, so that whoever is killed on the way leaves a file that says how
// far it came.
Result<void> EpollFile::fill_with_zeroes(const Open& file, uint64_t bytes) {
    struct stat status{};
    if (::fstat(file.fd.get(), &status) != 0) return errno_fail(errno, "preallocate " + file.path);
    const auto size = static_cast<uint64_t>(status.st_size);
    if (auto filled = fill_holes(file, std::min(size, bytes)); !filled) return filled;
    if (size < bytes) {
        if (::fallocate(file.fd.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(size),
                        static_cast<off_t>(bytes - size)) != 0 &&
            errno != EOPNOTSUPP)
            return errno_fail(errno, "preallocate " + file.path);
        if (auto filled = write_zeroes(file, size, bytes); !filled) return filled;
    }
    // Also if nothing was left to do: who did it may have died before its sync.
    if (::fsync(file.fd.get()) != 0) return errno_fail(errno, "sync " + file.path);
    return {};
}

port::Task<Result<void>> EpollFile::preallocate(uint64_t bytes) {
    const InFlight mark(in_flight_);
    co_return co_await run_on(disk_.shard().common().blocking, disk_.shard(),
                              [file = open_, bytes] { return fill_with_zeroes(*file, bytes); });
}

}  // namespace asterias::runtime
