// SPDX-License-Identifier: MIT
// Every simd_* and quad_* function, on types, masks of active lanes and both paths -> its
// definition.
#include <bitset>
#include <cstring>
#include <functional>

#include "check.h"
#include "runner.h"

namespace {

// Values are small whole numbers, exact in every type whatever the order of operations.
struct Type {
  const char *ir, *suffix;
  unsigned bytes;
  bool is_float, is_signed;
};

constexpr Type types[] = {
    {"i32", "s.i32", 4, false, true},  {"i32", "u.i32", 4, false, false},
    {"i16", "u.i16", 2, false, false}, {"i8", "s.i8", 1, false, true},
    {"float", "f32", 4, true, true},   {"half", "f16", 2, true, true},
};

Bytes encode(const Type& type, int64_t value) {
  Bytes out(type.bytes);
  if (!type.is_float) {
    memcpy(out.data(), &value, type.bytes);
  } else if (type.bytes == 4) {
    float f = float(value);
    memcpy(out.data(), &f, 4);
  } else {
    _Float16 h = _Float16(float(value));
    memcpy(out.data(), &h, 2);
  }
  return out;
}

/// The value as the type orders it.
int64_t in_order(const Type& type, int64_t value) {
  if (type.is_float || type.is_signed) return value;
  return value & ((1ll << 8 * type.bytes) - 1);
}

struct Lanes {
  int64_t x[32], fill[32];
  unsigned index[32];
  uint32_t active;  // the lanes of this simdgroup or quad that take part
  unsigned first, width;
  bool has(unsigned lane) const { return active >> lane & 1; }
};

/// What `lane` gets; sets `defined` to false where MSL leaves it open.
using Definition = std::function<int64_t(const Lanes&, unsigned lane, const Type&, bool& defined)>;

Definition fold(int64_t (*combine)(int64_t, int64_t, const Type&)) {
  return [combine](const Lanes& l, unsigned, const Type& type, bool&) {
    bool begun = false;
    int64_t total = 0;
    for (unsigned i = 0; i < 32; ++i)
      if (l.has(i)) {
        total = begun ? combine(total, l.x[i], type) : l.x[i];
        begun = true;
      }
    return total;
  };
}

Definition scan(bool product, bool inclusive) {
  return [=](const Lanes& l, unsigned lane, const Type&, bool&) {
    int64_t total = product ? 1 : 0;
    for (unsigned i = 0; i < lane + (inclusive ? 1 : 0); ++i)
      if (l.has(i)) total = product ? total * l.x[i] : total + l.x[i];
    return total;
  };
}

/// A shuffle: `from` gives the lane to read, counted in the group, or -1 for its own value.
Definition move(int (*from)(int at, int index, int width)) {
  return [from](const Lanes& l, unsigned lane, const Type&, bool& defined) {
    int at = from(int(lane - l.first), int(l.index[lane]), int(l.width));
    unsigned source = at < 0 ? lane : l.first + unsigned(at);
    defined = at >= 0 && l.has(source);
    return l.x[source];
  };
}

struct Function {
  const char* name;
  bool integer_only;
  enum { none, uniform, varying } index;  // what the second operand is
  Definition definition;
};

const Function functions[] = {
    {"sum", false, Function::none, fold([](int64_t a, int64_t b, const Type&) { return a + b; })},
    {"product", false, Function::none,
     fold([](int64_t a, int64_t b, const Type&) { return a * b; })},
    {"min", false, Function::none, fold([](int64_t a, int64_t b, const Type& t) {
       return in_order(t, a) < in_order(t, b) ? a : b;
     })},
    {"max", false, Function::none, fold([](int64_t a, int64_t b, const Type& t) {
       return in_order(t, a) < in_order(t, b) ? b : a;
     })},
    {"and", true, Function::none, fold([](int64_t a, int64_t b, const Type&) { return a & b; })},
    {"or", true, Function::none, fold([](int64_t a, int64_t b, const Type&) { return a | b; })},
    {"xor", true, Function::none, fold([](int64_t a, int64_t b, const Type&) { return a ^ b; })},
    {"prefix_inclusive_sum", false, Function::none, scan(false, true)},
    {"prefix_exclusive_sum", false, Function::none, scan(false, false)},
    {"prefix_inclusive_product", false, Function::none, scan(true, true)},
    {"prefix_exclusive_product", false, Function::none, scan(true, false)},
    {"broadcast_first", false, Function::none,
     [](const Lanes& l, unsigned, const Type&, bool&) { return l.x[__builtin_ctz(l.active)]; }},
    {"broadcast", false, Function::uniform, move([](int, int i, int w) { return i % w; })},
    {"shuffle", false, Function::varying, move([](int, int i, int w) { return i % w; })},
    {"shuffle_xor", false, Function::uniform,
     move([](int at, int i, int w) { return at ^ (i % w); })},
    {"shuffle_up", false, Function::uniform, move([](int at, int i, int) { return at - i; })},
    {"shuffle_down", false, Function::uniform,
     move([](int at, int i, int w) { return at + i < w ? at + i : -1; })},
    {"shuffle_rotate_up", false, Function::uniform,
     move([](int at, int i, int w) { return (at + 4 * w - i) % w; })},
    {"shuffle_rotate_down", false, Function::uniform,
     move([](int at, int i, int w) { return (at + i) % w; })},
};

/// out[lane] = f(x[lane], index) for the lanes of a mask.
std::string kernel_text(const std::string& name, const Type& type, bool indexed) {
  std::string ir = type.ir;
  std::string declared = ir + " (" + ir + (indexed ? ", i16)" : ")");
  std::string text =
      "define void @k(ptr addrspace(1) %x, ptr addrspace(1) %index, ptr addrspace(1) "
      "%out, ptr addrspace(2) %mask, i32 %lane) {\n"
      "  %m = load i32, ptr addrspace(2) %mask\n"
      "  %s = lshr i32 %m, %lane\n  %bit = trunc i32 %s to i1\n"
      "  %wide = zext i32 %lane to i64\n"
      "  br i1 %bit, label %on, label %off\non:\n";
  text += "  %px = getelementptr " + ir + ", ptr addrspace(1) %x, i64 %wide\n" + "  %v = load " +
          ir + ", ptr addrspace(1) %px\n" +
          "  %pi = getelementptr i16, ptr addrspace(1) %index, i64 %wide\n" +
          "  %i = load i16, ptr addrspace(1) %pi\n" + "  %r = call " + ir + " @" + name + "(" + ir +
          " %v" + (indexed ? ", i16 %i" : "") + ") #0\n" + "  %po = getelementptr " + ir +
          ", ptr addrspace(1) %out, i64 %wide\n" + "  store " + ir +
          " %r, ptr addrspace(1) %po\n  br label %off\noff:\n  ret void\n}\n" + "declare " + ir +
          " @" + name + declared.substr(ir.size() + 1) +
          " #0\nattributes #0 = { convergent nounwind willreturn memory(none) }\n";
  return text + kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                                 buffer_argument(2, 2, 1), buffer_argument(3, 3, 2),
                                 builtin_argument(4, "thread_index_in_simdgroup")});
}

void check(Path path, const Function& function, const Type& type, unsigned width, uint32_t mask,
           unsigned threads) {
  std::string name =
      std::string(width == 32 ? "air.simd_" : "air.quad_") + function.name + "." + type.suffix;
  Lanes lanes{};
  lanes.width = width;
  std::vector<uint16_t> indices(32);
  Bytes x, untouched;
  for (unsigned i = 0; i < 32; ++i) {
    lanes.x[i] = i % 7 == 3 ? 2 : i % 3 == 0 ? -1 : 1;
    indices[i] = uint16_t(function.index == Function::varying ? i * 5 % width : 3 % width);
    lanes.index[i] = indices[i];
    for (uint8_t byte : encode(type, lanes.x[i])) x.push_back(byte);
    for (uint8_t byte : encode(type, 77)) untouched.push_back(byte);
  }
  std::vector<Bytes> buffers = {x, bytes_of(indices), untouched,
                                bytes_of(std::vector<uint32_t>{mask})};
  std::string error = run_kernel(path, kernel_text(name, type, function.index != Function::none),
                                 buffers, Grid{{threads, 1, 1}, {threads, 1, 1}});
  if (!error.empty()) fprintf(stderr, "%s %s\n", name_of(path), error.c_str());
  REQUIRE(error.empty());
  uint32_t present = threads < 32 ? (1u << threads) - 1 : ~0u;
  for (unsigned lane = 0; lane < 32; ++lane) {
    lanes.first = lane / width * width;
    lanes.active = mask & present & (width == 32 ? ~0u : 15u << lanes.first);
    bool defined = true;
    int64_t expected = 77;
    if (lanes.has(lane)) expected = function.definition(lanes, lane, type, defined);
    Bytes got(buffers[2].begin() + lane * type.bytes, buffers[2].begin() + (lane + 1) * type.bytes);
    if (!defined || got == encode(type, expected)) continue;
    int64_t bits = 0;
    memcpy(&bits, got.data(), type.bytes);
    fprintf(stderr, "%s %s mask %08x threads %u lane %u: got bits %llx, expected %lld\n",
            name_of(path), name.c_str(), mask, threads, lane, (unsigned long long)bits,
            (long long)expected);
    CHECK(!"value");
    return;
  }
}

}  // namespace

int main() {
  for (Path path : both_paths)
    for (const Function& function : functions)
      for (const Type& type : types)
        for (unsigned width : {32u, 4u}) {
          if (function.integer_only && type.is_float) continue;
          check(path, function, type, width, ~0u, 32);
          if (type.bytes != 4) continue;
          check(path, function, type, width, 0x5a5af00fu, 32);
          check(path, function, type, width, 0x00000100u, 32);
          check(path, function, type, width, ~0u, 21);
        }
  return report();
}
