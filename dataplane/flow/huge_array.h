// An array that is made once and asks the kernel for 2 MiB pages: a table of a million flows lies
// on 30,000 ordinary pages, and a look-up would wait for their addresses as long as for the data.
// Where the kernel gives no huge pages the array is the same, and slower. All of it is touched at
// once, so that nothing is left to fault in on the packet path.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace sandgate::dp {

template <typename T>
class HugeArray
{
  public:
    static_assert(std::is_trivially_destructible_v<T>);

    // Value-initialised. Throws std::bad_alloc, as containers do: tables are made before traffic.
    explicit HugeArray(size_t count) : size_(count), mapped_bytes_(count * sizeof(T) + 2 * kPage)
    {
        mapped_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (mapped_ == MAP_FAILED)
            throw std::bad_alloc();
        void* start = mapped_;
        size_t room = mapped_bytes_;
        std::align(kPage, kPage, start, room);
        const size_t bytes = count * sizeof(T);
        // Advice: where it is not taken, the array works as well. Not for what is small.
        if (bytes >= kPage)
            madvise(start, (bytes + kPage - 1) / kPage * kPage, MADV_HUGEPAGE);
        data_ = static_cast<T*>(start);
        std::uninitialized_value_construct_n(data_, count);
    }
    ~HugeArray() { munmap(mapped_, mapped_bytes_); }
    HugeArray(const HugeArray&) = delete;
    HugeArray& operator=(const HugeArray&) = delete;

    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }
    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }

  private:
    static constexpr size_t kPage = 2u << 20;

    size_t size_;
    size_t mapped_bytes_;
    void* mapped_;
    T* data_;
};

}  // namespace sandgate::dp
