#include "hsm/deployed/attested.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::hsm {
namespace {

Result<Sha256Digest> digest_of_file(const std::filesystem::path& path) {
    const auto failed = [&] { return Error{Errc::configuration, path.string() + ": " + std::strerror(errno)}; };
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) return failed();
    const EvpMdCtx context{EVP_MD_CTX_new()};
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    std::array<std::uint8_t, 1 << 16> block;
    for (;;) {
        const auto count = ::read(file.get(), block.data(), block.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed();
        if (count == 0) break;
        EVP_DigestUpdate(context.get(), block.data(), static_cast<std::size_t>(count));
    }
    std::array<std::uint8_t, Sha256Digest::size> out{};
    if (EVP_DigestFinal_ex(context.get(), out.data(), nullptr) != 1)
        return Error{Errc::internal, "SHA-256: " + openssl_reason()};
    return Sha256Digest{out};
}

}  // namespace

Result<Sha256Digest> build_of_this_process() { return digest_of_file("/proc/self/exe"); }

Result<Sha256Digest> configuration_of(const policy::ModuleEntry& entry) {
    QSCD_TRY(const auto library, digest_of_file(entry.library));
    std::string text;
    const auto add = [&](std::string_view part) { text.append(part) += '\0'; };
    add("qscd/module-configuration/v1");
    add(library.hex());
    add(entry.reserved);
    for (const auto& [name, value] : entry.environment) {
        text.append(name) += '=';
        add(value);
    }
    return sha256(view_of(text));
}

bool says_test(const X509& authority) {
    const auto* name = X509_get_subject_name(&authority);
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) return false;
    const auto* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    const auto* bytes = ASN1_STRING_get0_data(text);
    return text_of({bytes, static_cast<std::size_t>(ASN1_STRING_length(text))}).find("TEST") != std::string_view::npos;
}

void AttestedPlace::saw_firmware(std::string firmware) {
    const std::lock_guard guard{lock_};
    firmware_ = std::move(firmware);
}

bool AttestedPlace::counts_as_qscd(TimePoint at) const {
    const std::lock_guard guard{lock_};
    return entry_.counts_as_qscd({entry_.model, firmware_, build_, configuration_}, at, ca_says_test_);
}

void AttestedPlace::attest(GeneratedKey& key) const {
    const std::lock_guard guard{lock_};
    key.attributes.emplace_back(attested_model, entry_.model);
    key.attributes.emplace_back(attested_firmware, firmware_);
    key.attributes.emplace_back(attested_configuration, configuration_.hex());
    key.attributes.emplace_back(attested_sam_build, build_.hex());
}

}  // namespace qscd::hsm
