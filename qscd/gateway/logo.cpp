#include "qscd/gateway/logo.hpp"

#include "base/bytes.hpp"

namespace qscd::gateway {
namespace {

constexpr std::string_view base64 =
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEX///8dTom7orpSAAAAlUlEQVR42q3SsRHDIAyFYQgFJSPYm3gVj5AN7E2y"
    "ikdhBEoKDkV+6FXc5VKY6qt+HQIndtwPFIeTHsY6YSeywROBiESasBAbcVwGOQe82PTQiWaI9cZLe0DQXgFO7QGX9oCsPaA4wXVC9X2gBUOPDfCi"
    "PYyQTxk4JA9scg0s2gMSEcUWdfcA37i6SryJdcIjz/TH3/gCMCmnR99UisYAAAAASUVORK5CYII=";

}  // namespace

const std::string& logo_png() {
    static const std::string png{text_of(from_base64(base64).value())};
    return png;
}

}  // namespace qscd::gateway
