// What the CA published, whole or absent: in files that survive restarts, and in memory for those who ask.
// A file holds one line, "qscd-publication 1 <modified> <next update>" in Unix seconds, and the bytes behind it.
// [EN 319 411-1, 6.3.10] [certificate profile, section 7] Thread rules: safe from every thread.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace qscd::ca {

struct Publication {
    std::string path;          // "/crl/qualified.crl"
    std::string content_type;  // follows from the path
    std::string content;
    std::string etag;                      // strong, in its quotes
    TimePoint modified;                    // when this content came
    std::optional<TimePoint> next_update;  // of a CRL
};

// The media type that belongs to a path of ours; nothing for a path that is none: /crl/[a-z0-9-]+.crl,
// /aia/[a-z0-9-]+.cer.
std::optional<std::string_view> content_type_of(std::string_view path);

class Publications {
public:
    // Creates the folder; reads what is there. A file that is none of ours is left alone and not served.
    static Result<std::unique_ptr<Publications>> open(const std::filesystem::path& folder);

    // Durable on return. next_update 0: none. Errc::parameter_invalid for a path or a media type that cannot be.
    Result<void> publish(std::string_view path, std::string_view content_type, std::string_view content,
                         std::int64_t next_update, TimePoint now);

    std::shared_ptr<const Publication> find(std::string_view path) const;
    std::size_t size() const;

private:
    explicit Publications(std::filesystem::path folder) : folder_(std::move(folder)) {}
    void load();
    const std::filesystem::path folder_;
    std::mutex writing_;
    mutable std::mutex lock_;
    std::map<std::string, std::shared_ptr<const Publication>, std::less<>> by_path_;
};

}  // namespace qscd::ca
