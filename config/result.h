// What can go wrong outside the packet path, as a value: Result<T> is a T or an Error. An Error is
// a sentence for an operator (`what`) and the place it speaks of (`where`: "file",
// "file:line:column" or empty).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace sandgate {

struct Error
{
    std::string what;
    std::string where{};

    // "where: what", as every program prints it.
    std::string text() const { return where.empty() ? what : where + ": " + what; }
    bool operator==(const Error&) const = default;
};

template <class T>
class [[nodiscard]] Result
{
  public:
    // NOLINTNEXTLINE(google-explicit-constructor): a function returns its value as it is
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor): or its fault
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool is_ok() const { return state_.index() == 0; }
    explicit operator bool() const { return is_ok(); }

    // Only when is_ok().
    T& value() { return *std::get_if<0>(&state_); }
    const T& value() const { return *std::get_if<0>(&state_); }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    // Only when not is_ok().
    const Error& error() const { return *std::get_if<1>(&state_); }

  private:
    std::variant<T, Error> state_;
};

// The result of what has nothing to return.
struct Done
{
};

namespace config {
using sandgate::Done;
using sandgate::Error;
using sandgate::Result;
}  // namespace config

}  // namespace sandgate
