// opencryptoki's software token: there is one a machine, behind the daemon pkcsslotd. A daemon that runs is used and left
// running; a token that somebody else made is left alone.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "hsm/meaning.hpp"
#include "tests/instruments/modules/place.hpp"
#include "tests/instruments/modules/program.hpp"

namespace qscd::instruments {
namespace {

namespace fs = std::filesystem;

const fs::path state = "/var/lib/opencryptoki", token_state = state / "swtok", locks = "/run/lock/opencryptoki",
               pid_file = "/run/pkcsslotd.pid", daemon_socket = "/run/pkcsslotd.socket", shared_memory = "/dev/shm";
const std::string shared_prefix = "var.lib.opencryptoki.";

bool daemon_runs() {
    long process = 0;
    return std::ifstream{pid_file} >> process && fs::exists("/proc/" + std::to_string(process) + "/stat") &&
           fs::exists(daemon_socket);
}

bool may_use() {
    if (::geteuid() == 0) return true;
    const auto* group = ::getgrnam("pkcs11");
    if (group == nullptr) return false;
    std::vector<::gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    if (!groups.empty() && ::getgroups(static_cast<int>(groups.size()), groups.data()) < 0) return false;
    return ::getegid() == group->gr_gid || std::ranges::count(groups, group->gr_gid) != 0;
}

// A container without a service manager has no folder for locks.
Result<void> make_lock_folders() {
    const auto* group = ::getgrnam("pkcs11");
    if (group == nullptr) return Error{Errc::not_supported, "there is no group pkcs11 (package opencryptoki)"};
    for (const auto& folder : {locks, locks / "swtok"}) {
        if (fs::exists(folder)) continue;
        std::error_code failure;
        fs::create_directories(folder, failure);
        if (failure || ::chown(folder.c_str(), 0, group->gr_gid) != 0 || ::chmod(folder.c_str(), 0770) != 0)
            return Error{Errc::not_supported, "cannot make " + folder.string()};
    }
    return success();
}

class OpenCryptoki : public ModulePlace {
public:
    explicit OpenCryptoki(const policy::ModuleEntry& entry) : ModulePlace(entry, "qscd-test") {}

    Result<void> start() {
        // One test at a time, also over processes: it is one token.
        alone_ = Descriptor{::open(state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!alone_ || ::flock(alone_.get(), LOCK_EX) != 0)
            return Error{Errc::not_supported, "cannot lock " + state.string()};
        if (!daemon_runs()) {
            if (::geteuid() != 0)
                return Error{Errc::not_supported, "pkcsslotd does not run, and only root can start it"};
            QSCD_TRY(make_lock_folders());
            daemon_.emplace(std::vector<std::string>{"pkcsslotd", "-f"}, folder_ / "pkcsslotd.log");
            if (!eventually([&] { return daemon_runs() || daemon_->ended(); }) || daemon_->ended())
                return Error{Errc::not_supported, "pkcsslotd does not start: " + said_in(folder_ / "pkcsslotd.log")};
        }
        return success();
    }

    ~OpenCryptoki() override {
        const bool started_here = daemon_.has_value();
        daemon_.reset();
        if (::geteuid() != 0) return;  // the next run takes the token over by its label
        std::error_code ignored;
        for (const auto& file : {token_state / "NVTOK.DAT", token_state / "MK_SO", token_state / "MK_USER"})
            fs::remove(file, ignored);
        for (const auto& object : fs::directory_iterator{token_state / "TOK_OBJ", ignored})
            fs::remove(object.path(), ignored);
        for (const auto& each : fs::directory_iterator{shared_memory, ignored}) {
            const auto name = each.path().filename().string();
            if (name == shared_prefix + "swtok" || (started_here && name.starts_with(shared_prefix)))
                fs::remove(each.path(), ignored);
        }
        if (started_here) fs::remove(pid_file, ignored);
    }

    // The factory's SO PIN, and a user PIN that the SO chose, must be changed before anything else works; the token has
    // no other way in than this.
    Result<void> make_token(hsm::Module& module) const override {
        QSCD_TRY(const auto there, module.tokens());
        for (const auto& each : there)
            if (each.label != label_)
                return Error{Errc::not_supported, "the software token of this machine is somebody's: " + each.label};
        const auto inside = module.enter();
        const auto& api = module.api();
        CK_SLOT_ID slot = 0;
        CK_ULONG count = 1;
        if (const CK_RV rv = api.C_GetSlotList(CK_TRUE, &slot, &count); rv != CKR_OK)
            return Error{Errc::not_supported, "opencryptoki is configured for more than its software token"};
        std::array<CK_UTF8CHAR, 32> padded{};
        padded.fill(' ');
        std::ranges::copy(label_, padded.begin());
        const SecretBytes factory{"87654321"}, passing{"13579135"};
        const auto so = so_pin(), user = pin();
        const auto& first = there.empty() ? factory : so;
        CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
        CK_RV rv = api.C_InitToken(slot, text(first), first.size(), padded.data());
        if (rv == CKR_OK) rv = api.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
        if (rv == CKR_OK) rv = api.C_Login(session, CKU_SO, text(factory), factory.size());
        if (rv == CKR_OK) rv = api.C_SetPIN(session, text(factory), factory.size(), text(so), so.size());
        if (rv == CKR_OK) rv = api.C_InitPIN(session, text(passing), passing.size());
        if (rv == CKR_OK) rv = api.C_Logout(session);
        if (rv == CKR_OK) rv = api.C_Login(session, CKU_USER, text(passing), passing.size());
        if (rv == CKR_OK) rv = api.C_SetPIN(session, text(passing), passing.size(), text(user), user.size());
        if (session != CK_INVALID_HANDLE) api.C_CloseSession(session);
        if (rv != CKR_OK) return hsm::error_of(rv, "making opencryptoki's token");
        return success();
    }

private:
    static CK_UTF8CHAR* text(const SecretBytes& pin) { return const_cast<CK_UTF8CHAR*>(pin.reveal().data()); }

    Descriptor alone_;
    std::optional<Running> daemon_;
};

}  // namespace

Result<std::unique_ptr<ModulePlace>> set_up_opencryptoki(const policy::ModuleEntry& entry) {
    if (!fs::exists(entry.library))
        return Error{Errc::not_supported, entry.library + " is not there (package opencryptoki)"};
    if (!may_use())
        return Error{Errc::not_supported,
                     "this user is neither root nor in the group pkcs11, which opencryptoki asks for"};
    auto place = std::make_unique<OpenCryptoki>(entry);
    QSCD_TRY(place->start());
    return place;
}

}  // namespace qscd::instruments
