#include "hsm/anchor.hpp"

#include <algorithm>

#include "hsm/session.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_OBJECT_CLASS data_class = CKO_DATA;
constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
constexpr std::string_view domain = "qscd/anchor/v1";
constexpr std::string_view text_mark = "1.";  // of the form label: the frame follows in base64
constexpr std::size_t head_size = 8 + 2, frame_overhead = head_size + Sha256Digest::size;
static_assert(Anchors::longest_label == text_mark.size() + (Anchors::largest_content + frame_overhead + 2) / 3 * 4);
constexpr std::size_t largest_stored = 1024;  // bytes or characters of one object
constexpr std::size_t expected_objects = 2;
constexpr std::array letters{'a', 'b'};
// How far a new owner's first counter is from the last it saw: more than an owner before it may have tried and failed.
constexpr std::uint64_t out_of_reach = std::uint64_t{1} << 20;

// counter (8 bytes), length (2 bytes), content, SHA-256 over the domain and all before.
Bytes frame_of(std::uint64_t counter, ByteView content) {
    Bytes out;
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(counter >> shift));
    for (int shift = 8; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(content.size() >> shift));
    out.insert(out.end(), content.begin(), content.end());
    const auto seal = sha256({view_of(domain), out});
    out.insert(out.end(), seal.bytes().begin(), seal.bytes().end());
    return out;
}

struct Opened {
    std::uint64_t counter;
    Bytes content;
};
std::optional<Opened> opened(ByteView frame) {
    if (frame.size() < frame_overhead) return std::nullopt;
    const auto body = frame.first(frame.size() - Sha256Digest::size);
    const auto seal = sha256({view_of(domain), body});
    if (!std::ranges::equal(seal.bytes(), frame.last(Sha256Digest::size))) return std::nullopt;
    Opened out{0, Bytes(body.begin() + head_size, body.end())};
    for (std::size_t i = 0; i < 8; ++i) out.counter = (out.counter << 8) | body[i];
    const auto length = static_cast<std::size_t>((body[8] << 8) | body[9]);
    if (out.counter == 0 || length != out.content.size()) return std::nullopt;
    return out;
}

std::string label_of(ByteView frame) { return std::string{text_mark} + to_base64(frame); }

// What an object stores, as a frame; nothing of use gives an empty one.
Bytes frame_in(Anchors::Form form, ByteView stored) {
    if (form == Anchors::Form::numbered) return {stored.begin(), stored.end()};
    const auto text = text_of(stored);
    if (!text.starts_with(text_mark)) return {};
    return from_base64(text.substr(text_mark.size())).value_or(Bytes{});
}

CK_ATTRIBUTE_TYPE home_of(Anchors::Form form) { return form == Anchors::Form::label ? CKA_LABEL : CKA_VALUE; }

}  // namespace

Bytes Anchors::newest_of(const std::vector<Place>& places) {
    return !places.empty() && places.front().counter != 0 ? places.front().frame : Bytes{};
}

std::string Anchors::application(Form form, char letter) const {
    return form == Form::numbered ? name_ + ".numbered" : name_ + ".label." + letter;
}

Result<Anchors> Anchors::open(Token& token, std::string name) {
    Anchors out{token, std::move(name)};
    QSCD_TRY(token.on_session([&](Session& session) { return out.look(session); }));
    out.trust_what_is_there();
    return out;
}

Result<void> Anchors::look(Session& session) {
    std::vector<Place> found;
    Form form = Form::none;
    const auto gather = [&](Form which, char letter) -> Result<void> {
        const auto application_name = application(which, letter);
        const std::array wanted{attribute(CKA_CLASS, data_class),
                                attribute_bytes(CKA_APPLICATION, view_of(application_name))};
        QSCD_TRY(auto handles, session.search(wanted));
        if (handles.empty()) return success();
        if (form != Form::none && form != which)
            return Error{Errc::internal, "anchors " + name_ + " in two forms in the token"};
        form = which;
        for (const auto handle : handles) {
            Place place{handle, letter};
            // Unreadable is damaged, not fatal: that is what the other one is for.
            if (const auto stored = session.read_up_to(handle, home_of(which), largest_stored)) {
                place.frame = frame_in(which, stored.value());
                if (const auto content = opened(place.frame)) place.counter = content->counter;
            } else {
                QSCD_TRY(session.token_is_there());
            }
            found.push_back(std::move(place));
        }
        return success();
    };
    for (const char letter : letters) {
        QSCD_TRY(gather(Form::label, letter));
    }
    QSCD_TRY(gather(Form::numbered, 0));
    QSCD_TRY(session.token_is_there());  // an absent token is no absent anchor
    std::ranges::sort(found, std::ranges::greater{}, &Place::counter);
    places_ = std::move(found);
    form_ = form;
    generation_ = session.generation();
    if (!places_.empty()) counter_ = std::max(counter_, places_.front().counter);
    return success();
}

Result<Anchors::Contents> Anchors::read() {
    QSCD_TRY(token_->on_session([&](Session& session) { return look(session); }));
    trust_what_is_there();
    Contents out;
    for (const auto& place : places_) {
        if (auto content = opened(place.frame)) out.whole.push_back(std::move(content->content));
        else ++out.damaged;
    }
    if (places_.size() < expected_objects) out.damaged += static_cast<unsigned>(expected_objects - places_.size());
    return out;
}

Result<CK_OBJECT_HANDLE> Anchors::make(Session& session, Form form, char letter, ByteView frame) {
    const auto application_name = application(form, letter);
    const auto label = form == Form::label ? label_of(frame) : name_;
    std::vector<CK_ATTRIBUTE> object{attribute(CKA_CLASS, data_class),
                                     attribute(CKA_TOKEN, yes),
                                     attribute(CKA_PRIVATE, yes),  // nobody reads or writes it without the PIN
                                     attribute(CKA_MODIFIABLE, form == Form::label ? yes : no),
                                     attribute_bytes(CKA_APPLICATION, view_of(application_name)),
                                     attribute_bytes(CKA_LABEL, view_of(label))};
    if (form == Form::numbered) object.push_back(attribute_bytes(CKA_VALUE, frame));
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    if (const CK_RV rv = session.api().C_CreateObject(session.handle(), object.data(), object.size(), &handle);
        rv != CKR_OK)
        return error_of(rv, "C_CreateObject");
    return handle;
}

// Proved with the longest label there will ever be.
bool Anchors::takes_labels(Session& session, CK_OBJECT_HANDLE object) {
    const auto longest = label_of(frame_of(1, Bytes(largest_content, 0xa5)));
    auto change = attribute_bytes(CKA_LABEL, view_of(longest));
    if (session.api().C_SetAttributeValue(session.handle(), object, &change, 1) != CKR_OK) return false;
    const auto back = session.read_up_to(object, CKA_LABEL, largest_stored);
    return back && text_of(back.value()) == longest;
}

Result<void> Anchors::create(ByteView content, Form only) {
    if (content.size() > largest_content) return Error{Errc::parameter_invalid, "an anchor's content is too long"};
    if (present()) return Error{Errc::configuration, "token " + token_->label() + " has anchors " + name_ + " already"};
    QSCD_TRY(token_->on_session([&](Session& session) -> Result<void> {
        Form form = only;
        if (form == Form::none) {
            const auto trial = make(session, Form::label, letters[0], frame_of(1, {}));
            form = trial && takes_labels(session, trial.value()) ? Form::label : Form::numbered;
            if (trial) session.api().C_DestroyObject(session.handle(), trial.value());
        }
        for (const char letter : letters) {
            QSCD_TRY(make(session, form, form == Form::label ? letter : char{0}, frame_of(++counter_, content)));
        }
        return look(session);
    }));
    trust_what_is_there();
    not_ours_ = 0;
    return token_->module().make_durable();
}

void Anchors::trust_what_is_there() {
    auto newest = newest_of(places_);
    if (newest != kept_ && newest != attempted_) not_ours_ = expected_objects;
    kept_ = std::move(newest);
    attempted_.clear();
}

bool Anchors::is_intact(Session& session, const Place& place) const {
    const auto stored = session.read_up_to(place.handle, home_of(form_), largest_stored);
    return stored && frame_in(form_, stored.value()) == place.frame;
}

bool Anchors::are_as_known(Session& session) const {
    return form_ == Form::label && generation_ == session.generation() &&
           std::ranges::all_of(places_, [&](const Place& place) { return is_intact(session, place); });
}

// Before the older one is given up, both must be as this process knows them: a late writer would tear down the last
// whole one of whoever followed it.
Result<void> Anchors::settle(Session& session) {
    if (are_as_known(session)) return success();
    QSCD_TRY(look(session));
    const auto newest = newest_of(places_);
    if (newest != kept_ && (attempted_.empty() || newest != attempted_))
        return Error{Errc::fenced, "the anchors " + name_ + " were changed by somebody else"};
    return success();
}

// In the form `numbered` another's objects are found by searching alone: nobody overwrites ours.
Result<void> Anchors::confirm(Session& session, std::optional<Place>& fresh) {
    if (form_ == Form::label &&
        std::ranges::all_of(places_, [&](const Place& place) { return is_intact(session, place); }) &&
        is_intact(session, *fresh))
        return success();
    QSCD_TRY(look(session));
    fresh.reset();  // among places_ now
    if (newest_of(places_) != attempted_)
        return Error{Errc::fenced, "the anchors " + name_ + " were changed by somebody else meanwhile"};
    return success();
}

std::uint64_t Anchors::next_counter() const {
    return counter_ + (not_ours_ == expected_objects ? out_of_reach : std::uint64_t{1});
}

Result<Anchors::Place> Anchors::put(Session& session, std::uint64_t counter, const Bytes& frame) {
    Place fresh{CK_INVALID_HANDLE, 0, counter, frame};
    if (form_ == Form::numbered || places_.size() < expected_objects || not_ours_ != 0) {
        if (form_ == Form::label) fresh.letter = places_.front().letter == letters[0] ? letters[1] : letters[0];
        QSCD_TRY(fresh.handle, make(session, form_, fresh.letter, frame));
        return fresh;
    }
    fresh.handle = places_.back().handle;
    fresh.letter = places_.back().letter;
    const auto label = label_of(frame);
    auto change = attribute_bytes(CKA_LABEL, view_of(label));
    if (const CK_RV rv = session.api().C_SetAttributeValue(session.handle(), fresh.handle, &change, 1); rv != CKR_OK) {
        QSCD_TRY(session.token_is_there());
        return error_of(rv, "C_SetAttributeValue");
    }
    places_.pop_back();
    return fresh;
}

Result<void> Anchors::shorten(Session& session) {
    while (places_.size() > expected_objects) {
        if (const CK_RV rv = session.api().C_DestroyObject(session.handle(), places_.back().handle); rv != CKR_OK)
            return error_of(rv, "C_DestroyObject");
        places_.pop_back();
    }
    return success();
}

Result<void> Anchors::write(ByteView content) {
    if (content.size() > largest_content) return Error{Errc::parameter_invalid, "an anchor's content is too long"};
    if (!present()) return Error{Errc::out_of_order, "token " + token_->label() + " has no anchors " + name_};
    // What a failed write left must be safe on the disk before its neighbour is given up.
    if (!attempted_.empty()) {
        QSCD_TRY(token_->module().make_durable());
    }
    std::optional<Place> fresh;
    auto done = token_->on_session([&](Session& session) -> Result<void> {
        QSCD_TRY(settle(session));
        counter_ = next_counter();
        attempted_ = frame_of(counter_, content);
        generation_ = 0;
        auto written = put(session, counter_, attempted_);
        if (!written) {
            const auto after = settle(session);  // who lost the token to somebody else is told so
            return !after && after.error().code == Errc::fenced ? after.error() : written.error();
        }
        fresh = std::move(written.value());
        generation_ = session.generation();
        return confirm(session, fresh);
    });
    if (done) done = token_->module().make_durable();
    if (!done) {
        generation_ = 0;
        return done;
    }
    if (fresh) places_.insert(places_.begin(), *std::move(fresh));
    kept_ = std::move(attempted_);
    attempted_.clear();
    if (not_ours_ != 0) --not_ours_;
    if (places_.size() <= expected_objects) return success();
    return token_->on_session([&](Session& session) { return shorten(session); });
}

}  // namespace qscd::hsm
