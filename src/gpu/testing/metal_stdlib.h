// What naga's Metal text needs of Metal's standard library, as C++: types, and functions that only
// declare what they take and yield. Address spaces are dropped; element types are as strict as
// Metal's.
#pragma once
#define kernel
#define device
#define constant const
#define threadgroup
#define thread

using uint = unsigned int;
using ulong = unsigned long;
struct half {
  float value;
  half() = default;
  half(float v) : value(v) {}
  operator float() const { return value; }
};
inline half operator""h(long double v) { return half(float(v)); }

namespace metal {
using ::uint;

template <class T, int N>
struct vec;
// What is taken of a vector of vectors of fewer elements, or of as many in another order.
template <class T, int N>
struct parts {
  vec<T, 2> xy;
  vec<T, 3> xyz;
};
template <class T>
struct turned {
  template <class U>
  operator vec<U, 3>() const;
};
template <class T>
struct parts<T, 3> {
  vec<T, 2> xy;
  turned<T> zyx;
};
template <class T>
struct parts<T, 2> {};

template <class T, int N>
struct vec : parts<T, N> {
  T x, y, z, w;
  vec() = default;
  vec(T) {}
  template <class... U>
    requires(sizeof...(U) == N && N > 1)
  vec(U...) {}
  template <class U>
  explicit vec(vec<U, N>) {}
  vec(vec<T, 3>, T)
    requires(N == 4)
  {}
  T& operator[](uint) { return x; }
  T operator[](uint) const { return x; }
};
using uint2 = vec<uint, 2>;
using uint3 = vec<uint, 3>;
using uint4 = vec<uint, 4>;
using int2 = vec<int, 2>;
using int3 = vec<int, 3>;
using int4 = vec<int, 4>;
using half2 = vec<half, 2>;
using half3 = vec<half, 3>;
using half4 = vec<half, 4>;
using float2 = vec<float, 2>;
using float3 = vec<float, 3>;
using float4 = vec<float, 4>;
using bool2 = vec<bool, 2>;
using bool3 = vec<bool, 3>;
using bool4 = vec<bool, 4>;
using ulong2 = vec<ulong, 2>;

// Both sides of one type; a number beside a vector is of its elements.
template <class T>
struct same {
  using type = T;
};
template <class T>
using same_t = typename same<T>::type;
#define OPERATOR(op)                                                           \
  template <class T, int N>                                                    \
  vec<T, N> operator op(vec<T, N> a, vec<T, N>) {                              \
    return a;                                                                  \
  }                                                                            \
  template <class T, int N>                                                    \
  vec<T, N> operator op(vec<T, N> a, same_t<T>) {                              \
    return a;                                                                  \
  }                                                                            \
  template <class T, int N>                                                    \
  vec<T, N> operator op(same_t<T>, vec<T, N> b) {                              \
    return b;                                                                  \
  }
OPERATOR(+)
OPERATOR(-)
OPERATOR(*)
OPERATOR(/)
OPERATOR(%)
OPERATOR(&)
OPERATOR(|)
OPERATOR(^)
template <class T, int N>
vec<T, N> operator-(vec<T, N> a) {
  return a;
}
template <class T, int N>
vec<T, N>& operator-=(vec<T, N>& a, vec<T, N>) {
  return a;
}
template <class T, int N>
vec<T, N> operator~(vec<T, N> a) {
  return a;
}
template <class T, int N>
vec<bool, N> operator!(vec<T, N>) {
  return {};
}
template <class T, int N>
vec<T, N> operator<<(vec<T, N> a, vec<uint, N>) {
  return a;
}
template <class T, int N>
vec<T, N> operator>>(vec<T, N> a, vec<uint, N>) {
  return a;
}
#define COMPARISON(op)                                                         \
  template <class T, int N>                                                    \
  vec<bool, N> operator op(vec<T, N>, vec<T, N>) {                             \
    return {};                                                                 \
  }                                                                            \
  template <class T, int N>                                                    \
  vec<bool, N> operator op(vec<T, N>, same_t<T>) {                             \
    return {};                                                                 \
  }
COMPARISON(<)
COMPARISON(<=)
COMPARISON(>)
COMPARISON(>=)
COMPARISON(==)
COMPARISON(!=)
template <int N>
bool any(vec<bool, N>);
template <int N>
bool all(vec<bool, N>);

#define UNARY(name)                                                            \
  template <class T>                                                           \
  T name(T);
UNARY(abs)
UNARY(exp)
UNARY(floor)
UNARY(fract)
UNARY(rint)
UNARY(rsqrt)
UNARY(sign)
UNARY(sqrt)
UNARY(tanh)
UNARY(trunc)
template <class T>
T min(T, same_t<T>);
template <class T>
T max(T, same_t<T>);
template <class T>
T clamp(T, same_t<T>, same_t<T>);
template <class T>
T fma(T, same_t<T>, same_t<T>);
template <class T>
T mix(T, same_t<T>, same_t<T>);
template <class T>
T select(T, same_t<T>, bool);
template <class T, int N>
vec<T, N> select(vec<T, N>, vec<T, N>, vec<bool, N>);
template <class T, int N>
vec<T, N> select(vec<T, N>, same_t<T>, vec<bool, N>);
template <class T, int N>
T dot(vec<T, N>, vec<T, N>);

enum memory_order { memory_order_relaxed };
struct atomic_uint {
  uint value;
};
uint atomic_fetch_add_explicit(atomic_uint*, uint, memory_order);
void atomic_store_explicit(atomic_uint*, uint, memory_order);
enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };
inline mem_flags operator|(mem_flags a, mem_flags) { return a; }
void threadgroup_barrier(mem_flags);
void simdgroup_barrier(mem_flags);

// By columns, of vectors.
template <class T, int C, int R>
struct matrix {
  vec<T, R> columns[C];
  matrix() = default;
  template <class... U>
    requires(sizeof...(U) == C)
  explicit matrix(U... u) : columns{vec<T, R>(u)...} {}
  vec<T, R>& operator[](int i) { return columns[i]; }
  vec<T, R> operator[](int i) const { return columns[i]; }
};
using half2x4 = matrix<half, 2, 4>;
using float2x4 = matrix<float, 2, 4>;
template <class T, int C, int R>
matrix<T, C, R> operator+(matrix<T, C, R> a, matrix<T, C, R>) {
  return a;
}
template <class T, int C, int R>
matrix<T, C, R> operator*(same_t<T>, matrix<T, C, R> b) {
  return b;
}

template <class T, int C, int R>
struct simdgroup_matrix {};
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;
using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
template <class T, int C, int R>
void simdgroup_load(simdgroup_matrix<T, C, R>&, const T*, ulong = C, ulong2 = 0, bool = false);
template <class T, int C, int R>
void simdgroup_store(simdgroup_matrix<T, C, R>, T*, ulong = C, ulong2 = 0, bool = false);
template <class T, class U, int M, int N, int K>
void simdgroup_multiply_accumulate(simdgroup_matrix<T, N, M>&, simdgroup_matrix<U, K, M>,
                                   simdgroup_matrix<U, N, K>, simdgroup_matrix<T, N, M>);
}  // namespace metal

template <class T, class U>
T as_type(U);

// Metal has its vectors outside of the namespace, too: naga counts the turns of loops in one.
using metal::uint2;
