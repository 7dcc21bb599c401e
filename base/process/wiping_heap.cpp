// A heap that keeps nothing of what was freed: linked into a daemon it takes the place of free() and realloc(), for our
// code and for every library in the process, OpenSSL, SQLite, protobuf and the PKCS#11 module among them. The blocks
// themselves stay the C library's. [SAM-05] [T-49], docs/decisions/0015. Builds with sanitizers keep their own heap.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <malloc.h>

// The C library's own functions, under the names that it keeps for replacements such as this one.
extern "C" {
void __libc_free(void* block);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define QSCD_HEAP_IS_THE_SANITIZERS
#endif
#endif

#ifndef QSCD_HEAP_IS_THE_SANITIZERS
extern "C" {

void free(void* block) noexcept {
    if (block == nullptr) return;
    const int error = errno;
    ::explicit_bzero(block, ::malloc_usable_size(block));
    __libc_free(block);
    errno = error;
}

void* realloc(void* block, std::size_t size) noexcept {
    if (block == nullptr) return std::malloc(size);
    if (size == 0) {
        free(block);
        return nullptr;
    }
    const auto had = ::malloc_usable_size(block);
    if (size <= had && size >= had / 2) {  // it fits: what is cut off may be a secret all the same
        ::explicit_bzero(static_cast<char*>(block) + size, had - size);
        return block;
    }
    void* const moved = std::malloc(size);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(size, had));
    free(block);
    return moved;
}

}  // extern "C"

#endif
