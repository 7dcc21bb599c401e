// Threads that run what may block, behind a bounded queue. Private to this room. Thread rules: submit from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qscd::net {

class WorkerPool {
public:
    using Job = std::function<void()>;  // throws nothing

    WorkerPool(unsigned threads, std::size_t max_queued);
    ~WorkerPool();  // runs what is queued, then joins

    bool submit(Job job);  // false when the queue is full

private:
    void work();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> queue_;
    std::size_t max_queued_, idle_ = 0;
    bool closing_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace qscd::net
