// Runs other_owner.cpp, a second process on a test's token. Its target must define QSCD_OTHER_OWNER.
#pragma once

#include <array>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/file.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {

// Started by exec, so nothing of this process's module is in it.
class OtherOwner {
public:
    OtherOwner(const SoftToken& place, const std::string& label) {
        std::array<int, 2> in{}, out{};
        if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
        ::posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        const std::array words{std::string{QSCD_OTHER_OWNER}, place.tokens().string(), place.configuration().string(),
                               label};
        std::vector<char*> arguments;
        for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        if (::posix_spawn(&process_, QSCD_OTHER_OWNER, &actions, nullptr, arguments.data(), environ) != 0) std::abort();
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        to_ = Descriptor{in[1]};
        from_ = Descriptor{out[0]};
        EXPECT_EQ(say("ready"), "ok");
    }
    ~OtherOwner() {
        to_ = Descriptor{};
        ::waitpid(process_, nullptr, 0);
    }
    OtherOwner(const OtherOwner&) = delete;
    OtherOwner& operator=(const OtherOwner&) = delete;

    std::string say(const std::string& command) {
        const auto line = command + "\n";
        EXPECT_EQ(::write(to_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
        return hear();
    }
    // Its next line; empty when it has ended.
    std::string hear() {
        std::string answer;
        for (char c = 0; ::read(from_.get(), &c, 1) == 1 && c != '\n';) answer += c;
        return answer;
    }
    void kill() { ::kill(process_, SIGKILL); }

private:
    ::pid_t process_ = -1;
    Descriptor to_, from_;
};

}  // namespace qscd::hsm
