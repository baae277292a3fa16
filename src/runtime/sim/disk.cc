#include "runtime/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "port/sync.h"

namespace asterias::sim {
namespace {

std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string without_trailing_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    return path == "." ? "" : path;
}

}  // namespace

// --- content -----------------------------------------------------------------------------------

void DiskImage::Content::resize(uint64_t bytes) {
    if (bytes < size_) {
        pages_.erase(pages_.lower_bound((bytes + kPage - 1) / kPage), pages_.end());
        if (auto last = pages_.find(bytes / kPage); last != pages_.end())
            std::fill(last->second.begin() + static_cast<ptrdiff_t>(bytes % kPage),
                      last->second.end(), uint8_t{0});
    }
    size_ = bytes;
}

void DiskImage::Content::read(uint64_t offset, uint8_t* out, size_t count) const {
    while (count > 0) {
        const size_t in_page = offset % kPage;
        const size_t n = std::min(count, kPage - in_page);
        if (auto page = pages_.find(offset / kPage); page != pages_.end())
            std::memcpy(out, page->second.data() + in_page, n);
        else
            std::memset(out, 0, n);
        offset += n, out += n, count -= n;
    }
}

void DiskImage::Content::write(uint64_t offset, const uint8_t* in, size_t count) {
    size_ = std::max(size_, offset + count);
    while (count > 0) {
        const size_t in_page = offset % kPage;
        const size_t n = std::min(count, kPage - in_page);
        auto [page, fresh] = pages_.try_emplace(offset / kPage);
        if (fresh) page->second.fill(0);
        std::memcpy(page->second.data() + in_page, in, n);
        offset += n, in += n, count -= n;
    }
}

// --- one file ----------------------------------------------------------------------------------

void DiskImage::Inode::save_base(uint64_t offset, size_t count) {
    for (uint64_t s = offset / kSectorBytes; s * kSectorBytes < offset + count; ++s) {
        auto [sector, fresh] = base.try_emplace(s);
        if (fresh) current.read(s * kSectorBytes, sector->second.data(), kSectorBytes);
    }
}

void DiskImage::Inode::write(uint64_t id, uint64_t offset, Bytes data) {
    save_base(offset, data.size());
    current.write(offset, data.data(), data.size());
    recent.emplace(id, offset);
    if (recent.size() > kRecentWrites) recent.erase(recent.begin());
    unsynced.push_back({id, offset, std::move(data)});
}

void DiskImage::Inode::sync_through(uint64_t id) {
    size_t done = 0;
    for (; done < unsynced.size() && unsynced[done].id <= id; ++done) {
        const Write& w = unsynced[done];
        for (uint64_t at = w.offset; at < w.offset + w.data.size();) {
            const uint64_t sector = at / kSectorBytes, in_sector = at % kSectorBytes;
            const size_t n =
                std::min<uint64_t>(kSectorBytes - in_sector, w.offset + w.data.size() - at);
            if (forgotten.erase(sector))  // dirty again: it is written as it stands
                current.read(sector * kSectorBytes, base.at(sector).data(), kSectorBytes);
            else
                std::memcpy(base.at(sector).data() + in_sector, w.data.data() + (at - w.offset), n);
            at += n;
        }
    }
    unsynced.erase(unsynced.begin(), unsynced.begin() + static_cast<ptrdiff_t>(done));
    if (unsynced.empty())
        std::erase_if(base, [&](const auto& s) { return !forgotten.contains(s.first); });
    durable_size = current.size();
}

void DiskImage::Inode::forget() {
    for (const Write& w : unsynced)
        for (uint64_t s = w.offset / kSectorBytes; s * kSectorBytes < w.offset + w.data.size(); ++s)
            forgotten.insert(s);
    unsynced.clear();
}

void DiskImage::Inode::settle(Prng& prng, CrashLoss& loss) {
    const uint64_t size_before = current.size();
    for (const auto& [number, sector] : base) {
        const bool left_behind = forgotten.contains(number);
        if (left_behind && prng.chance(0.5)) continue;
        current.write(number * kSectorBytes, sector.data(), kSectorBytes);
        loss.writes += left_behind;
        loss.bytes += left_behind ? kSectorBytes : 0;
    }
    current.resize(durable_size);
    if (size_before > durable_size && prng.chance(0.5))
        current.resize(prng.between(durable_size, size_before));
    bool lost_one = false;
    for (const Write& w : unsynced) {
        // All, nothing, or each sector by itself: a uniform coin per sector would hardly ever keep
        // a long write whole.
        const uint64_t fate = prng.below(4);
        uint64_t lost = 0;
        for (uint64_t at = w.offset; at < w.offset + w.data.size();) {
            const size_t n =
                std::min<uint64_t>(kSectorBytes - at % kSectorBytes, w.offset + w.data.size() - at);
            if (fate == 0 || (fate >= 2 && prng.chance(0.5)))
                current.write(at, w.data.data() + (at - w.offset), n);
            else
                lost += n;
            at += n;
        }
        loss.holes += lost == 0 && lost_one;
        lost_one = lost_one || lost > 0;
        loss.writes += lost > 0;
        loss.torn += lost > 0 && lost < w.data.size();
        loss.bytes += lost;
    }
    unsynced.clear();
    base.clear();
    forgotten.clear();
    durable_size = current.size();
}

// --- the image ---------------------------------------------------------------------------------

void DiskImage::DirectoryOp::apply(Names& names) const {
    if (kind != Kind::Create && kind != Kind::Rename) {
        names.erase(to);
        return;
    }
    // A file has one name, even when an earlier rename of it is among what was lost.
    if (kind == Kind::Rename)
        std::erase_if(names, [&](const auto& n) { return n.second == inode; });
    names[to] = inode;
}

void DiskImage::change(DirectoryOp op) {
    op.apply(names_);
    unsynced_ops_.push_back(std::move(op));
}

void DiskImage::sync_directory(const std::string& path) {
    std::erase_if(unsynced_ops_, [&](const DirectoryOp& op) {
        if (parent_of(op.to) != path) return false;
        op.apply(durable_names_);
        return true;
    });
}

std::set<DiskImage::Inode*> DiskImage::inodes() const {
    std::set<Inode*> all;
    for (const Names* names : {&names_, &durable_names_})
        for (const auto& [path, inode] : *names)
            all.insert(inode.get());
    for (const DirectoryOp& op : unsynced_ops_)
        all.insert(op.inode.get());
    all.erase(nullptr);
    return all;
}

CrashLoss DiskImage::crash(Prng& prng) {
    CrashLoss loss;
    for (const DirectoryOp& op : unsynced_ops_) {
        if (prng.chance(0.5))
            op.apply(durable_names_);
        else
            ++loss.directory_operations;
    }
    unsynced_ops_.clear();
    names_ = durable_names_;
    // By name, not by address: the draws must not depend on where inodes were allocated.
    std::set<Inode*> settled;
    for (const auto& [path, inode] : names_)
        if (settled.insert(inode.get()).second) inode->settle(prng, loss);
    kill();
    return loss;
}

void DiskImage::kill() {
    locks_.clear();
    ++boot_;
}

std::vector<std::string> DiskImage::paths() const {
    std::vector<std::string> all;
    for (const auto& [path, inode] : names_)
        all.push_back(path);
    return all;
}

std::optional<Bytes> DiskImage::content(const std::string& path) const {
    auto found = names_.find(path);
    if (found == names_.end()) return std::nullopt;
    const Content& content = found->second->current;
    if (content.size() == 0) return Bytes();
    BytesBuilder out(content.size());
    content.read(0, out.extend(content.size()), content.size());
    return out.take();
}

bool DiskImage::overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
    auto found = names_.find(path);
    if (found == names_.end() || offset + bytes.size() > found->second->current.size())
        return false;
    Inode& inode = *found->second;
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
    inode.current.write(offset, data, bytes.size());
    for (uint64_t i = 0; i < bytes.size(); ++i)
        if (auto base = inode.base.find((offset + i) / kSectorBytes); base != inode.base.end())
            base->second[(offset + i) % kSectorBytes] = data[i];
    return true;
}

bool DiskImage::flip(const std::string& path, uint64_t offset, uint8_t mask) {
    auto found = names_.find(path);
    if (found == names_.end() || offset >= found->second->current.size()) return false;
    uint8_t byte = 0;
    found->second->current.read(offset, &byte, 1);
    const char flipped = static_cast<char>(byte ^ mask);
    return overwrite(path, offset, {&flipped, 1});
}

bool DiskImage::truncate(const std::string& path, uint64_t bytes) {
    auto found = names_.find(path);
    if (found == names_.end() || bytes > found->second->current.size()) return false;
    found->second->current.resize(bytes);
    found->second->durable_size = bytes;
    return true;
}

void DiskImage::erase(const std::string& path) {
    names_.erase(path);
    durable_names_.erase(path);
}

void DiskImage::put(const std::string& path, std::string_view bytes) {
    auto inode = std::make_shared<Inode>();
    inode->current.write(0, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    inode->durable_size = bytes.size();
    names_[path] = durable_names_[path] = std::move(inode);
}

std::string DiskImage::rot(const std::string& directory, Prng& prng, uint64_t within) {
    constexpr uint64_t kSparedOfAll = 64;
    constexpr size_t kSparedOfEach = 4;
    std::vector<std::pair<std::string, uint64_t>> candidates;  // and how much of it is old enough
    uint64_t newest_write = 0;
    for (const auto& [path, inode] : names_) {
        uint64_t old = inode->current.size();
        size_t newest = inode->recent.size();
        for (const auto& [id, offset] : inode->recent)
            if (id + kSparedOfAll >= next_write_ || newest-- <= kSparedOfEach)
                old = std::min(old, offset);
        if (!path.starts_with(directory) || old == 0) continue;
        if (within < UINT64_MAX) {
            const uint64_t last = inode->recent.empty() ? 0 : inode->recent.rbegin()->first;
            if (last <= newest_write) continue;
            newest_write = last;
            candidates.clear();
        }
        candidates.emplace_back(path, old);
    }
    if (candidates.empty()) return {};
    const auto& [path, old] = candidates[prng.below(candidates.size())];
    const uint64_t at = old - 1 - prng.below(std::min(old, within));
    flip(path, at, static_cast<uint8_t>(1u << prng.below(8)));
    return path + " at byte " + std::to_string(at);
}

void DiskImage::assign(const DiskImage& other) {
    names_.clear();
    durable_names_.clear();
    unsynced_ops_.clear();
    directories_ = other.directories_;
    for (const std::string& path : other.paths())
        put(path, other.content(path)->view());
    next_write_ = std::max(next_write_, other.next_write_);
}

uint64_t DiskImage::used_bytes() const {
    uint64_t used = 0;
    for (const Inode* inode : inodes())
        used += inode->current.size();
    return used;
}

uint64_t DiskImage::unsynced_writes() const {
    uint64_t count = 0;
    for (const Inode* inode : inodes())
        count += inode->unsynced.size() + inode->forgotten.size();
    return count;
}

// --- one boot's view ---------------------------------------------------------------------------

class SimLock final : public port::FileLock {
public:
    SimLock(DiskImage& image, std::string path)
        : image_(image), path_(std::move(path)), boot_(image.boot_) {}
    ~SimLock() override {
        if (image_.boot_ == boot_) image_.locks_.erase(path_);
    }

private:
    DiskImage& image_;
    const std::string path_;
    const uint64_t boot_;
};

class SimFile final : public port::File {
public:
    SimFile(SimDisk& disk, DiskImage::InodePtr inode, bool writable)
        : disk_(disk), inode_(std::move(inode)), writable_(writable) {}

    port::Task<Result<void>> write(uint64_t offset, std::vector<Bytes> pieces,
                                   port::Durability durability) override {
        CHECK(writable_, "a file opened for reading is not written");
        Busy busy(*this);
        BytesBuilder joined;
        for (const Bytes& piece : pieces)
            joined.append(piece.view());
        const uint64_t end = offset + joined.size();
        const uint64_t size = inode_->current.size();
        if (end > size && !disk_.fits(end - size))
            co_return fail(Errc::NoSpace, "simulated disk is full");

        const uint64_t id = disk_.image_.next_write_++;
        if (auto& told = disk_.image_.lie_; told && told->about == inode_) ++told->writes_since;
        const bool fails = disk_.prng_.chance(disk_.faults_.write_error);
        DiskImage::InodePtr landed = inode_;
        if (fails)
            joined.truncate(disk_.prng_.below(joined.size() + 1));
        else if (end <= size && disk_.image_.lie_ && disk_.image_.lie_->pending)
            landed = lie(offset, joined.size());
        else if (end <= size && disk_.prng_.chance(disk_.faults_.misdirected))
            landed = misdirect(offset, joined.size());
        // From here on a crash may find any part of it, completed or not.
        if (landed) landed->write(id, offset, joined.take());
        co_await port::sleep(disk_.shard_, disk_.draw_with_stall(disk_.faults_.write_latency));
        ++disk_.counts_.writes;
        if (fails) {
            ++disk_.counts_.write_errors;
            co_return fail(Errc::Io, "simulated write error");
        }
        if (durability == port::Durability::Volatile) co_return Result<void>();
        auto synced = co_await sync_inode(id);
        if (synced && landed && landed != inode_) landed->sync_through(id);
        co_return synced;
    }

    port::Task<Result<void>> sync() override {
        Busy busy(*this);
        co_return co_await sync_inode(disk_.image_.next_write_ - 1);
    }

    port::Task<Result<Bytes>> read(uint64_t offset, size_t count) override {
        co_await port::sleep(disk_.shard_, disk_.draw_with_stall(disk_.faults_.read_latency));
        ++disk_.counts_.reads;
        if (disk_.prng_.chance(disk_.faults_.read_error)) {
            ++disk_.counts_.read_errors;
            co_return fail(Errc::Io, "simulated read error");
        }
        const uint64_t size = inode_->current.size();
        if (offset >= size || count == 0) co_return Bytes();
        count = std::min<uint64_t>(count, size - offset);
        if (count > 0 && disk_.prng_.chance(disk_.faults_.bit_rot)) rot(offset, count);
        BytesBuilder out(count);
        inode_->current.read(offset, out.extend(count), count);
        co_return out.take();
    }

    port::Task<Result<uint64_t>> size() override { co_return inode_->current.size(); }

    port::Task<Result<void>> preallocate(uint64_t bytes) override {
        Busy busy(*this);
        const uint64_t size = inode_->current.size();
        if (bytes > size && !disk_.fits(bytes - size))
            co_return fail(Errc::NoSpace, "simulated disk is full");
        // The size follows the zeroes: who dies on the way leaves a part.
        if (bytes > size) inode_->current.resize(size + (bytes - size) / 2);
        co_await port::sleep(disk_.shard_, disk_.draw_with_stall(disk_.faults_.write_latency));
        if (bytes > inode_->current.size()) inode_->current.resize(bytes);
        co_return co_await sync_inode(disk_.image_.next_write_ - 1);
    }

private:
    struct Busy {
        explicit Busy(SimFile& f) : file(f) {
            CHECK(!file.busy_, "at most one write or sync of a file is in flight");
            file.busy_ = true;
        }
        ~Busy() { file.busy_ = false; }
        Busy(const Busy&) = delete;
        SimFile& file;
    };

    port::Task<Result<void>> sync_inode(uint64_t through) {
        const bool fails = disk_.prng_.chance(disk_.faults_.sync_error);
        co_await port::sleep(disk_.shard_, disk_.draw_with_stall(disk_.faults_.sync_latency));
        ++disk_.counts_.syncs;
        if (fails) {
            ++disk_.counts_.sync_errors;
            inode_->forget();
            co_return fail(Errc::Io, "simulated sync error");
        }
        inode_->sync_through(through);
        co_return Result<void>();
    }

    // Nowhere, or another place.
    DiskImage::InodePtr lie(uint64_t& offset, size_t count) {
        disk_.image_.lie_ = DiskImage::Lie{.about = inode_};
        const uint64_t before = disk_.counts_.misdirected;
        DiskImage::InodePtr landed = disk_.prng_.chance(0.5) ? nullptr : misdirect(offset, count);
        if (disk_.counts_.misdirected != before) return landed;
        ++disk_.counts_.lost;
        return nullptr;
    }

    // Another place for a write of `count` bytes: sector-aligned as the original, inside a file.
    DiskImage::InodePtr misdirect(uint64_t& offset, size_t count) {
        DiskImage::InodePtr victim = inode_;
        const auto& names = disk_.image_.names_;
        if (!names.empty() && disk_.prng_.chance(0.25))
            victim =
                std::next(names.begin(), static_cast<ptrdiff_t>(disk_.prng_.below(names.size())))
                    ->second;
        const uint64_t in_sector = offset % kSectorBytes;
        if (victim->current.size() < in_sector + count) return inode_;
        const uint64_t sectors = (victim->current.size() - in_sector - count) / kSectorBytes + 1;
        offset = disk_.prng_.below(sectors) * kSectorBytes + in_sector;
        ++disk_.counts_.misdirected;
        return victim;
    }

    void rot(uint64_t offset, size_t count) {
        const uint64_t at = offset + disk_.prng_.below(count);
        const auto mask = static_cast<uint8_t>(1u << disk_.prng_.below(8));
        uint8_t byte = 0;
        inode_->current.read(at, &byte, 1);
        byte ^= mask;
        inode_->current.write(at, &byte, 1);
        if (auto base = inode_->base.find(at / kSectorBytes); base != inode_->base.end())
            base->second[at % kSectorBytes] ^= mask;
        ++disk_.counts_.rotten;
    }

    SimDisk& disk_;
    const DiskImage::InodePtr inode_;
    const bool writable_;
    bool busy_ = false;
};

Duration SimDisk::draw(DiskFaults::Range range) {
    if (range.high <= range.low) return range.low;
    const auto span = static_cast<uint64_t>((range.high - range.low).count());
    return range.low + Duration(static_cast<int64_t>(prng_.below(span + 1)));
}

Duration SimDisk::draw_with_stall(DiskFaults::Range range) {
    Duration latency = draw(range);
    if (prng_.chance(faults_.stall)) {
        ++counts_.stalls;
        latency += draw(faults_.stall_latency);
    }
    return latency;
}

bool SimDisk::fits(uint64_t growth) {
    if (faults_.capacity_bytes == UINT64_MAX) return true;
    const uint64_t used = image_.used_bytes();
    if (used <= faults_.capacity_bytes && growth <= faults_.capacity_bytes - used) return true;
    ++counts_.no_space;
    return false;
}

port::Task<Result<std::unique_ptr<port::File>>> SimDisk::open(std::string path,
                                                              port::OpenMode mode) {
    co_await port::sleep(shard_, draw(faults_.read_latency));
    if (faults_.no_files) {
        ++counts_.no_files;
        co_return fail(Errc::Limit, path + ": no file descriptor left");
    }
    auto found = image_.names_.find(path);
    if (mode == port::OpenMode::Create) {
        if (found != image_.names_.end()) co_return fail(Errc::AlreadyExists, path);
        const std::string parent = parent_of(path);
        if (!parent.empty() && !image_.directories_.contains(parent))
            co_return fail(Errc::NotFound, parent);
        auto inode = std::make_shared<DiskImage::Inode>();
        image_.change({DiskImage::DirectoryOp::Kind::Create, {}, path, inode});
        co_return std::make_unique<SimFile>(*this, std::move(inode), true);
    }
    if (found == image_.names_.end()) co_return fail(Errc::NotFound, path);
    co_return std::make_unique<SimFile>(*this, found->second, mode == port::OpenMode::Write);
}

port::Task<Result<void>> SimDisk::create_directories(std::string path) {
    co_await port::sleep(shard_, draw(faults_.write_latency));
    for (path = without_trailing_slash(path); !path.empty(); path = parent_of(path))
        image_.directories_.insert(path);
    co_return Result<void>();
}

port::Task<Result<void>> SimDisk::remove(std::string path) {
    co_await port::sleep(shard_, draw(faults_.write_latency));
    auto found = image_.names_.find(path);
    if (found == image_.names_.end()) co_return fail(Errc::NotFound, path);
    image_.change({DiskImage::DirectoryOp::Kind::Remove, {}, path, found->second});
    co_return Result<void>();
}

port::Task<Result<void>> SimDisk::rename(std::string from, std::string to) {
    co_await port::sleep(shard_, draw(faults_.write_latency));
    auto found = image_.names_.find(from);
    if (found == image_.names_.end()) co_return fail(Errc::NotFound, from);
    image_.change({DiskImage::DirectoryOp::Kind::Rename, from, to, found->second});
    co_return Result<void>();
}

port::Task<Result<void>> SimDisk::sync_directory(std::string path) {
    co_await port::sleep(shard_, draw_with_stall(faults_.sync_latency));
    if (prng_.chance(faults_.sync_error)) {
        ++counts_.sync_errors;
        co_return fail(Errc::Io, "simulated directory sync error");
    }
    image_.sync_directory(without_trailing_slash(std::move(path)));
    co_return Result<void>();
}

port::Task<Result<std::vector<std::string>>> SimDisk::list(std::string path) {
    co_await port::sleep(shard_, draw(faults_.read_latency));
    path = without_trailing_slash(path);
    if (!path.empty() && !image_.directories_.contains(path)) co_return fail(Errc::NotFound, path);
    std::set<std::string> entries;
    for (const auto& [name, inode] : image_.names_)
        if (parent_of(name) == path)
            entries.insert(name.substr(path.empty() ? 0 : path.size() + 1));
    for (const std::string& name : image_.directories_)
        if (parent_of(name) == path)
            entries.insert(name.substr(path.empty() ? 0 : path.size() + 1));
    co_return std::vector<std::string>(entries.begin(), entries.end());
}

port::Task<Result<port::Space>> SimDisk::space(std::string) {
    const uint64_t used = image_.used_bytes();
    const uint64_t total = std::min(faults_.capacity_bytes, uint64_t{1} << 50);
    co_return port::Space{total, total - std::min(used, total)};
}

Result<std::unique_ptr<port::FileLock>> SimDisk::lock(std::string path) {
    if (!image_.locks_.insert(path).second) return fail(Errc::Conflict, path + " is locked");
    return std::make_unique<SimLock>(image_, std::move(path));
}

}  // namespace asterias::sim
