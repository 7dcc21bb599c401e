#include "tests/instruments/pkcs11_spy/call_log.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace qscd::spy {

std::vector<Call> calls_in(const std::filesystem::path& log) {
    std::vector<Call> out;
    std::ifstream file{log};
    for (std::string line; std::getline(file, line);) {
        Call call;
        std::istringstream words{line};
        for (std::string word; words >> word;) {
            const auto mark = word.find('=');
            if (mark != std::string::npos) call.fields.emplace(word.substr(0, mark), word.substr(mark + 1));
        }
        out.push_back(std::move(call));
    }
    return out;
}

std::map<std::string, std::size_t> signatures_by_key(const std::vector<Call>& calls) {
    std::map<std::string, std::size_t> out;
    for (const auto& call : calls)
        if (call["call"] == "C_Sign-entered") ++out[call["id"]];
    return out;
}

std::size_t count(const std::vector<Call>& calls, std::string_view function) {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls, [&](const Call& call) { return call["call"] == function; }));
}

}  // namespace qscd::spy
