#include "app/demo_text.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>

namespace asterias::app {
namespace {

class Counter {
public:
    void add(std::string_view name) {
        auto at = places_.find(name);
        if (at == places_.end()) {
            at = places_.emplace(name, static_cast<uint32_t>(places_.size())).first;
            text_.counts.push_back(0);
        }
        text_.items.push_back(at->second);
        ++text_.counts[at->second];
    }
    // Until here places are in the order of the first time, from here in the alphabet's.
    DemoText take() {
        std::vector<uint32_t> moved(places_.size());
        std::vector<int64_t> counts;
        for (const auto& [name, place] : places_) {
            moved[place] = static_cast<uint32_t>(text_.names.size());
            text_.names.push_back(name);
            counts.push_back(text_.counts[place]);
        }
        for (uint32_t& item : text_.items)
            item = moved[item];
        text_.counts = std::move(counts);
        return std::move(text_);
    }

private:
    std::map<std::string, uint32_t, std::less<>> places_;
    DemoText text_;
};

// One row of a CSV file at a time.
class Rows {
public:
    enum class Step { Row, End, OpenQuote };

    explicit Rows(std::string_view csv) : csv_(csv) {
        if (csv_.starts_with("\xef\xbb\xbf")) csv_.remove_prefix(3);
        const std::string_view first = csv_.substr(0, csv_.find('\n'));
        for (const char candidate : {';', '\t'})
            if (std::ranges::count(first, candidate) > std::ranges::count(first, separator_))
                separator_ = candidate;
    }

    Step next(std::vector<std::string>& fields) {
        fields.clear();
        // An empty line is no row.
        while (at_ < csv_.size() && (csv_[at_] == '\n' || csv_[at_] == '\r'))
            line_ += csv_[at_++] == '\n';
        if (at_ == csv_.size()) return Step::End;
        for (;;) {
            fields.emplace_back();
            if (!field(fields.back())) return Step::OpenQuote;
            const char c = at_ < csv_.size() ? csv_[at_++] : '\n';
            if (c == separator_) continue;
            if (c == '\r' && at_ < csv_.size() && csv_[at_] == '\n') ++at_;
            ++line_;
            return Step::Row;
        }
    }
    // Of the quote that stays open; else the next row's.
    size_t line() const { return line_; }

private:
    bool ends_field(char c) const { return c == separator_ || c == '\n' || c == '\r'; }
    // Up to what ends it; false: it begins with a quote that is never closed.
    bool field(std::string& value) {
        if (at_ < csv_.size() && csv_[at_] == '"') {
            size_t lines = 0;
            for (++at_;; ++at_) {
                if (at_ == csv_.size()) return false;
                if (csv_[at_] == '"') {
                    ++at_;
                    if (at_ == csv_.size() || csv_[at_] != '"') break;
                }
                lines += csv_[at_] == '\n';
                value += csv_[at_];
            }
            line_ += lines;
        }
        for (; at_ < csv_.size() && !ends_field(csv_[at_]); ++at_)
            value += csv_[at_];
        return true;
    }

    std::string_view csv_;
    size_t at_ = 0;
    size_t line_ = 1;
    char separator_ = ',';
};

std::string listed(const std::vector<std::string>& columns) {
    std::string all;
    for (const auto& column : columns)
        all += (all.empty() ? "" : ", ") + column;
    return all;
}

// Place of the column from 0; the context of an error lists what there is.
Result<size_t> place_of(const std::string& column, const std::vector<std::string>& first) {
    size_t number = 0;
    const auto [end, ec] = std::from_chars(column.data(), column.data() + column.size(), number);
    if (ec == std::errc{} && end == column.data() + column.size()) {
        if (number >= 1 && number <= first.size()) return number - 1;
        return fail(Errc::InvalidArgument, "has no column " + column + "; its first line has " +
                                               std::to_string(first.size()));
    }
    const auto found = std::ranges::find(first, column);
    if (found != first.end()) return static_cast<size_t>(found - first.begin());
    return fail(Errc::InvalidArgument,
                "has no column '" + column + "'; its first line names: " + listed(first));
}

Result<void> check_text(std::string_view text) {
    if (text.empty()) return fail(Errc::InvalidArgument, "is empty");
    const size_t zero = text.find('\0');
    if (zero != std::string_view::npos)
        return fail(Errc::InvalidArgument,
                    "is no text: there is a zero byte at " + std::to_string(zero));
    return {};
}

Result<std::string> read_file(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return fail(Errc::InvalidArgument, "cannot be read: " + std::string(std::strerror(errno)));
    std::string text;
    for (char part[65536]; in.read(part, sizeof part) || in.gcount() > 0;) {
        text.append(part, static_cast<size_t>(in.gcount()));
        if (text.size() > kDemoTextBytesMax)
            return fail(Errc::InvalidArgument, "is larger than 64 MiB; take a part of it");
    }
    if (in.bad()) return fail(Errc::InvalidArgument, "cannot be read to its end");
    return text;
}

Result<DemoText> read_text(const std::string& file, const std::string& column) {
    const auto text = read_file(file);
    if (!text) return std::unexpected(text.error());
    if (!column.empty()) return column_of(*text, column);
    if (file.ends_with(".csv") && check_text(*text)) {
        std::vector<std::string> first;
        Rows(*text).next(first);
        return fail(Errc::InvalidArgument,
                    "is CSV: name the column to count with --column; its first line names: " +
                        listed(first));
    }
    return words_of(*text);
}

}  // namespace

Result<DemoText> words_of(std::string_view text) {
    if (auto checked = check_text(text); !checked) return std::unexpected(checked.error());
    Counter counter;
    std::string word;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (std::isalnum(u) || u >= 0x80) {
            word += static_cast<char>(std::tolower(u));
        } else if (!word.empty()) {
            counter.add(word);
            word.clear();
        }
    }
    if (!word.empty()) counter.add(word);
    DemoText counted = counter.take();
    if (counted.items.empty()) return fail(Errc::InvalidArgument, "holds no words");
    return counted;
}

Result<DemoText> column_of(std::string_view csv, const std::string& column) {
    if (auto checked = check_text(csv); !checked) return std::unexpected(checked.error());
    Rows rows(csv);
    Counter counter;
    std::vector<std::string> fields;
    size_t place = 0, without = 0;
    for (bool first = true;; first = false) {
        const size_t line = rows.line();
        const auto step = rows.next(fields);
        if (step == Rows::Step::End) break;
        if (step == Rows::Step::OpenQuote)
            return fail(Errc::InvalidArgument, "has a quote in the row that begins at line " +
                                                   std::to_string(line) + " that is never closed");
        if (first) {
            const auto found = place_of(column, fields);
            if (!found) return std::unexpected(found.error());
            place = *found;
            if (std::ranges::any_of(column, [](char c) { return c < '0' || c > '9'; })) continue;
        }
        if (place < fields.size() && !fields[place].empty())
            counter.add(fields[place]);
        else
            ++without;
    }
    DemoText counted = counter.take();
    if (counted.items.empty())
        return fail(Errc::InvalidArgument, "has no value in column " + column);
    if (without)
        counted.note = std::to_string(without) + " rows without a value in it were left out";
    return counted;
}

Result<DemoText> load_demo_text(const std::string& file, const std::string& column) {
    auto text = file.empty() ? words_of(sonnets()) : read_text(file, column);
    if (!text) {
        text.error().context = file + " " + text.error().context;
        return text;
    }
    if (file.empty())
        text->source = "sonnets of William Shakespeare, printed in 1609";
    else
        text->source = file + (column.empty() ? "" : ", column " + column);
    return text;
}

}  // namespace asterias::app
