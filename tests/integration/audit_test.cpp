// The log of a deployment that works, exported by `qscd` and checked by the stand-alone program. [AUD-08] [AUD-14]
#include <gmock/gmock.h>
#include <thread>

#include "base/file.hpp"
#include "tests/integration/cast.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

struct Audit : testing::Test {
    Cast& cast = Stage::cast();
    RunningDeployment& deployment = cast.deployment;
    fs::path file = deployment.top() / "log.export", kept = deployment.top() / "last.txt";

    void sign_once() const {
        static unsigned number = 0;
        const std::vector<Bytes> hashes{hash_numbered(++number)};
        const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
        EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, hashes}).status, 200U);
    }
    void export_log() const {
        const auto said = deployment.answer({"audit", "export", file});
        EXPECT_GT(said.integer("records").value(), 0);
    }
    void keep_checkpoint() const { deployment.answer({"audit", "checkpoint", kept}); }
    Finished verify(std::vector<std::string> more = {}, const fs::path& what = {}) const {
        std::vector<std::string> words{binary_folder / "qscd-audit-verify", "--json", "--attestation-key",
                                       deployment.in("pki/sam-attestation.pub.pem")};
        words.insert(words.end(), more.begin(), more.end());
        words.push_back(what.empty() ? file : what);
        return run_program(words);
    }
    static json::Object report(const Finished& said) { return required(json::Object::parse(said.out), said.err); }
};

TEST_F(Audit, AUD_14_WhatWasSignedStandsInALogThatVerifies) {
    sign_once();
    export_log();
    keep_checkpoint();
    const auto said = verify();
    EXPECT_EQ(said.exit_code, 0) << said.out << said.err;
    EXPECT_TRUE(report(said).boolean("clean").value());
    EXPECT_GT(report(said).integer("heads").value(), 0);
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_FALSE(fs::exists(file.string() + ".new"));
}

TEST_F(Audit, NeedsNoServerAndNoFolderOfIt) {
    export_log();
    const auto alone = deployment.top() / "elsewhere";
    fs::create_directories(alone);
    fs::copy_file(file, alone / "log", fs::copy_options::overwrite_existing);
    fs::copy_file(deployment.in("pki/sam-attestation.pub.pem"), alone / "key", fs::copy_options::overwrite_existing);
    const auto said = run_program(
        {"/usr/bin/env", "-i", binary_folder / "qscd-audit-verify", "--attestation-key", alone / "key", alone / "log"});
    EXPECT_EQ(said.exit_code, 0) << said.out << said.err;
    EXPECT_THAT(said.out, HasSubstr("clean\n"));
}

TEST_F(Audit, AUD_14_ATamperedCopyIsFoundAndThePlaceIsNamed) {
    sign_once();
    export_log();
    auto text = required(read_file(file), "the export");
    const auto copy = deployment.top() / "tampered.export";
    const auto line = text.rfind("\nrecord ", text.size() / 2);
    text.erase(line + 1, text.find('\n', line + 1) - line);
    required(write_file(copy, text), "the copy");
    const auto said = verify({}, copy);
    EXPECT_EQ(said.exit_code, 1);
    const auto findings = report(said).objects("findings", 1000).value();
    EXPECT_TRUE(std::ranges::any_of(findings, [](const json::Object& finding) {
        return finding.string("check", 100).value() == "sequence" &&
               finding.object("where").value().string("place", 100).value() == "record";
    })) << said.out;
}

TEST_F(Audit, ACutTailIsFoundWithACheckpoint) {
    sign_once();
    export_log();
    keep_checkpoint();
    auto text = required(read_file(file), "the export");
    text.resize(text.rfind("\nhead ", text.rfind("\nhead ") - 1) + 1);
    text.resize(text.rfind("\nrecord ") + 1);
    const auto copy = deployment.top() / "cut.export";
    required(write_file(copy, text), "the copy");
    const auto said = verify({"--checkpoint", kept}, copy);
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_THAT(said.out, HasSubstr("\"checkpoint\""));
    EXPECT_THAT(said.out, HasSubstr("is missing"));
}

TEST_F(Audit, AUD_08_ThreeRestartsAreThreeEpochsMoreAndOldCheckpointsStillHold) {
    export_log();
    keep_checkpoint();
    const auto before = report(verify()).integer("epochs").value();
    for (int i = 0; i < 2; ++i) {
        deployment.stop();
        deployment.start();
        sign_once();
    }
    deployment.kill_daemons({"samd"});
    deployment.advance(std::chrono::minutes{2});  // after an unclean end only steps count that began afterwards
    sign_once();
    export_log();
    const auto said = verify({"--checkpoint", kept});
    EXPECT_EQ(said.exit_code, 0) << said.out;
    EXPECT_EQ(report(said).integer("epochs").value(), before + 3);
}

TEST_F(Audit, AnExportUnderLoadVerifiesToo) {
    std::atomic<bool> done = false;
    std::vector<Finished> exports;
    std::thread auditor{[&] {
        while (!done) exports.push_back(deployment.qscd({"--json", "audit", "export", file}));
    }};
    for (int i = 0; i < 5; ++i) sign_once();
    done = true;
    auditor.join();
    ASSERT_FALSE(exports.empty());
    for (const auto& each : exports) EXPECT_EQ(each.exit_code, 0) << each.err;
    const auto said = verify();
    EXPECT_EQ(said.exit_code, 0) << said.out;
}

TEST_F(Audit, TheVerifierSaysWhatItCannotRead) {
    EXPECT_EQ(run_program({binary_folder / "qscd-audit-verify"}).exit_code, 2);
    EXPECT_EQ(verify({}, deployment.top() / "nothing").exit_code, 2);
    EXPECT_EQ(verify({"--checkpoint", deployment.top() / "nothing"}).exit_code, 2);
    EXPECT_EQ(run_program({binary_folder / "qscd-audit-verify", "--help"}).exit_code, 0);
}

TEST_F(Audit, AnExportThatCannotBeWrittenLeavesWhatWasThere) {
    export_log();
    const auto before = required(read_file(file), "the export");
    deployment.stop();
    EXPECT_NE(deployment.qscd({"audit", "export", file}).exit_code, 0);
    EXPECT_EQ(required(read_file(file), "the export"), before);
    deployment.start();
    EXPECT_NE(deployment.qscd({"audit", "export", deployment.top() / "no" / "such" / "folder"}).exit_code, 0);
}

}  // namespace
}  // namespace qscd::integration
