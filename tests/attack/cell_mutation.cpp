#include "tests/attack/cell_mutation.hpp"

#include <cstdio>
#include <cstdlib>
#include <google/protobuf/descriptor.h>

namespace qscd::attack {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Another text of the same kind: one bit of one byte, or a byte where there was none.
std::string changed(std::string text) {
    if (text.empty()) return "?";
    text.front() = static_cast<char>(text.front() ^ 1);
    return text;
}

void change_single(Message& message, const FieldDescriptor& field) {
    const auto& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
            return reflection.SetString(&message, &field, changed(reflection.GetString(message, &field)));
        case FieldDescriptor::CPPTYPE_BOOL:
            return reflection.SetBool(&message, &field, !reflection.GetBool(message, &field));
        case FieldDescriptor::CPPTYPE_UINT32:
            return reflection.SetUInt32(&message, &field, reflection.GetUInt32(message, &field) + 1);
        case FieldDescriptor::CPPTYPE_UINT64:
            return reflection.SetUInt64(&message, &field, reflection.GetUInt64(message, &field) + 1);
        case FieldDescriptor::CPPTYPE_INT64:
            return reflection.SetInt64(&message, &field, reflection.GetInt64(message, &field) + 1);
        case FieldDescriptor::CPPTYPE_ENUM: {
            const auto& values = *field.enum_type();
            const auto next = (reflection.GetEnum(message, &field)->index() + 1) % values.value_count();
            return reflection.SetEnum(&message, &field, values.value(next));
        }
        case FieldDescriptor::CPPTYPE_MESSAGE:
            if (reflection.HasField(message, &field)) return reflection.ClearField(&message, &field);
            reflection.MutableMessage(&message, &field);
            return;
        default: break;
    }
    std::fprintf(stderr, "no case for the type of %s\n", field.full_name().c_str());
    std::abort();
}

void change_repeated(Message& message, const FieldDescriptor& field) {
    const auto& reflection = *message.GetReflection();
    if (reflection.FieldSize(message, &field) > 0) return reflection.RemoveLast(&message, &field);
    switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING: return reflection.AddString(&message, &field, "?");
        case FieldDescriptor::CPPTYPE_INT64: return reflection.AddInt64(&message, &field, 1);
        case FieldDescriptor::CPPTYPE_MESSAGE: reflection.AddMessage(&message, &field); return;
        default: break;
    }
    std::fprintf(stderr, "no case for the type of %s\n", field.full_name().c_str());
    std::abort();
}

// The message that the field holds; made where there is none.
Message& below(Message& message, const FieldDescriptor& field) {
    const auto& reflection = *message.GetReflection();
    if (!field.is_repeated()) return *reflection.MutableMessage(&message, &field);
    if (reflection.FieldSize(message, &field) == 0) return *reflection.AddMessage(&message, &field);
    return *reflection.MutableRepeatedMessage(&message, &field, 0);
}

}  // namespace

std::vector<FieldChange> field_changes(const Descriptor& message) {
    std::vector<FieldChange> out;
    for (int i = 0; i < message.field_count(); ++i) {
        const auto& field = *message.field(i);
        out.push_back({field.name(), [&field](Message& of) {
                           if (field.is_repeated()) change_repeated(of, field);
                           else change_single(of, field);
                       }});
        if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
        for (auto& deeper : field_changes(*field.message_type()))
            out.push_back({field.name() + "." + deeper.name,
                           [&field, make = std::move(deeper.make)](Message& of) { make(below(of, field)); }});
    }
    return out;
}

}  // namespace qscd::attack
