#include "base/net/worker_pool.hpp"

#include "base/stack.hpp"

namespace qscd::net {

WorkerPool::WorkerPool(unsigned threads, std::size_t max_queued) : max_queued_(max_queued), idle_(threads) {
    threads_.reserve(threads);
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

WorkerPool::~WorkerPool() {
    {
        const std::scoped_lock lock{mutex_};
        closing_ = true;
    }
    changed_.notify_all();
    threads_.clear();
}

bool WorkerPool::submit(Job job) {
    {
        const std::scoped_lock lock{mutex_};
        if (queue_.size() >= max_queued_ + idle_) return false;  // what an idle worker will take does not wait
        queue_.push_back(std::move(job));
    }
    changed_.notify_one();
    return true;
}

void WorkerPool::work() {
    std::unique_lock lock{mutex_};
    while (true) {
        changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        {
            Job job = std::move(queue_.front());
            queue_.pop_front();
            --idle_;
            lock.unlock();
            job();
        }
        wipe_stack();
        lock.lock();
        ++idle_;
    }
}

}  // namespace qscd::net
