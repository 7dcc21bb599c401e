// A file that is written piece by piece and is whole or absent: beside its place until it is synced, then renamed.
// Thread rules: one owner.
#pragma once

#include "base/file.hpp"

namespace qscd::cli {

class WholeFile {
public:
    // Only its owner may read it. Errc::store_away: it cannot be made.
    static Result<WholeFile> create(const std::filesystem::path& path);
    WholeFile(WholeFile&&) = default;
    ~WholeFile();  // removes what was not finished

    Result<void> write(std::string_view text);
    Result<void> finish();  // after it the file is there and survives a power cut

private:
    WholeFile(std::filesystem::path path, std::filesystem::path beside, Descriptor file)
        : path_(std::move(path)), beside_(std::move(beside)), file_(std::move(file)) {}
    Result<void> flush();
    std::filesystem::path path_, beside_;
    Descriptor file_;
    std::string waiting_;
};

}  // namespace qscd::cli
