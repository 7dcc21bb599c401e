#include "qscd/cli/sam.hpp"

#include "protocol/sam.pb.h"
#include "qscd/cli/local.hpp"

namespace qscd::cli {

Result<void> unseal(const Options& options, const std::string& reason) {
    QSCD_TRY(auto local, Local::open(options));
    pb::SamRequest request;
    request.mutable_unseal()->set_reason(reason);
    QSCD_TRY(local.ask<pb::Done>("samd", request));
    answer(options, "samd's state goes on", {{"unsealed", true}});
    return success();
}

Result<void> rotate_keys(const Options& options, const std::string& reason) {
    QSCD_TRY(auto local, Local::open(options));
    pb::SamRequest request;
    request.mutable_rotate_keys()->set_reason(reason);
    QSCD_TRY(local.ask<pb::Done>("samd", request));
    answer(options, "new keys are in use; cells are sealed anew in the background", {{"rotated", true}});
    return success();
}

}  // namespace qscd::cli
