#include "protocol/message.hpp"

#include <algorithm>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/secret.hpp"

namespace qscd::protocol {

Bytes encode(const google::protobuf::Message& message) {
    Bytes out(message.ByteSizeLong());
    google::protobuf::io::ArrayOutputStream stream{out.data(), static_cast<int>(out.size())};
    google::protobuf::io::CodedOutputStream coded{&stream};
    coded.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&coded);
    return out;
}

Result<void> decode_into(ByteView bytes, google::protobuf::Message& message) {
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return Error{Errc::paper_refused, "not a " + message.GetTypeName()};
    message.DiscardUnknownFields();
    auto again = encode(message);
    const bool the_same = std::ranges::equal(again, bytes);
    wipe(again);
    if (!the_same) return Error{Errc::paper_refused, "not the one encoding of a " + message.GetTypeName()};
    return success();
}

}  // namespace qscd::protocol
