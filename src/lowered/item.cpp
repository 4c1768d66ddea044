#include "item.hpp"

#include <fstream>
#include <iterator>

namespace spikeflow {
namespace {

class Reader {
public:
    explicit Reader(std::vector<char> bytes) : bytes_(std::move(bytes)) {}

    Item item(int depth = 0) {
        if (depth > 16) throw Refused("lists within lists");
        Item out;
        out.kind = static_cast<Item::Kind>(*take(1));
        switch (out.kind) {
            case Item::Kind::none: break;
            case Item::Kind::truth: out.whole = *take(1) != 0; break;
            case Item::Kind::whole: out.whole = number<int64_t>(); break;
            case Item::Kind::real: out.real = number<double>(); break;
            case Item::Kind::word: {
                const auto size = number<uint32_t>();
                out.word.assign(take(size), size);
                break;
            }
            case Item::Kind::list:
                for (auto left = number<uint32_t>(); left > 0; --left) out.items.push_back(item(depth + 1));
                break;
            case Item::Kind::array: array(out); break;
            default: throw Refused("no file of calls");
        }
        return out;
    }

private:
    const char* take(std::size_t count) {
        if (count > bytes_.size() - at_) throw Refused("a file of calls that ends too early");
        at_ += count;
        return bytes_.data() + at_ - count;
    }
    template <class T>
    T number() {
        T out;
        std::memcpy(&out, take(sizeof out), sizeof out);
        return out;
    }
    void array(Item& out) {
        out.type = *take(1);
        out.bytes = *take(1);
        const bool known = (out.type == 'i' || out.type == 'u' || out.type == 'f') && out.bytes > 0 && out.bytes <= 8;
        const auto size = number<uint64_t>();
        if (!known || size % static_cast<uint64_t>(out.bytes) != 0) throw Refused("an array of an unknown type");
        const char* const from = take(size);
        out.data.resize(size);
        if (size != 0) std::memcpy(out.data.data(), from, size);
    }

    std::vector<char> bytes_;
    std::size_t at_ = 0;
};

class Writer {
public:
    explicit Writer(const std::string& path) : to_(path, std::ios::binary) {}

    void item(const Item& it) {
        number(static_cast<char>(it.kind));
        switch (it.kind) {
            case Item::Kind::none: break;
            case Item::Kind::truth: number(static_cast<char>(it.whole)); break;
            case Item::Kind::whole: number(it.whole); break;
            case Item::Kind::real: number(it.real); break;
            case Item::Kind::word:
                number(static_cast<uint32_t>(it.word.size()));
                to_ << it.word;
                break;
            case Item::Kind::list: list(it.items); break;
            case Item::Kind::array:
                number(it.type);
                number(static_cast<char>(it.bytes));
                number(static_cast<uint64_t>(it.data.size()));
                to_.write(reinterpret_cast<const char*>(it.data.data()), static_cast<std::streamsize>(it.data.size()));
        }
    }
    void list(const std::vector<Item>& items) {
        number(static_cast<uint32_t>(items.size()));
        for (const Item& one : items) item(one);
    }

private:
    template <class T>
    void number(T value) { to_.write(reinterpret_cast<const char*>(&value), sizeof value); }

    std::ofstream to_;
};

void expect(bool holds, const char* reason) {
    if (!holds) throw Refused(reason);
}

}  // namespace

bool Item::as_truth() const {
    expect(kind == Kind::truth, "neither true nor false");
    return whole != 0;
}

int64_t Item::as_whole() const {
    expect(kind == Kind::whole, "no whole number");
    return whole;
}

int32_t Item::as_int() const {
    expect(as_whole() >= INT32_MIN && whole <= INT32_MAX, "a number beyond 32 bits");
    return static_cast<int32_t>(whole);
}

double Item::as_real() const {
    expect(kind == Kind::real || kind == Kind::whole, "no number");
    return kind == Kind::real ? real : static_cast<double>(whole);
}

const std::string& Item::as_word() const {
    expect(kind == Kind::word, "no word");
    return word;
}

const std::vector<Item>& Item::as_list() const {
    expect(kind == Kind::list, "no list");
    return items;
}

const std::vector<Item>& Item::as_list(std::size_t count) const {
    expect(as_list().size() == count, "a list of another length");
    return items;
}

std::vector<Item> read_calls(const std::string& path) {
    std::ifstream from(path, std::ios::binary);
    expect(from.good(), "a file of calls that cannot be read");
    Reader reader(std::vector<char>(std::istreambuf_iterator<char>(from), {}));
    return reader.item().as_list();
}

void write_calls(const std::string& path, const std::vector<Item>& calls) {
    Item all;
    all.kind = Item::Kind::list;
    all.items = calls;
    Writer(path).item(all);
}

}  // namespace spikeflow
