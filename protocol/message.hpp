// Strict decoding of messages between daemons: no unknown fields, one encoding only. Thread rules: pure functions.
#pragma once

#include <google/protobuf/message.h>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace qscd::protocol {

// Deterministic: equal messages give equal bytes.
Bytes encode(const google::protobuf::Message& message);

// Refuses bytes that are not exactly what encode() would give for the parsed message: unknown, repeated or reordered
// fields, trailing bytes. Errc::paper_refused.
Result<void> decode_into(ByteView bytes, google::protobuf::Message& message);

template <class Message>
Result<Message> decode(ByteView bytes) {
    Message message;
    QSCD_TRY(decode_into(bytes, message));
    return message;
}

}  // namespace qscd::protocol
