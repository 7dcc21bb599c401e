// The enumerated crash points, and when a daemon passes them. points_test compares the table with the sources.
// Thread rules: constants.
#pragma once

#include <array>
#include <string_view>

namespace qscd::crash {

enum class Passed { under_load, at_start };

struct Point {
    std::string_view name;
    Passed when;
    unsigned most;  // passages that one round surely has: the crash is at one of them
    constexpr std::string_view daemon() const { return name.substr(0, name.find('.')); }
};

inline constexpr std::array points{
    Point{"samd.batch.before-head", Passed::under_load, 5},
    Point{"samd.batch.before-write", Passed::under_load, 5},
    Point{"samd.batch.before-commit", Passed::under_load, 5},
    Point{"samd.batch.after-commit", Passed::under_load, 5},
    Point{"samd.batch.after-anchor", Passed::under_load, 5},
    Point{"samd.sign.before-c-sign", Passed::under_load, 3},
    Point{"samd.sign.after-c-sign", Passed::under_load, 3},
    Point{"samd.key.before-generate", Passed::under_load, 1},
    Point{"samd.key.after-generate", Passed::under_load, 1},
    Point{"samd.takeover.key-made", Passed::at_start, 1},
    Point{"samd.takeover.old-destroyed", Passed::at_start, 1},
    Point{"samd.takeover.before-commit", Passed::at_start, 1},
    Point{"samd.takeover.after-commit", Passed::at_start, 1},
    Point{"samd.takeover.before-key", Passed::at_start, 1},
    Point{"cad.issue.before-reserve", Passed::under_load, 1},
    Point{"cad.issue.reserved", Passed::under_load, 1},
    Point{"cad.issue.signed", Passed::under_load, 1},
    Point{"cad.issue.registered", Passed::under_load, 1},
    Point{"cad.issue.before-answer", Passed::under_load, 1},
    Point{"cad.receipt.before-commit", Passed::under_load, 1},
    Point{"cad.receipt.after-commit", Passed::under_load, 1},
    Point{"cad.crl.before-commit", Passed::at_start, 2},
    Point{"cad.crl.after-commit", Passed::at_start, 2},
    Point{"rad.account.before-commit", Passed::under_load, 1},
    Point{"rad.account.after-commit", Passed::under_load, 1},
    Point{"rad.request.before-commit", Passed::under_load, 1},
    Point{"rad.request.after-commit", Passed::under_load, 1},
    Point{"rad.acceptance.before-commit", Passed::under_load, 1},
    Point{"rad.acceptance.after-commit", Passed::under_load, 1},
    Point{"rad.grant.before-commit", Passed::under_load, 1},
    Point{"rad.grant.after-commit", Passed::under_load, 1},
    Point{"gatewayd.client.before-commit", Passed::under_load, 2},
    Point{"gatewayd.client.after-commit", Passed::under_load, 2},
    Point{"gatewayd.token.before-commit", Passed::under_load, 2},
    Point{"gatewayd.token.after-commit", Passed::under_load, 2},
    Point{"gatewayd.challenge.before-samd", Passed::under_load, 1},
    Point{"gatewayd.challenge.after-samd", Passed::under_load, 1},
    Point{"gatewayd.authorise.before-samd", Passed::under_load, 3},
    Point{"gatewayd.authorise.after-samd", Passed::under_load, 3},
    Point{"gatewayd.sign.before-samd", Passed::under_load, 3},
    Point{"gatewayd.sign.after-samd", Passed::under_load, 3},
    Point{"gatewayd.before-answer", Passed::under_load, 5},
};

}  // namespace qscd::crash
