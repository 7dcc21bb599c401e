// One connection to one kind of store. Inside this room only. Thread rules: one thread at a time.
#pragma once

#include "base/store/database.hpp"

namespace qscd::store {

// What a failure means for whoever wants to try again.
enum class Trouble {
    none,
    refused,   // the store understood and said no: the same again will fail again
    conflict,  // somebody else's transaction came between: certainly undone, worth repeating
    away,      // the store cannot be reached: certainly nothing was done
    unknown,   // lost while the store was about to make it durable: done or not, nobody can say
};

class Backend {
public:
    virtual ~Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    // Rows affected. Without on_row the rows are dropped. What on_row throws passes through.
    virtual Result<std::size_t> run(std::string_view sql, const std::vector<Value>& parameters,
                                    const OnRow* on_row) = 0;
    virtual Result<void> begin() = 0;
    virtual Result<void> begin_migration() = 0;  // waits for whoever migrates the same store
    virtual Result<void> commit() = 0;
    virtual void roll_back() noexcept = 0;
    virtual std::string translated(std::string_view migration) const = 0;  // from how migrations are spelt

    // Of the latest call that failed; begin() and begin_migration() forget what was.
    Trouble trouble() const { return trouble_; }

protected:
    Backend() = default;
    Error failed(Trouble trouble, std::string_view what, std::string_view detail) {
        trouble_ = trouble;
        return {Errc::store_away, std::string{what.substr(0, shown_of_sql)} + ": " + std::string{detail}};
    }
    static constexpr std::size_t shown_of_sql = 40;
    Trouble trouble_ = Trouble::none;
};

Result<std::unique_ptr<Backend>> open_sqlite(const std::filesystem::path& file);
Result<std::unique_ptr<Backend>> open_postgresql(const Server& server);

}  // namespace qscd::store
