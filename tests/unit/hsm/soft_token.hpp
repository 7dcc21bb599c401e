// A folder of its own with SoftHSM2 tokens in it, for tests that need a real module. Gone when the test is.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include "hsm/token.hpp"

namespace qscd::hsm {

struct SoftToken {
    explicit SoftToken(const std::string& name)
        : folder(std::filesystem::temp_directory_path() / ("qscd-" + name + "-" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(folder);
        std::filesystem::create_directories(tokens());
        std::ofstream{configuration()} << "directories.tokendir = " << tokens().string()
                                       << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    }
    ~SoftToken() {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    SoftToken(const SoftToken&) = delete;
    SoftToken& operator=(const SoftToken&) = delete;

    static std::filesystem::path library() {
        const std::filesystem::path usual{"/usr/lib/softhsm/libsofthsm2.so"};
        return std::filesystem::exists(usual) ? usual : "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so";
    }
    std::filesystem::path tokens() const { return folder / "tokens"; }
    std::filesystem::path configuration() const { return folder / "softhsm2.conf"; }

    // `module_library` is SoftHSM2, or what stands before it.
    Result<std::shared_ptr<Module>> load(const std::filesystem::path& module_library = library()) const {
        return Module::load({module_library, "", {{"SOFTHSM2_CONF", configuration().string()}}, tokens()});
    }
    static Result<std::unique_ptr<Token>> open(std::shared_ptr<Module> module, const std::string& label,
                                               unsigned threads = 2) {
        return Token::open(std::move(module), label, SecretBytes{"1234"}, threads);
    }
    static Result<void> initialise(Module& module, const std::string& label) {
        return module.initialise_token(label, SecretBytes{"12345678"}, SecretBytes{"1234"});
    }

    std::filesystem::path folder;
};

}  // namespace qscd::hsm
