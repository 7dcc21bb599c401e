// The spy, as the process that loaded it can ask and command it directly, without its files. One instance a library file: a
// copy of the file under another name is another spy, with a module of its own behind it.
#pragma once

#include <filesystem>
#include <string>

namespace qscd::spy {

class Instance {
public:
    // Of the spy that was loaded from `library`.
    explicit Instance(const std::filesystem::path& library);
    unsigned long calls(const char* function) const { return calls_(function); }  // since it was loaded
    unsigned long open_sessions() const { return open_sessions_(); }
    // Takes the place of what the control file said.
    void command(const std::string& lines) const { command_(lines.c_str()); }

private:
    unsigned long (*calls_)(const char*);
    unsigned long (*open_sessions_)();
    void (*command_)(const char*);
};

}  // namespace qscd::spy
