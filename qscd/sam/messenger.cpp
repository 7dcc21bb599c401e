#include "qscd/sam/messenger.hpp"

#include "base/stack.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"

namespace qscd::sam {

Messenger::Messenger(protocol::Client& notifier) : notifier_(notifier), thread_([this] { serve(); }) {}

Messenger::~Messenger() {
    {
        const std::lock_guard guard{lock_};
        stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
}

void Messenger::send_sms(std::string phone, SecretBytes text, std::function<void(const Result<void>&)> done) {
    {
        const std::lock_guard guard{lock_};
        messages_.push_back({std::move(phone), std::move(text), std::move(done), current_request()});
    }
    arrived_.notify_one();
}

void Messenger::serve() {
    for (;;) {
        std::unique_lock guard{lock_};
        arrived_.wait(guard, [&] { return stopping_ || !messages_.empty(); });
        if (stopping_) return;
        auto message = std::move(messages_.front());
        messages_.pop_front();
        guard.unlock();
        const RequestScope scope{message.request};
        pb::NotifierRequest request;
        auto& notify = *request.mutable_notify();
        notify.set_channel(pb::Notify::SMS);
        notify.set_to(message.phone);
        notify.set_text(std::string{text_of(message.text.reveal())});
        const auto sent = notifier_.call<pb::Done>(request);
        wipe(*notify.mutable_text());
        wipe_stack();
        message.done(sent ? Result<void>{success()} : Result<void>{Error{Errc::service_away, describe(sent.error())}});
    }
}

}  // namespace qscd::sam
