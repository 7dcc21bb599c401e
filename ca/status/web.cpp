#include "ca/status/web.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace qscd::ca {
namespace {

constexpr std::chrono::seconds longest_age{3600};

net::Response plain(unsigned status, std::string text, net::Headers headers = {}) {
    return {status, "text/plain; charset=utf-8", std::move(text), std::move(headers)};
}

// A list of entity tags, or *; compared weakly [RFC 9110, 13.1.2].
bool names(std::string_view list, std::string_view etag) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        auto one = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
        one = one.substr(0, one.find_last_not_of(" \t") + 1);
        if (one.starts_with("W/")) one.remove_prefix(2);
        if (one == "*" || one == etag) return true;
    }
    return false;
}

std::string cache_control(const Publication& publication, TimePoint now) {
    auto age = longest_age;
    if (publication.next_update) age = std::clamp(*publication.next_update - now, std::chrono::seconds{0}, longest_age);
    return "public, max-age=" + std::to_string(age.count());
}

}  // namespace

std::string http_date(TimePoint at) {
    static constexpr std::array weekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{at - day};
    std::array<char, 40> out{};
    (void)std::snprintf(out.data(), out.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                        weekdays[std::chrono::weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
                        months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                        static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                        static_cast<int>(time.seconds().count()));
    return out.data();
}

net::Response answer_web(const Publications& publications, const net::Request& request, TimePoint now) {
    const bool live = request.target == "/health/live";
    const auto found = live ? nullptr
                            : publications.find(request.target);  // the whole target: a query names nothing here
    if (!live && !found) return plain(404, "not found\n");
    if (request.method != "GET" && request.method != "HEAD")
        return plain(405, "method not allowed\n", {{"Allow", "GET, HEAD"}});
    if (live) return plain(200, "live\n", {{"Cache-Control", "no-store"}});

    net::Headers headers{{"ETag", found->etag},
                         {"Last-Modified", http_date(found->modified)},
                         {"Cache-Control", cache_control(*found, now)},
                         {"X-Content-Type-Options", "nosniff"}};
    const auto known = request.header("if-none-match");
    if (known && names(*known, found->etag)) return {304, {}, {}, std::move(headers)};
    return {200, found->content_type, found->content, std::move(headers)};
}

}  // namespace qscd::ca
