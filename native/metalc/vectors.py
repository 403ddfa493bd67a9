# SPDX-License-Identifier: MIT
# ruff: noqa: E501 (lines of the generated C++ stand as they are)
"""Generates metal::vec<T, N> and metal::packed_vec<T, N> for N = 2, 3, 4 with all their swizzles."""

import itertools

LETTERS = ("xyzw", "rgba")
ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")


def constructors(name: str, n: int) -> str:
    """Every way to split n elements into scalars and shorter vectors."""
    lines = []
    for parts in itertools.product((1, 2, 3), repeat=n):
        for count in range(2, n + 1):
            if sum(parts[:count]) != n or any(part != 1 for part in parts[count:]):
                continue
            names = "abcd"[:count]
            parameters, elements = [], []
            for part, letter in zip(parts, names, strict=False):
                parameters.append(f"T {letter}" if part == 1 else f"vec<T, {part}> {letter}")
                if part == 1:
                    elements.append(letter)
                else:
                    elements += [f"{letter}.__at({i})" for i in range(part)]
            line = f"  constexpr {name}({', '.join(parameters)}) : __v{{{', '.join(f'(__element)({e})' for e in elements)}}} {{}}\n"
            if line not in lines:
                lines.append(line)
    return "".join(lines)


def swizzles(n: int) -> str:
    """Properties for x, xy, wzyx, ...; those without repetition can be written."""
    lines = []
    for length in (1, 2, 3, 4):
        for choice in itertools.product(range(n), repeat=length):
            tag = "".join(map(str, choice))
            if length == 1:
                result, value = "T", f"__at({tag})"
                stores = [f"__ref({tag}) = value"]
            else:
                result = f"vec<T, {length}>"
                value = f"{result}({', '.join(f'__at({i})' for i in choice)})"
                stores = [f"__ref({i}) = value.__at({j})" for j, i in enumerate(choice)]
            lines.append(f"  constexpr {result} __g{tag}() const {{ return {value}; }}\n")
            writable = len(set(choice)) == length
            if writable:
                lines.append(f"  void __p{tag}({result} value) {{ {'; '.join(stores)}; }}\n")
            put = f", put = __p{tag}" if writable else ""
            for letters in LETTERS:
                spelled = "".join(letters[i] for i in choice)
                lines.append(f"  __declspec(property(get = __g{tag}{put})) {result} {spelled};\n")
    return "".join(lines)


def operators(n: int) -> str:
    """Friends, not templates: a scalar operand converts on its own."""
    lines = []
    for op in ARITHMETIC:
        # Says that a product and a sum may be fused although they meet in different functions.
        fuse = '_Pragma("clang fp contract(fast)") ' if op in "+-*" else ""
        lines.append(
            f"  friend constexpr vec operator{op}(vec a, vec b) {{ {fuse}return __make(a.__v {op} b.__v); }}\n"
            f"  vec& operator{op}=(vec b) {{ *this = *this {op} b; return *this; }}\n"
        )
    for op in COMPARISONS:
        lines.append(
            f"  friend constexpr vec<bool, {n}> operator{op}(vec a, vec b) {{"
            f" return vec<bool, {n}>::__make(__truth<{n}>(a.__v {op} b.__v)); }}\n"
        )
    for op in ("&&", "||"):
        lines.append(
            f"  friend constexpr vec<bool, {n}> operator{op}(vec a, vec b) {{"
            f" return vec<bool, {n}>(a) {op[0]} vec<bool, {n}>(b); }}\n"
        )
    return "".join(lines)


def vector(n: int) -> str:
    return f"""
template <class T>
struct vec<T, {n}> {{
  using __element = typename __storage<T>::type;
  using __native = __element __attribute__((ext_vector_type({n})));
  __native __v;

  static constexpr vec __make(__native value) {{ vec result{{}}; result.__v = value; return result; }}
  constexpr T __at(int i) const {{
    return (T)({" : ".join(f"i == {i} ? __v.{letter}" for i, letter in list(enumerate("xyzw"))[: n - 1])} : __v.{"xyzw"[n - 1]});
  }}
  __element& __ref(int i) {{ return reinterpret_cast<__element*>(this)[i]; }}

  vec() = default;
  constexpr vec(T s) : __v{{{", ".join(["(__element)s"] * n)}}} {{}}
{constructors("vec", n)}
  template <class U, class = __enable_t<!__is_same_v<U, T>>>
  constexpr explicit vec(vec<U, {n}> other) : __v(__convert<__native, T, U>(other.__v)) {{}}

  T& operator[](int i) {{ return reinterpret_cast<T*>(this)[i]; }}
  T& operator[](uint i) {{ return reinterpret_cast<T*>(this)[i]; }}
  T& operator[](long i) {{ return reinterpret_cast<T*>(this)[i]; }}
  T& operator[](ulong i) {{ return reinterpret_cast<T*>(this)[i]; }}
  T operator[](int i) const {{ return (T)__v[i]; }}
  T operator[](uint i) const {{ return (T)__v[i]; }}
  T operator[](long i) const {{ return (T)__v[i]; }}
  T operator[](ulong i) const {{ return (T)__v[i]; }}

  constexpr vec operator+() const {{ return *this; }}
  constexpr vec operator-() const {{ return __make(-__v); }}
  constexpr vec operator~() const {{ return __make(~__v); }}
  constexpr vec<bool, {n}> operator!() const {{ return *this == vec(T(0)); }}
  vec& operator++() {{ return *this += vec(T(1)); }}
  vec& operator--() {{ return *this -= vec(T(1)); }}
  vec operator++(int) {{ vec old = *this; *this += vec(T(1)); return old; }}
  vec operator--(int) {{ vec old = *this; *this -= vec(T(1)); return old; }}
{operators(n)}
{swizzles(n)}
}};
"""


def packed(n: int) -> str:
    friends = "".join(
        f"  friend constexpr vec<T, {n}> operator{op}({a} a, {b} b) {{ return vec<T, {n}>(a) {op} vec<T, {n}>(b); }}\n"
        for op in ("+", "-", "*", "/")
        for a, b in itertools.product(("packed_vec", f"vec<T, {n}>", "T"), repeat=2)
        if "packed_vec" in (a, b)
    )
    assign = "".join(
        f"  packed_vec& operator{op}=(vec<T, {n}> b) {{ return *this = packed_vec(vec<T, {n}>(*this) {op} b); }}\n"
        for op in ("+", "-", "*", "/")
    )
    return f"""
template <class T>
struct packed_vec<T, {n}> {{
  using __element = T;
  T __v[{n}];

  constexpr T __at(int i) const {{ return __v[i]; }}
  T& __ref(int i) {{ return __v[i]; }}

  packed_vec() = default;
  constexpr packed_vec(T s) : __v{{{", ".join(["s"] * n)}}} {{}}
{constructors("packed_vec", n)}
  constexpr packed_vec(vec<T, {n}> other) : __v{{{", ".join(f"other.__at({i})" for i in range(n))}}} {{}}
  constexpr operator vec<T, {n}>() const {{ return vec<T, {n}>({", ".join(f"__v[{i}]" for i in range(n))}); }}
  template <class I>
  T& operator[](I i) {{ return __v[i]; }}
  template <class I>
  T operator[](I i) const {{ return __v[i]; }}
  constexpr vec<T, {n}> operator-() const {{ return -vec<T, {n}>(*this); }}
{friends}{assign}
{swizzles(n)}
}};
"""


def names() -> str:
    lines = []
    scalars = (
        "char",
        "uchar",
        "short",
        "ushort",
        "int",
        "uint",
        "long",
        "ulong",
        "half",
        "bfloat",
        "float",
        "bool",
    )
    for scalar, n in itertools.product(scalars, (2, 3, 4)):
        lines.append(f"using {scalar}{n} = vec<{scalar}, {n}>;\n")
        if scalar != "bool":
            lines.append(f"using packed_{scalar}{n} = packed_vec<{scalar}, {n}>;\n")
    return "".join(lines)


def text() -> str:
    body = "".join(vector(n) for n in (2, 3, 4)) + "".join(packed(n) for n in (2, 3, 4))
    return f"""#pragma once
namespace metal {{
{body}
{names()}
}}
"""
