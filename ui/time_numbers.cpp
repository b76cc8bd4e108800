#include "ui/time_numbers.hpp"

#include <algorithm>
#include <cmath>

namespace kvasir::ui {
namespace {

void add(TimeRow& row, const ProfileEntry& entry) {
    row.ms += entry.ms;
    auto bar =
        std::find_if(row.bars.begin(), row.bars.end(), [&](const TimeBar& b) { return b.op == entry.op; });
    if (bar == row.bars.end()) {
        row.bars.push_back({.op = entry.op});
        bar = row.bars.end() - 1;
    }
    bar->count += entry.count, bar->bytes += entry.bytes, bar->ms += entry.ms;
}

bool timed(const ProfileEntry& entry) {
    return std::isfinite(entry.ms) && entry.ms >= 0;
}

} // namespace

std::vector<TimeRow> times_by_layer(const Profile& profile) {
    std::vector<TimeRow> rows;
    for (const ProfileEntry& entry : profile) {
        if (!timed(entry)) continue;
        auto row =
            std::find_if(rows.begin(), rows.end(), [&](const TimeRow& r) { return r.layer == entry.layer; });
        if (row == rows.end()) {
            rows.push_back({.layer = entry.layer});
            row = rows.end() - 1;
        }
        add(*row, entry);
    }
    std::stable_sort(rows.begin(), rows.end(), [](const TimeRow& a, const TimeRow& b) {
        return static_cast<unsigned>(a.layer) < static_cast<unsigned>(b.layer); // -1 is the largest
    });
    return rows;
}

TimeRow times_by_operation(const Profile& profile) {
    TimeRow all;
    for (const ProfileEntry& entry : profile)
        if (timed(entry)) add(all, entry);
    std::stable_sort(all.bars.begin(), all.bars.end(),
                     [](const TimeBar& a, const TimeBar& b) { return a.ms > b.ms; });
    return all;
}

std::string kind_of(const std::string& op) {
    return op.substr(0, op.find(' '));
}

} // namespace kvasir::ui
