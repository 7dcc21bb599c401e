// Another process on the same token, as a restarted twin or a takeover is. Obeys one command a line on standard input
// and answers "ok" or the error on standard output; ends with its input. Arguments: tokens folder, configuration, label.
//   ready                    whether the token is open
//   make CKA_ID LABEL        a P-256 key
//   destroy CKA_ID
//   anchor NAME              writes 1, 2, 3 … into it and says each once it is durable, until it is killed
//   write NAME TEXT          one write into it, as the same owner each time
//   newest NAME              says what it reads there
#include <iostream>
#include <map>
#include <sstream>

#include "hsm/anchor.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {
namespace {

Result<void> write_for_ever(Token& token, const std::string& name) {
    QSCD_TRY(auto anchors, Anchors::open(token, name));
    for (std::uint64_t number = 1;; ++number) {
        QSCD_TRY(anchors.write(view_of(std::to_string(number))));
        std::cout << number << std::endl;
    }
}

Result<Anchors*> anchors_of(Token& token, const std::string& name) {
    static std::map<std::string, Anchors> all;
    if (!all.contains(name)) {
        QSCD_TRY(auto anchors, Anchors::open(token, name));
        all.emplace(name, std::move(anchors));
    }
    return &all.at(name);
}

Result<void> obey(Token& token, const std::string& line) {
    std::istringstream words{line};
    std::string command, id_text, label;
    words >> command >> id_text >> label;
    if (command == "ready") return success();
    if (command == "anchor") return write_for_ever(token, id_text);
    if (command == "write" || command == "newest") {
        QSCD_TRY(auto* const anchors, anchors_of(token, id_text));
        if (command == "write") return anchors->write(view_of(label));
        QSCD_TRY(const auto contents, anchors->read());
        std::cout << text_of(contents.whole.at(0)) << std::endl;
        return success();
    }
    const auto id = CkaId::from_hex(id_text);
    if (!id) return Error{Errc::parameter_invalid, line};
    if (command == "destroy") return token.destroy(*id);
    if (command == "make") {
        QSCD_TRY(token.generate(KeyKind::p256, *id, label));
        return success();
    }
    return Error{Errc::not_supported, line};
}

int run(const std::filesystem::path& tokens, const std::string& configuration, const std::string& label) {
    const auto module = Module::load({SoftToken::library(), "", {{"SOFTHSM2_CONF", configuration}}, tokens}).value();
    const auto token = SoftToken::open(module, label, 1).value();
    for (std::string line; std::getline(std::cin, line);) {
        const auto done = obey(*token, line);
        std::cout << (done ? "ok" : describe(done.error())) << std::endl;
    }
    return 0;
}

}  // namespace
}  // namespace qscd::hsm

int main(int count, char** arguments) {
    if (count != 4) return 2;
    return qscd::hsm::run(arguments[1], arguments[2], arguments[3]);
}
