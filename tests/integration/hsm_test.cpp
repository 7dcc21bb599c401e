// Modules and tokens of a running deployment: what `qscd hsm` tells of them, which ones the daemons refuse at start, and
// how they are left. The spy stands before SoftHSM2 in each daemon.
#include <csignal>
#include <gmock/gmock.h>
#include <set>

#include "base/file.hpp"
#include "protocol/message.hpp"
#include "tests/instruments/pkcs11_spy/call_log.hpp"
#include "tests/integration/enrolment_steps.hpp"
#include "tests/integration/portal.hpp"

namespace qscd::integration {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::array with_token{"samd", "rad", "cad"};
constexpr std::array tokens{"qscd-sam", "qscd-signers-1", "qscd-ra", "qscd-ca"};

class Hsm : public testing::Test {
protected:
    static void SetUpTestSuite() {
        made_ = std::make_unique<RunningDeployment>(
            RunningDeployment::How{.before_start = [](RunningDeployment& deployment) { put_spy(deployment); }});
    }
    static void TearDownTestSuite() { made_.reset(); }
    void SetUp() override { ASSERT_TRUE(made_) << "the deployment was not made"; }
    void TearDown() override {
        if (!made_) return;
        for (const auto* daemon : with_token) fault(daemon, "");
        if (running().supervisor() == 0) running().start();
    }
    static RunningDeployment& running() { return *made_; }
    static fs::path of(std::string_view daemon, const char* file) {
        return running().in("tokens") / std::string{daemon} / file;
    }
    static void fault(std::string_view daemon, std::string_view lines) {
        required(write_file(of(daemon, "faults"), lines), "the spy's faults");
        fs::permissions(of(daemon, "faults"), fs::perms{0644});
    }
    static std::vector<spy::Call> calls(std::string_view daemon) { return spy::calls_in(of(daemon, "calls.log")); }
    static std::string environment_of(const char* daemon) {
        return "SOFTHSM2_CONF=" + of(daemon, "softhsm2.conf").string();
    }
    static std::string pin_file(const std::string& token) { return running().in("secrets/" + token + ".pin"); }
    // `qscd hsm …` of somebody who has no deployment.
    static Finished stranger(std::vector<std::string> words, const std::map<int, std::string>& inputs = {}) {
        words.insert(words.begin(), {QSCD_BINARY, "--deployment", running().top() / "nothing", "hsm"});
        return run_program(words, inputs);
    }
    static fs::path library() { return library_; }

private:
    static void put_spy(RunningDeployment& deployment) {
        const auto file = deployment.in("qscd.toml");
        auto text = required(read_file(file), "qscd.toml");
        library_ = deployment.settings().library;
        const auto line = "library = \"" + library_.string() + "\"\n";
        const auto at = text.find(line);
        require(at != std::string::npos, "qscd.toml names the library");
        text.replace(at, line.size(),
                     std::string{"library = \""} + QSCD_SPY_LIBRARY + "\"\n[module.environment]\nQSCD_SPY_TARGET = \"" +
                         library_.string() + "\"\nQSCD_SPY_LOG = \"{tokens}/calls.log\"\n" +
                         "QSCD_SPY_FAULTS = \"{tokens}/faults\"\n");
        required(write_file(file, text), "qscd.toml");
    }
    static inline std::unique_ptr<RunningDeployment> made_;
    static inline fs::path library_;
};

// --- what people are told ---

TEST_F(Hsm, ProbeTellsOfEachTokenOfTheDeployment) {
    const auto answer = running().answer({"hsm", "probe", "--quick"});
    EXPECT_TRUE(answer.boolean("fit").value());
    const auto all = answer.objects("tokens", 10).value();
    std::vector<std::string> seen;
    for (const auto& each : all) {
        seen.push_back(each.string("token", 40).value());
        EXPECT_EQ(each.string("entry", 40).value(), "softhsm2");
        EXPECT_EQ(each.string("refusal", 200).value(), "");
        EXPECT_TRUE(each.boolean("fit").value());
    }
    EXPECT_THAT(seen, testing::UnorderedElementsAreArray(tokens));
}

TEST_F(Hsm, ProbeOfAStrangersModuleNeedsNoDeploymentAndSpeaksInWords) {
    const auto said = stranger({"probe", library(), "--token", "qscd-ra", "--pin-file", pin_file("qscd-ra"),
                                "--environment", environment_of("rad"), "--quick"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    EXPECT_THAT(said.out, AllOf(HasSubstr("yes  p384-signs"), HasSubstr("yes  unwrap-template-enforced"),
                                HasSubstr("It can hold the SAM's own keys, heads and anchors."),
                                HasSubstr("Not tried whether it can hold signers' RSA keys that stay in the token."),
                                HasSubstr("Wrapped keys would travel under mechanism 0x210a"),
                                HasSubstr("model = \"SoftHSM v2\""), HasSubstr("firmware = [\"2.6\"]")));
    EXPECT_THAT(said.out, Not(HasSubstr("CANNOT")));
}

TEST_F(Hsm, ProbeTakesThePinFromADescriptorOrTheTerminal) {
    const auto pin = required(read_file(pin_file("qscd-ra")), "PIN");
    const std::vector<std::string> words{
        "probe", library(), "--token", "qscd-ra", "--environment", environment_of("rad"), "--quick"};
    auto by_descriptor = words;
    by_descriptor.insert(by_descriptor.end(), {"--pin-fd", "3"});
    EXPECT_EQ(stranger(by_descriptor, {{3, pin + "\n"}}).exit_code, 0);
    auto typed = words;
    typed.insert(typed.begin(), {QSCD_BINARY, "hsm"});
    const auto at_terminal = run_at_terminal(typed, {pin});
    EXPECT_EQ(at_terminal.exit_code, 0) << at_terminal.out;
    EXPECT_THAT(at_terminal.out, AllOf(HasSubstr("user PIN of token qscd-ra: "), Not(HasSubstr(pin))));
}

TEST_F(Hsm, ProbeByRegistryNameComparesWithTheEntry) {
    const auto folder = running().top() / "modules";
    fs::create_directories(folder);
    auto entry = required(read_file(source_folder / "hsm-config/modules/softhsm2.toml"), "the entry");
    const std::vector<std::string> words{
        "probe",   "softhsm2",   "--modules",         folder,          "--token",
        "qscd-ra", "--pin-file", pin_file("qscd-ra"), "--environment", environment_of("rad"),
        "--quick"};
    required(write_file(folder / "softhsm2.toml", entry), "the entry");
    EXPECT_EQ(stranger(words).exit_code, 0) << stranger(words).err;
    const std::string from = "\"2.6\"";
    required(write_file(folder / "softhsm2.toml", entry.replace(entry.find(from), from.size(), "\"9.9\"")),
             "the entry");
    const auto refused = stranger(words);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.out,
                AllOf(HasSubstr("REFUSED at start"), HasSubstr("reports firmware \"2.6\""), HasSubstr("says \"9.9\"")));
}

TEST_F(Hsm, ProbeRefusesWhatItCannotTryAndSaysWhatThereIs) {
    const auto no_token = stranger({"probe", library(), "--token", "other", "--environment", environment_of("rad")});
    EXPECT_EQ(no_token.exit_code, 2);
    EXPECT_THAT(no_token.err, HasSubstr("no such token; there are: qscd-ra"));
    const auto several = stranger({"probe", library(), "--environment", environment_of("samd")});
    EXPECT_THAT(several.err, HasSubstr("choose one by --token: "));
    const auto no_library = stranger({"probe", "/nowhere/libpkcs11.so"});
    EXPECT_EQ(no_library.exit_code, 2);
    EXPECT_THAT(no_library.err, HasSubstr("/nowhere/libpkcs11.so"));
    const auto no_entry = running().qscd({"hsm", "probe", "acme"});
    EXPECT_EQ(no_entry.exit_code, 2);
    EXPECT_THAT(no_entry.err, HasSubstr("no entry acme"));
    EXPECT_EQ(running().qscd({"hsm", "probe", "--token", "other"}).exit_code, 2);
}

TEST_F(Hsm, ProbeOfAnUnfitModuleEndsWithAnotherExitCode) {
    fault("rad", "C_CopyObject 1+ 0\n");
    const auto said = running().qscd({"--json", "hsm", "probe", "--quick", "--token", "qscd-ra"});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.out, AllOf(HasSubstr("copies-refused"), HasSubstr("It CANNOT hold the SAM's own keys")));
}

struct Held {
    std::string token, kind, label, purpose, credential, state;
    bool orphan;
};
std::vector<Held> held_in(const json::Object& answer) {
    std::vector<Held> out;
    const auto all = answer.objects("tokens", 10).value();
    for (const auto& token : all) {
        const auto objects = token.objects("objects", 100).value();
        for (const auto& each : objects)
            out.push_back({token.string("token", 40).value(), each.string("kind", 40).value(),
                           each.string("label", 200).value(), each.string("purpose", 200).value(),
                           each.optional_string("credential", 64).value().value_or(""),
                           each.optional_string("state", 64).value().value_or(""), each.boolean("orphan").value()});
    }
    return out;
}

TEST_F(Hsm, KeysTellsPurposeStateAndOrphans) {
    Signer anna{running(), "anna", 1};
    const auto credential = anna.enrol("lcp-totp");
    const auto before = held_in(running().answer({"hsm", "keys"}));
    const auto of_credential = [&](const std::vector<Held>& all) {
        return std::ranges::find(all, credential.id, &Held::credential);
    };
    ASSERT_NE(of_credential(before), before.end());
    EXPECT_EQ(of_credential(before)->token, "qscd-signers-1");
    EXPECT_EQ(of_credential(before)->state, "active");
    EXPECT_EQ(std::ranges::count(before, true, &Held::orphan), 0);
    for (const auto* label : {"K_cell", "K_pin", "K_attest", "rule"})
        EXPECT_EQ(std::ranges::count_if(before, [&](const Held& each) { return each.label == label; }), 1) << label;
    for (const auto& each : before) EXPECT_NE(each.purpose, "") << each.token << " " << each.label;

    EXPECT_EQ(running().qscd({"credential", "disable", credential.id, "--reason", "a test"}).exit_code, 0);
    // A key that nobody recorded.
    const auto made = run_program({"env", environment_of("samd"), "pkcs11-tool", "--module", library(), "--token-label",
                                   "qscd-signers-1", "--login", "--pin",
                                   required(read_file(pin_file("qscd-signers-1")), "PIN"), "--keypairgen", "--key-type",
                                   "EC:prime256v1", "--label", "stray", "--id", "0102"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto after = held_in(running().answer({"hsm", "keys", "--token", "qscd-signers-1"}));
    ASSERT_NE(of_credential(after), after.end());
    EXPECT_EQ(of_credential(after)->state, "disabled");
    const auto stray = std::ranges::find(after, "stray", &Held::label);
    ASSERT_NE(stray, after.end());
    EXPECT_TRUE(stray->orphan);
    const auto lines = running().qscd({"hsm", "keys"});
    EXPECT_EQ(lines.exit_code, 0);
    EXPECT_THAT(lines.out, AllOf(HasSubstr("ORPHAN"), HasSubstr("1 orphans"), HasSubstr("EXTRACTABLE=0"),
                                 HasSubstr("credential " + credential.id + "  disabled")));
    running().stop();
    const auto alone = running().qscd({"hsm", "keys"});
    EXPECT_EQ(alone.exit_code, 0);
    EXPECT_THAT(alone.out, AllOf(HasSubstr("state unknown"), HasSubstr("samd does not answer"), HasSubstr("K_attest")));
}

// --- which tokens are refused ---

// [QSCD-04] [QSCD-29] At the first start `qscd up` ends and says why.
struct Refusal {
    const char *name, *daemon, *fault;
    std::vector<std::string> says;
};
std::ostream& operator<<(std::ostream& out, const Refusal& row) { return out << row.name; }
class RefusedModule : public Hsm, public testing::WithParamInterface<Refusal> {
protected:
    void TearDown() override { fault(GetParam().daemon, ""); }  // nobody needs it running again
};
INSTANTIATE_TEST_SUITE_P(
    , RefusedModule,
    testing::Values(
        Refusal{"OtherFirmwareInSamd",
                "samd",
                "token-info firmwareVersion 0x0909",
                {"firmware \"9.9\"", "softhsm2", "\"2.6\"", "QSCD-04"}},
        Refusal{"OtherModelInCad", "cad", "token-info model Acme", {"qscd-ca", "model \"Acme\"", "\"SoftHSM v2\""}},
        Refusal{"OtherManufacturerInRad",
                "rad",
                "token-info manufacturerID Acme",
                {"qscd-ra", "manufacturer \"Acme\"", "\"SoftHSM project\""}},
        Refusal{"CopiesInSamd", "samd", "C_CopyObject 1+ 0", {"qscd-sam is not fit", "copies-refused", "QSCD-29"}},
        Refusal{"WrappingInCad", "cad", "C_WrapKey 1 0", {"qscd-ca is not fit", "wrap-of-unextractable-refused"}},
        Refusal{"LiesInRad", "rad", "lie-attribute CKA_NEVER_EXTRACTABLE 01", {"extractable-told"}}),
    [](const auto& each) { return each.param.name; });

TEST_P(RefusedModule, EndsTheStartAndIsNamed) {
    if (running().supervisor() != 0) running().stop();
    const std::string daemon = GetParam().daemon;
    const auto before = calls(daemon).size();
    fault(daemon, std::string{GetParam().fault} + "\n");
    const auto said = run_program(
        {"timeout", "30", QSCD_BINARY, "--deployment", running().in(""), "up", "--test-binaries"});
    EXPECT_EQ(said.exit_code, 2) << said.err;
    EXPECT_THAT(said.err, HasSubstr("qscd-" + daemon + " did not start"));
    for (const auto& words : GetParam().says) EXPECT_THAT(said.err, HasSubstr(words));
    const auto after = calls(daemon);
    ASSERT_GT(after.size(), before);
    EXPECT_EQ(after.back()["call"], "C_Finalize") << "also by this way out";
}

TEST_F(Hsm, QSCD_04_AModuleThatChangedStaysRefusedWhileTheOthersRun) {
    fault("rad", "token-info firmwareVersion 0x0909\n");
    ::kill(running().daemons().at("rad").pid, SIGKILL);
    const auto log = running().top() / "up.log";
    ASSERT_TRUE(eventually([&] {
        return required(read_file(log), "up.log").find("daemon-stays-down") != std::string::npos;
    })) << "an unfit module is not tried again and again";
    auto daemons = running().daemons();
    EXPECT_FALSE(daemons.at("rad").ready);
    EXPECT_TRUE(daemons.at("samd").ready);
    EXPECT_TRUE(daemons.at("cad").ready);
    const auto words = required(read_file(running().in("log/rad.log")), "rad's log");
    EXPECT_THAT(words, AllOf(HasSubstr("token-unfit"), HasSubstr("reports firmware")));
    running().stop();
}

// The combination that the [qscd] entry certifies, no more: what was made under it signs no more, either.
TEST_F(Hsm, QSCD_04_AnotherBuildThanTheCertifiedOneSignsWithNoQscdKey) {
    Signer emil{running(), "emil", 5};
    const auto qscd = emil.enrol("qscd-totp"), lcp = emil.enrol("lcp-totp");
    const Portal portal{running(), "portal-hsm", {"emil"}};
    const std::vector<Bytes> hashes{hash_numbered(1)};
    const auto status_of = [&](const Credential& credential) {
        return portal.sign({credential.id, portal.sad_for(emil, credential, hashes), hashes}).status;
    };
    const auto restart_with = [&](const std::string& entry) {
        running().stop();
        required(write_file(running().in("modules/softhsm2.toml"), entry), "the entry");
        running().start();
    };
    EXPECT_EQ(status_of(qscd), 200U);
    const auto entry = required(read_file(running().in("modules/softhsm2.toml")), "the entry");
    restart_with(entry + "sam_build = \"" + std::string(64, 'a') + "\"\n");
    EXPECT_THAT(required(read_file(running().in("log/samd.log")), "samd's log"),
                HasSubstr("not-the-certified-combination"));
    EXPECT_NE(status_of(qscd), 200U);
    EXPECT_EQ(status_of(lcp), 200U);
    Signer felix{running(), "felix", 6};
    EXPECT_NO_THROW(felix.enrol("lcp-totp"));
    EXPECT_ANY_THROW(felix.enrol("qscd-totp")) << "and cad issues none";
    EXPECT_THAT(required(read_file(running().in("log/cad.log")), "cad's log"), HasSubstr("QSCD-03"));
    restart_with(entry);
    EXPECT_EQ(status_of(qscd), 200U);
}

// --- how modules are taken up and left ---

TEST_F(Hsm, AModuleIsLoadedByItsDaemonAloneAndAfterEveryFork) {
    const auto daemons = running().daemons();
    for (const auto* daemon : with_token) {
        const auto pid = daemons.at(daemon).pid;
        std::set<std::string> users;
        unsigned begun = 0;
        for (const auto& call : calls(daemon)) {
            users.insert(call["pid"]);
            if (call["pid"] == std::to_string(pid) && call["call"] == "C_Initialize") ++begun;
        }
        EXPECT_EQ(begun, 1U) << daemon;
        EXPECT_THAT(users, Not(Contains(std::to_string(running().supervisor())))) << "the parent, which forks";
        // No process ever came from one that had the module: its threads have no children.
        for (const auto& thread : fs::directory_iterator{"/proc/" + std::to_string(pid) + "/task"})
            EXPECT_EQ(required(read_file(thread.path() / "children"), "children"), "") << daemon;
        EXPECT_THAT(required(read_file("/proc/" + std::to_string(pid) + "/maps", 1 << 22), "maps"),
                    HasSubstr(fs::path{QSCD_SPY_LIBRARY}.filename().string()));
    }
    EXPECT_THAT(required(read_file("/proc/" + std::to_string(running().supervisor()) + "/maps", 1 << 22), "maps"),
                Not(AnyOf(HasSubstr(fs::path{QSCD_SPY_LIBRARY}.filename().string()), HasSubstr("softhsm"))));
}

TEST_F(Hsm, EveryDaemonFinalisesItsModuleOnSigterm) {
    auto daemons = running().daemons();
    for (const auto* daemon : with_token) ::kill(daemons.at(daemon).pid, SIGTERM);  // by itself, not by the supervisor
    ASSERT_TRUE(eventually([&] {
        auto now = running().daemons();
        return std::ranges::all_of(with_token, [&](const auto* daemon) {
            return now[daemon].ready && now[daemon].pid != daemons.at(daemon).pid;
        });
    }));
    auto second = running().daemons();
    running().stop();  // by the supervisor
    for (const auto* daemon : with_token) {
        const auto all = calls(daemon);
        for (const auto pid : {daemons.at(daemon).pid, second.at(daemon).pid}) {
            std::string last;
            for (const auto& call : all)
                if (call["pid"] == std::to_string(pid)) last = call["call"] + " " + call["rv"];
            EXPECT_EQ(last, "C_Finalize 0x0") << daemon << " " << pid;
        }
    }
}

// Fenced, a SAM leaves at once and asks nobody: but its module is told.
TEST_F(Hsm, AFencedSamFinalisesItsModuleToo) {
    const auto pid = running().daemons().at("samd").pid;
    const auto objects = held_in(running().answer({"hsm", "keys", "--token", "qscd-sam"}));
    const auto head = std::ranges::find_if(objects, [](const Held& each) { return each.label.starts_with("head-"); });
    ASSERT_NE(head, objects.end());
    const auto destroyed = run_program({"env", environment_of("samd"), "pkcs11-tool", "--module", library(),
                                        "--token-label", "qscd-sam", "--login", "--pin",
                                        required(read_file(pin_file("qscd-sam")), "PIN"), "--delete-object", "--type",
                                        "privkey", "--label", head->label});
    ASSERT_EQ(destroyed.exit_code, 0) << destroyed.err;
    Signer dora{running(), "dora", 4};
    EnrolmentSteps steps{running(), dora, "lcp-totp"};
    EXPECT_ANY_THROW(steps.take_up_to(4)) << "samd cannot record the reservation";
    ASSERT_TRUE(eventually([&] {
        return !fs::exists("/proc/" + std::to_string(pid) + "/maps") || running().daemons()["samd"].pid != pid;
    }));
    std::string last;
    for (const auto& call : calls("samd"))
        if (call["pid"] == std::to_string(pid)) last = call["call"];
    EXPECT_EQ(last, "C_Finalize");
    running().stop();
}

// [QSCD-02] Read back from the token when the key was made, under the SAM's signature, and kept with the credential.
TEST_F(Hsm, AKeyProofCarriesTheAttributesAsReadBack) {
    Signer carla{running(), "carla", 3};
    EnrolmentSteps steps{running(), carla, "qscd-totp"};
    steps.take_up_to(6);
    const auto proof = required(protocol::decode<pb::KeyProof>(view_of(steps.key_proof().body())), "KeyProof");
    std::map<std::string, std::string> attributes;
    for (const auto& each : proof.attributes()) attributes[each.name()] = each.value();
    for (const auto* name :
         {"CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL", "CKA_PRIVATE", "CKA_SIGN"})
        EXPECT_EQ(attributes[name], "true") << name;
    for (const auto* name : {"CKA_EXTRACTABLE", "CKA_MODIFIABLE", "CKA_COPYABLE", "CKA_DECRYPT", "CKA_UNWRAP",
                             "CKA_DERIVE", "CKA_SIGN_RECOVER"})
        EXPECT_EQ(attributes[name], "false") << name;
    EXPECT_EQ(attributes["CKA_KEY_GEN_MECHANISM"], "4160") << "CKM_EC_KEY_PAIR_GEN";
    // Which combination it was: what a [qscd] entry is compared with. [QSCD-03]
    EXPECT_EQ(proof.module_entry(), "softhsm2");
    EXPECT_EQ(attributes["module.model"], "SoftHSM v2");
    EXPECT_EQ(attributes["module.firmware"], "2.6");
    const auto samd = required(read_file(binary_folder / "qscd-samd-test", std::size_t{1} << 30), "samd's binary");
    EXPECT_EQ(attributes["sam.build"], sha256(view_of(samd)).hex());
    EXPECT_EQ(attributes["module.configuration"].size(), 64U);
}

}  // namespace
}  // namespace qscd::integration
