// Anchors: a few bytes that change often and must be found whole in the token after any crash: how far a state outside
// the token had come. Two data objects are written in turn, each write synced before it is answered, so that at every
// instant one of them is whole and says what was answered last. [pkcs11 2.40, 4.5] [sam-state, section 4]
//
// Two forms, chosen when they are made by what the module can do: `label` writes CKA_LABEL of a modifiable data object
// (CKA_VALUE cannot be changed on SoftHSM), as text, in place; `numbered` makes a new object and then destroys the
// oldest. What an object holds carries a counter, its length and a SHA-256: torn, truncated and emptied ones are
// recognised and counted, never passed over in silence. That is against accidents. Against people the content must be
// signed by whoever writes it.
//
// Thread rules: one thread at a time; not on the Token's own pool. One writer in the world: write() looks at both
// objects before it overwrites one and again afterwards, and answers Errc::fenced when somebody else wrote there.
//
// PKCS#11 cannot compare and set, so an owner that sleeps between its look and its write may wake up under another. It
// then writes into the object that it looked at. So a new owner overwrites nothing of its predecessor's: its first two
// writes make objects of its own, with counters out of the other's reach, and destroy the old ones. What a late writer can
// still do:
// - before the new owner's first write: its content lands, and the new owner is fenced by it; a start anew mends that;
// - during that write: it may be told success for an object that is just being destroyed. Its next write is fenced, and
//   the new owner's anchor is untouched;
// - afterwards: its object is gone, and the module says so. A module that lets a destroyed object come back under such a
//   race brings back one with a lower counter, which is passed over, and destroyed after the next look;
// - in the form `numbered`: make an object with a lower counter, and hear of success until its module's search shows it the
//   new owner's (SoftHSM, which has the other form, overlooks those made just before one of its own, until the next change).
// Never does it touch an anchor that the new owner was told is written.
#pragma once

#include "hsm/token.hpp"

namespace qscd::hsm {

class Anchors {
public:
    static constexpr std::size_t largest_content = 512;  // bytes
    static constexpr std::size_t longest_label = 742;    // characters of the form `label` for it

    enum class Form { none, label, numbered };
    struct Contents {
        std::vector<Bytes> whole;  // newest first
        unsigned damaged = 0;      // objects that are there and not whole, and how many are missing from two
    };

    // Finds them, or reports their absence by present(). `name` goes into CKA_APPLICATION. The token must outlive this.
    // Errc::token_away; Errc::internal when the module holds what we did not make.
    static Result<Anchors> open(Token& token, std::string name);

    bool present() const { return form_ != Form::none; }  // at least one object, whole or not
    Form form() const { return form_; }

    // Makes both, both holding `content`, durable on return. Errc::configuration when there is one already.
    // `only` keeps from asking the module for its form.
    Result<void> create(ByteView content, Form only = Form::none);

    // From the token, not from memory. An absent token is Errc::token_away, never an empty answer.
    Result<Contents> read();

    // Overwrites the older one, or the damaged or missing one, and syncs; makes it anew instead while it is another owner's.
    // After a failure the next write goes to the
    // same place, so the other stays whole. Errc::parameter_invalid above largest_content; Errc::out_of_order when
    // absent; Errc::fenced when the newest object is not as this process last read or wrote it, or was changed while this
    // was written; Errc::token_away, Errc::store_away (the sync).
    Result<void> write(ByteView content);

private:
    struct Place {
        CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
        char letter = 0;            // form label: 'a' or 'b'
        std::uint64_t counter = 0;  // 0: not whole
        Bytes frame = {};           // what the object holds, as stored
    };

    static Bytes newest_of(const std::vector<Place>& places);  // empty: none is whole
    Anchors(Token& token, std::string name) : token_(&token), name_(std::move(name)) {}
    Result<void> look(Session& session);  // fills places_, newest first
    void trust_what_is_there();           // the newest is now ours
    bool are_as_known(Session& session) const;
    Result<void> settle(Session& session);  // the newest is still ours, and all handles are good
    bool is_intact(Session& session, const Place& place) const;
    Result<void> confirm(Session& session, std::optional<Place>& fresh);  // nobody else wrote meanwhile
    std::uint64_t next_counter() const;
    Result<Place> put(Session& session, std::uint64_t counter, const Bytes& frame);
    Result<void> shorten(Session& session);
    Result<CK_OBJECT_HANDLE> make(Session& session, Form form, char letter, ByteView frame);
    bool takes_labels(Session& session, CK_OBJECT_HANDLE object);
    std::string application(Form form, char letter) const;

    Token* token_;
    std::string name_;
    Form form_ = Form::none;
    std::vector<Place> places_;
    Bytes kept_, attempted_;        // the frame last read or answered; the one a failed write may have left
    std::uint64_t counter_ = 0;     // the highest ever used
    std::uint64_t generation_ = 0;  // of the session, for the handles; 0: look again
    unsigned not_ours_ = 2;         // of the objects: made by an owner before us
};

}  // namespace qscd::hsm
