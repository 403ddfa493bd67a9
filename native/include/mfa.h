/* SPDX-License-Identifier: MIT */
/* The C ABI of libmfa: matrix products, attention and any compute kernel, on Apple GPUs and CPUs.
 */
#ifndef MFA_H
#define MFA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Rules that hold everywhere
 *
 * Status    Every call returns an mfa_status. When it is not MFA_OK, mfa_last_error() gives the
 *           message: the function, the offending value, what was expected. Nothing is printed and
 *           nothing aborts. A call that fails has no effect and leaves its outputs untouched.
 * Handles   Reference counted. A function that hands one out gives the caller one reference, to be
 *           given up with the type's _release. Operations keep what they use alive until they have
 *           run. A handle that was released, or that is of another type, is recognised and refused.
 * Structs   Begin with `size`: sizeof the struct as the caller was compiled. A field that is zero
 *           takes its default, so `mfa_gemm_desc d = MFA_GEMM_DESC_INIT;` is where to start.
 *           Structs that are filled in by a call need their `size` set too.
 * Strings   UTF-8. Those handed out belong to the library; each function says how long they live.
 * Threads   Everything may be called from any thread at any time. One mfa_commands is filled by one
 *           thread at a time.
 * Numbers   Sizes, strides and leading dimensions count elements; offsets and lengths count bytes.
 */

/* ---- cdef begin: from here to "cdef end" no preprocessor and nothing but plain C ---- */

/* Handles. */
typedef struct mfa_device_handle* mfa_device;
typedef struct mfa_buffer_handle* mfa_buffer;
typedef struct mfa_library_handle* mfa_library;
typedef struct mfa_pipeline_handle* mfa_pipeline;
typedef struct mfa_commands_handle* mfa_commands;

typedef enum mfa_status {
  MFA_OK = 0,
  MFA_ERROR_INVALID_ARGUMENT = 1, /* NULL, a released handle, a size or stride that cannot be */
  MFA_ERROR_INVALID_TYPE = 2,     /* a data type that does not fit */
  MFA_ERROR_OUT_OF_BOUNDS = 3,    /* a buffer is too small for what is described */
  MFA_ERROR_OVERLAP = 4,          /* an output overlaps an input, or itself */
  MFA_ERROR_READ_ONLY = 5,        /* an output lies in memory wrapped as read-only */
  MFA_ERROR_WRONG_STATE = 6,      /* e.g. encoding into commands that were committed */
  MFA_ERROR_NOT_FOUND = 7,        /* no such device, file, function or constant */
  MFA_ERROR_UNSUPPORTED = 8,      /* understood, but not possible on this device */
  MFA_ERROR_OUT_OF_MEMORY = 9,
  MFA_ERROR_CORRUPT = 10,   /* bytes that are not a metallib */
  MFA_ERROR_COMPILE = 11,   /* source or kernel that does not compile */
  MFA_ERROR_EXECUTION = 12, /* failed while it ran */
  MFA_TIMEOUT = 13,         /* not finished yet: mfa_commands_wait */
  MFA_ERROR_INTERNAL = 14,  /* a fault of the library */
  MFA_CANCELLED = 15        /* as asked for: mfa_prepare */
} mfa_status;

/* Message of the last call of this thread that failed; "" if none has. Valid until this thread's
 * next call that fails. */
const char* mfa_last_error(void);
/* "MFA_OK", "MFA_ERROR_OVERLAP", ...; "unknown status" for any other number. Static. */
const char* mfa_status_name(mfa_status status);
/* "0.1.0". Static. */
const char* mfa_version(void);

/* Data types, with the numbers of Metal's MTLDataType. The vector types between them
 * (MFA_TYPE_FLOAT
 * + 1 is float2, + 3 is float4) are used by function constants and reflection. */
typedef enum mfa_type {
  MFA_TYPE_NONE = 0,
  MFA_TYPE_STRUCT = 1,
  MFA_TYPE_FLOAT = 3,
  MFA_TYPE_HALF = 16,
  MFA_TYPE_INT = 29,
  MFA_TYPE_UINT = 33,
  MFA_TYPE_SHORT = 37,
  MFA_TYPE_USHORT = 41,
  MFA_TYPE_CHAR = 45,
  MFA_TYPE_UCHAR = 49,
  MFA_TYPE_BOOL = 53,
  MFA_TYPE_POINTER = 60,
  MFA_TYPE_LONG = 81,
  MFA_TYPE_ULONG = 85,
  MFA_TYPE_BFLOAT = 121
} mfa_type;

/* A stride of this value repeats the same elements along a dimension. */
enum { MFA_BROADCAST = -1 };

/* Called once when something ends. `status` and `message` are what waiting for it would have given;
 * `message` is "" for MFA_OK and valid during the call. All such functions are called one after the
 * other, on a thread of the library that no work depends on, so every function of this header may
 * be called from them: operations, and waiting for commands. Only waiting for another of them, by
 * any means, never ends. */
typedef void (*mfa_completion)(void* context, mfa_status status, const char* message);

/* ---------------------------------------------------------------- devices ---------------- */

typedef enum mfa_backend {
  MFA_BACKEND_METAL = 1, /* an Apple GPU, through Metal.framework */
  MFA_BACKEND_CPU = 2,   /* the cores of this machine, 32 lanes at once */
  MFA_BACKEND_REFERENCE =
      3 /* the same, one lane at a time: slow, what the other is tested against */
} mfa_backend;

typedef struct mfa_device_info {
  size_t size;
  const char* name;        /* as mfa_device_open takes it: "cpu", "reference", "metal:0". Static. */
  const char* description; /* "AMD EPYC ...", "Apple M2 Max". Static. */
  mfa_backend backend;
  uint32_t simd_width; /* threads in a simdgroup */
  uint32_t max_threads_per_threadgroup;
  uint32_t workers; /* CPU threads that run threadgroups; 0 on a GPU */
  uint64_t max_threadgroup_memory;
  uint64_t max_buffer_length;
  uint64_t page_size;  /* memory aligned to it is never copied by mfa_buffer_wrap */
  bool unified_memory; /* buffer contents are what the device works on */
  uint64_t cache_size; /* of the last level, in bytes; 8 MiB where the device does not tell. What
                        * mfa_convolution sizes its blocks by */
} mfa_device_info;

/* Devices are listed once per process; the order does not change. */
mfa_status mfa_device_count(size_t* count);
mfa_status mfa_device_at(size_t index, mfa_device* device);
/* By name, as in mfa_device_info. NULL and "default": the first one. "validate": a CPU device that
 * is not listed; commands fail there if a kernel reads or writes out of bounds, reads threadgroup
 * memory nobody wrote, races between simdgroups or lets threads miss a barrier, with a message that
 * names kernel, argument and thread. With MFA_VALIDATE=1 in the environment "cpu" is such a device.
 */
mfa_status mfa_device_open(const char* name, mfa_device* device);
mfa_status mfa_device_get_info(mfa_device device, mfa_device_info* info);
/* The id<MTLDevice>, not retained. mfa_metal.h has this and its like with Metal's types. */
mfa_status mfa_device_metal(mfa_device device, void** metal);
/* The device of an id<MTLDevice>, for a program that has chosen one. */
mfa_status mfa_device_of_metal(void* metal, mfa_device* device);
/* Tiles that are tried before the built-in ones, in the form that `python -m pymfa tune` prints;
 * copied. NULL: only the built-in ones. At first those of the file that the environment variable
 * MFA_TILES names. mfa_explain says which row was taken. */
mfa_status mfa_device_set_tiles(mfa_device device, const char* rows);
mfa_status mfa_device_retain(mfa_device device);
mfa_status mfa_device_release(mfa_device device); /* NULL is fine, here and in every _release */

/* ---------------------------------------------------------------- buffers ---------------- */

typedef enum mfa_storage {
  MFA_STORAGE_DEFAULT = 0, /* shared */
  MFA_STORAGE_SHARED = 1,  /* one memory for caller and device */
  MFA_STORAGE_PRIVATE = 2  /* the device's own: no contents */
} mfa_storage;

enum {
  MFA_WRAP_READ_ONLY = 1 /* operations that would write to the buffer are refused */
};

/* Called when a wrapped buffer is gone for good and its memory no longer used. */
typedef void (*mfa_deallocator)(void* context, void* memory, size_t length);

typedef struct mfa_buffer_info {
  size_t size;
  void* contents; /* NULL in private storage */
  uint64_t length;
  mfa_storage storage;
  bool is_copy; /* see mfa_buffer_wrap */
  bool read_only;
} mfa_buffer_info;

/* `length` bytes of zeros, page aligned. A length of 0 is allowed. */
mfa_status mfa_buffer_new(mfa_device device, size_t length, mfa_storage storage,
                          mfa_buffer* buffer);
/* A buffer over the caller's memory. CPU devices never copy, whatever the alignment. A Metal device
 * takes the pages around it; where it cannot, the buffer holds a copy made now, `is_copy` says so,
 * and results are found in its contents, not in `memory`. The memory must stay until `deallocate`
 * (may be NULL) is called. `flags`: MFA_WRAP_*. */
mfa_status mfa_buffer_wrap(mfa_device device, void* memory, size_t length, uint32_t flags,
                           mfa_deallocator deallocate, void* context, mfa_buffer* buffer);
/* A buffer around an id<MTLBuffer> of the same device, which is retained. */
mfa_status mfa_buffer_wrap_metal(mfa_device device, void* metal, mfa_buffer* buffer);
mfa_status mfa_buffer_get_info(mfa_buffer buffer, mfa_buffer_info* info);
mfa_status mfa_buffer_contents(mfa_buffer buffer, void** contents);
mfa_status mfa_buffer_length(mfa_buffer buffer, uint64_t* length);
/* The id<MTLBuffer>, not retained. */
mfa_status mfa_buffer_metal(mfa_buffer buffer, void** metal);
mfa_status mfa_buffer_retain(mfa_buffer buffer);
mfa_status mfa_buffer_release(mfa_buffer buffer);

/* Where a matrix or tensor begins: `offset` bytes into `buffer`, a multiple of the element size.
 * A NULL buffer stands for an operand that is absent. */
typedef struct mfa_operand {
  mfa_buffer buffer;
  uint64_t offset;
} mfa_operand;

/* ---------------------------------------------------------------- commands --------------- */

/* One command buffer with one compute encoder: operations run in the order they were encoded, each
 * seeing the results of those before. Operations take NULL instead and then encode, commit and wait
 * by themselves. Commands of one device run in the order they were committed; as many as wanted may
 * be on their way.
 *
 * An operation that fails while it runs ends its commands. Operations before it have their results,
 * its own outputs hold anything, operations after it have not run; of concurrent commands, those
 * that ran beside it have their results. After a long convolution that went into several command
 * buffers, those that follow may have run on what was there. Other commands run as usual.
 * docs/commands.md has more. */
typedef enum mfa_commands_state {
  MFA_COMMANDS_ENCODING = 1,
  MFA_COMMANDS_COMMITTED = 2, /* waiting or running */
  MFA_COMMANDS_COMPLETED = 3,
  MFA_COMMANDS_FAILED = 4
} mfa_commands_state;

typedef struct mfa_commands_info {
  size_t size;
  mfa_commands_state state;
  uint32_t operations;      /* encoded so far */
  double gpu_start_time;    /* seconds on the device's clock, the CPU's own for CPU devices; */
  double gpu_end_time;      /* both 0 until the commands have completed */
  const char* error;        /* "" unless failed; valid as long as the commands */
  uint32_t command_buffers; /* that hold the operations: 1, or more after a long convolution */
  uint64_t workspace;       /* bytes of device memory that operations took for themselves */
} mfa_commands_info;

/* Begins commands in the device's queue. */
mfa_status mfa_commands_begin(mfa_device device, mfa_commands* commands);
/* The same, but operations may run at the same time unless one of them writes what another uses:
 * that is told from the operands' memory, from the first byte to the last, and for mfa_dispatch
 * from the buffers to their ends. What kernels reach by pointers in other memory is not known. */
mfa_status mfa_commands_begin_concurrent(mfa_device device, mfa_commands* commands);
/* Commands over the caller's id<MTLComputeCommandEncoder> of this device, which is retained. The
 * caller ends the encoding and commits; mfa_commands_commit, _wait and _on_completed are refused.
 * If the encoder is a concurrent one, so are the commands; they wait for what the caller encoded
 * before, but not the caller's dispatches for them. */
mfa_status mfa_commands_wrap(mfa_device device, void* encoder, mfa_commands* commands);
/* Names the command buffer in messages of failures, in traces and for Metal's tools. Before the
 * commit. */
mfa_status mfa_commands_set_label(mfa_commands commands, const char* label);
/* Names the operations that are encoded from here on, until the next call, in the same places.
 * NULL or "": they have no label of their own. */
mfa_status mfa_commands_set_operation_label(mfa_commands commands, const char* label);
/* Adds a function to call on completion. Before the commit; several may be added. */
mfa_status mfa_commands_on_completed(mfa_commands commands, mfa_completion callback, void* context);
/* Ends the encoding and hands the commands to the device. Returns at once. */
mfa_status mfa_commands_commit(mfa_commands commands);
/* Commits and waits. Quicker than one after the other where the caller's thread can do the work. */
mfa_status mfa_commands_run(mfa_commands commands);
/* Waits until the commands have run. `seconds` < 0: as long as it takes; 0: does not wait.
 * MFA_TIMEOUT if they have not; MFA_ERROR_EXECUTION if they failed; MFA_ERROR_WRONG_STATE before a
 * commit. */
mfa_status mfa_commands_wait(mfa_commands commands, double seconds);
mfa_status mfa_commands_get_info(mfa_commands commands, mfa_commands_info* info);
/* The id<MTLComputeCommandEncoder>, not retained, for encoding by other means between operations.
 * Before the commit. */
mfa_status mfa_commands_metal(mfa_commands commands, void** encoder);
mfa_status mfa_commands_retain(mfa_commands commands);
/* Commands that were never committed are dropped. Committed ones run to their end. */
mfa_status mfa_commands_release(mfa_commands commands);

/* ---------------------------------------------------------------- matrix products -------- */

typedef enum mfa_activation {
  MFA_ACTIVATION_NONE = 0,
  MFA_ACTIVATION_RELU = 1,
  MFA_ACTIVATION_GELU = 2,      /* x * Phi(x) */
  MFA_ACTIVATION_GELU_TANH = 3, /* the approximation with tanh */
  MFA_ACTIVATION_SILU = 4
} mfa_activation;

typedef enum mfa_bias {
  MFA_BIAS_PER_COLUMN = 0, /* N values, one added to each column of C */
  MFA_BIAS_PER_ROW = 1     /* M values */
} mfa_bias;

/* C = activation(alpha * op(A) * op(B) + beta * C + bias), row-major, accumulated in FP32. */
typedef struct mfa_gemm_desc {
  size_t size;
  uint64_t M, N, K; /* op(A) is M x K, op(B) is K x N, C is M x N. Any may be 0 */
  uint64_t lda;     /* from one stored row to the next; 0: K, or M if trans_a */
  uint64_t ldb;     /* 0: N, or K if trans_b */
  uint64_t ldc;     /* 0: N */
  uint64_t batch;   /* how many products; 0: 1 */
  int64_t stride_a; /* from one product's matrix to the next; 0: rows * ld; MFA_BROADCAST */
  int64_t stride_b;
  int64_t stride_c;    /* not MFA_BROADCAST */
  int64_t stride_bias; /* 0 or MFA_BROADCAST: one bias for all */
  float alpha;         /* used with has_alpha, else 1 */
  float beta;          /* 0: what C held is not read */
  mfa_activation activation;
  mfa_bias bias; /* which way operands.bias goes, where there is one */
  bool trans_a;  /* A is stored as K rows of M */
  bool trans_b;  /* B is stored as N rows of K */
  bool has_alpha;
} mfa_gemm_desc;

typedef struct mfa_gemm_operands {
  size_t size;
  mfa_operand a, b, c;
  mfa_operand bias; /* may be absent */
} mfa_gemm_operands;

/* FP16, FP32 and BF16 operands. C may not overlap A, B or the bias. */
mfa_status mfa_hgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands);
mfa_status mfa_sgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands);
mfa_status mfa_bgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands);

/* ---------------------------------------------------------------- quantized weights ------ */

typedef enum mfa_quantization {
  MFA_QUANTIZATION_AFFINE = 0, /* scale * number + zero point; as MLX's quantize packs them */
  MFA_QUANTIZATION_PALETTE = 1 /* palette[number] */
} mfa_quantization;

typedef enum mfa_bit_order {
  MFA_BITS_LSB_FIRST = 0, /* the first number is in the lowest bits of the first byte */
  MFA_BITS_MSB_FIRST = 1
} mfa_bit_order;

/* C = activation(alpha * op(A) * op(B) + beta * C + bias) with B quantized. Its numbers of `bits`
 * bits lie one after another: number i of the operand begins with bit i * bits. Weights are decoded
 * to FP32 inside the kernel and products accumulated in FP32. docs/quantization.md has the layouts.
 */
typedef struct mfa_qgemm_desc {
  size_t size;
  uint64_t M, N, K;      /* op(A) is M x K, op(B) is K x N, C is M x N. Any may be 0 */
  uint64_t lda;          /* from one stored row to the next; 0: K, or M if trans_a */
  uint64_t ldb;          /* in numbers; 0: N, or K if trans_b */
  uint64_t ldc;          /* 0: N */
  uint64_t batch;        /* how many products; 0: 1 */
  int64_t stride_a;      /* from one product's matrix to the next; 0: rows * ld; MFA_BROADCAST */
  int64_t stride_b;      /* in numbers */
  int64_t stride_c;      /* not MFA_BROADCAST */
  int64_t stride_bias;   /* 0 or MFA_BROADCAST: one bias for all */
  int64_t stride_scales; /* of scales and zero points, or of palettes; 0: all those of a matrix */
  uint64_t first_b;      /* which number of the operand is B's first */
  float alpha;           /* used with has_alpha, else 1 */
  float beta;            /* 0: what C held is not read */
  mfa_activation activation;
  mfa_bias bias; /* which way operands.bias goes, where there is one */
  mfa_quantization quantization;
  mfa_bit_order bit_order;
  uint32_t bits; /* affine: 2, 3, 4, 5, 6, 8; palettes: 1 to 8 */
  /* Affine: how many neighbours in a stored row share a scale: 32, 64, 128. Palettes: how many
   * stored rows share one; 0: all. */
  uint32_t group_size;
  mfa_type input_type;  /* of A: HALF, BFLOAT or FLOAT; 0: HALF */
  mfa_type weight_type; /* of scales and zero points, or of palettes; 0: as input_type */
  mfa_type output_type; /* of C and the bias; 0: as input_type */
  bool trans_a;         /* A is stored as K rows of M */
  bool trans_b;         /* B is stored as N rows of K: MLX's and PyTorch's linear layers */
  bool has_alpha;
  bool palette_columns; /* palettes belong to stored columns, not to stored rows */
} mfa_qgemm_desc;

typedef struct mfa_qgemm_operands {
  size_t size;
  mfa_operand a;
  mfa_operand b; /* packed numbers, at any byte */
  mfa_operand c;
  mfa_operand bias;        /* may be absent */
  mfa_operand scales;      /* one per group, or palettes of 2^bits entries */
  mfa_operand zero_points; /* affine: what the number 0 stands for (MLX's "biases") */
} mfa_qgemm_operands;

mfa_status mfa_qgemm(mfa_commands commands, const mfa_qgemm_desc* desc,
                     const mfa_qgemm_operands* operands);

/* ---------------------------------------------------------------- attention -------------- */

typedef enum mfa_mask {
  MFA_MASK_NONE = 0,
  MFA_MASK_BOOLEAN = 1, /* one byte per element; not zero: attend */
  MFA_MASK_ADDITIVE = 2 /* added to the scaled scores */
} mfa_mask;

typedef enum mfa_causal {
  MFA_CAUSAL_NONE = 0,
  MFA_CAUSAL_LOWER_RIGHT = 1, /* the last query sees every key: column <= row + C - R */
  MFA_CAUSAL_UPPER_LEFT = 2   /* column <= row */
} mfa_causal;

typedef enum mfa_layout {
  MFA_LAYOUT_BHND = 0, /* batch, head, row, column */
  MFA_LAYOUT_BNHD = 1  /* batch, row, head, column */
} mfa_layout;

/* Strides in elements. Each one that is 0 is that of a tensor packed in the descriptor's layout,
 * MFA_BROADCAST is allowed for inputs. One of row and column must be 1. */
typedef struct mfa_tensor_strides {
  int64_t batch, head, row, column;
} mfa_tensor_strides;

/* Whether blocks of a mask that exclude everything are found, and skipped, before the scores are
 * computed. Blocks that causal and window exclude are skipped in any case. */
typedef enum mfa_sparsity {
  MFA_SPARSITY_AUTO = 0, /* where it pays */
  MFA_SPARSITY_ON = 1,
  MFA_SPARSITY_OFF = 2
} mfa_sparsity;

/* A window that is not bounded on this side. */
enum { MFA_UNLIMITED = -1 };

/* O = softmax(cap(scale * Q * K^T) + position + mask + bias) * V, where cap(s) is
 * soft_cap * tanh(s / soft_cap) and position is -slope * |row + C - R - column|. With sinks, the
 * sum of a row's exponentials, and so its LSE, contains exp(sink) too. A row in which everything
 * is masked gives O = 0 and LSE = -infinity, or its sink. docs/attention.md has the details. */
typedef struct mfa_attention_desc {
  size_t size;
  uint64_t B;              /* batches; 0: 1 */
  uint64_t H;              /* query heads; 0: 1 */
  uint64_t Hkv;            /* heads of K and V, a divisor of H; 0: H */
  uint64_t R;              /* queries */
  uint64_t C;              /* keys; 0 is allowed and masks everything */
  uint64_t D;              /* head dimension of Q and K */
  uint64_t Dv;             /* head dimension of V and O; 0: D */
  mfa_tensor_strides q;    /* B, H, R, D */
  mfa_tensor_strides k;    /* B, Hkv, C, D */
  mfa_tensor_strides v;    /* B, Hkv, C, Dv */
  mfa_tensor_strides o;    /* B, H, R, Dv */
  mfa_tensor_strides mask; /* B, H, R, C. 0 for batch and head: one mask for all. row 0: C.
                            * column must be 1 or 0 */
  int64_t lse_batch;       /* LSE is B, H, R with contiguous rows. 0: H * R */
  int64_t lse_head;        /* 0: R */
  float scale;             /* used with has_scale, else 1 / sqrt(D) */
  mfa_type type;           /* of Q, K, V, O: HALF, BFLOAT or FLOAT; 0: HALF */
  mfa_type mask_type;      /* of an additive mask: HALF, BFLOAT or FLOAT; 0: as `type` */
  mfa_mask mask_kind;
  mfa_causal causal;
  mfa_layout layout; /* of strides that are 0 */
  bool has_scale;
  mfa_tensor_strides bias; /* of operands.bias, with the rules of `mask` */
  int64_t slopes_batch;    /* from one batch's slopes to the next; 0: the same for all */
  int64_t window_left;     /* used with has_window: keys before the diagonal, or MFA_UNLIMITED. */
  int64_t window_right;    /* Keys after it. The diagonal is that of `causal`, else lower-right */
  uint64_t total_R;        /* used with packed: rows of q and o, */
  uint64_t total_C;        /* and of k and v, of all batches together */
  uint64_t seed, offset;   /* of dropout's Philox 4x32-10 */
  float dropout;           /* probability that a weight is dropped, in [0, 1) */
  float soft_cap;          /* 0: none */
  mfa_type o_type;         /* of O: as `type`, or FLOAT; 0: as `type` */
  mfa_type bias_type;      /* HALF, BFLOAT or FLOAT; 0: as `type` */
  mfa_sparsity sparsity;
  bool has_bias;   /* operands.bias is added to the scaled scores, beside a mask of either kind */
  bool has_slopes; /* ALiBi: operands.slopes has a slope per query head */
  bool has_sinks;  /* operands.sinks has a logit per query head */
  bool has_window;
  bool packed; /* batches of different lengths follow each other without gaps: batch b has the rows
                * row_starts[b] ... row_starts[b + 1] - 1 of q and o, the same with column_starts of
                * k and v. R and C are the longest, batch strides are not used, LSE is H, total_R */
} mfa_attention_desc;

typedef struct mfa_attention_operands {
  size_t size;
  mfa_operand q, k, v, o;
  mfa_operand mask; /* present if and only if mask_kind says so */
  mfa_operand lse;  /* float, natural logarithm; absent: not computed */
  mfa_operand bias;
  mfa_operand slopes, sinks;             /* float */
  mfa_operand row_starts, column_starts; /* B + 1 uints each, ascending from 0 */
} mfa_attention_operands;

mfa_status mfa_attention(mfa_commands commands, const mfa_attention_desc* desc,
                         const mfa_attention_operands* operands);

/* The gradients of mfa_attention, from what it read and wrote and from dO, the gradient of O:
 *   P = exp(S - LSE),  dB = P * (dO * V^T - rowsum(dO * O)),  dS = dB * d S / d (Q * K^T)
 *   dQ = dS * K,  dK = dS^T * Q,  dV = P^T * dO,  dbias = dB
 * where dK and dV of a head are sums over the query heads that share it. Recomputes P block by
 * block: memory grows with R + C. Deterministic. */
typedef struct mfa_attention_backward_desc {
  size_t size;
  const mfa_attention_desc* attention; /* the descriptor of the forward call */
  mfa_tensor_strides d_o;              /* B, H, R, Dv */
  mfa_tensor_strides dq;               /* B, H, R, D */
  mfa_tensor_strides dk;               /* B, Hkv, C, D */
  mfa_tensor_strides dv;               /* B, Hkv, C, Dv */
  mfa_tensor_strides dbias;            /* B, H, R, C, with the rules of `bias`: the gradient is
                                        * summed over batches, heads and rows that share it */
  mfa_type dbias_type;                 /* HALF, BFLOAT or FLOAT; 0: FLOAT */
} mfa_attention_backward_desc;

typedef struct mfa_attention_backward_operands {
  size_t size;
  const mfa_attention_operands* attention; /* those of the forward call; lse must be present */
  mfa_operand d_o;                         /* has the type of O */
  mfa_operand dq, dk, dv;                  /* have the type of Q; an absent one is not computed */
  mfa_operand dbias;                       /* of an additive mask or a bias */
} mfa_attention_backward_operands;

mfa_status mfa_attention_backward(mfa_commands commands, const mfa_attention_backward_desc* desc,
                                  const mfa_attention_backward_operands* operands);

/* A few queries against a long cache of keys and values: one pass over K and V, whose keys are
 * split among threadgroups and whose parts are merged afterwards. K and V may be quantized, and may
 * lie in pages. Everything of `attention` counts but packed, dropout and sparsity, which must be 0.
 */
typedef struct mfa_decode_desc {
  size_t size;
  const mfa_attention_desc* attention; /* R: 1 to 16. C: the most keys of any batch. D, Dv: at most
                                        * 512. k, v: columns must be contiguous. Paged: their batch
                                        * stride is that from page to page, their row a key's place
                                        * in its page. Quantized: strides count bytes, packed rows
                                        * are D * bits / 8 */
  mfa_type kv_type;            /* of K and V; quantized: of their scales and biases. 0: `type` */
  uint32_t bits;               /* 0: not quantized; 8, 4: unsigned integers, scale * n + bias. With
                                * 4, two to a byte, the lower half first */
  uint32_t group_size;         /* elements of a row that share scale and bias: 32 or 64; 0: 64.
                                * D and Dv must be multiples */
  uint32_t splits;             /* of the keys; 0: chosen for the device */
  mfa_tensor_strides k_scales; /* of scales and biases of K, per batch (page), head, key, group */
  mfa_tensor_strides v_scales;
  uint64_t page_size; /* keys in a page; 0: not paged */
  uint64_t pages;     /* how many pages operands.k and operands.v have */
  uint64_t
      table_stride; /* from one batch's page numbers to the next; 0: C / page_size rounded up */
  bool has_lengths; /* operands.lengths has the number of keys of each batch, at most C */
} mfa_decode_desc;

typedef struct mfa_decode_operands {
  size_t size;
  mfa_operand q, k, v, o;
  mfa_operand mask, lse, bias, slopes, sinks; /* as in mfa_attention_operands */
  mfa_operand k_scales, k_biases, v_scales, v_biases;
  mfa_operand lengths; /* B uints */
  mfa_operand table; /* uints: the page of keys i * page_size and on, for each batch. Those that no
                      * key needs are not read; the others must be less than `pages` */
} mfa_decode_operands;

mfa_status mfa_attention_decode(mfa_commands commands, const mfa_decode_desc* desc,
                                const mfa_decode_operands* operands);

/* Two results of attention with the same queries and different keys -> that with all keys. */
typedef struct mfa_merge_desc {
  size_t size;
  uint64_t B, H;                           /* 0: 1 */
  uint64_t R, Dv;                          /* rows and columns of o */
  mfa_tensor_strides first;                /* B, H, R, Dv */
  mfa_tensor_strides second;               /* the same */
  mfa_tensor_strides o;                    /* the same */
  int64_t first_lse_batch, first_lse_head; /* as lse_batch and lse_head of attention */
  int64_t second_lse_batch, second_lse_head;
  int64_t lse_batch, lse_head;
  mfa_type type;   /* of first and second; 0: HALF */
  mfa_type o_type; /* of o: as `type`, or FLOAT; 0: as `type` */
  mfa_layout layout;
} mfa_merge_desc;

typedef struct mfa_merge_operands {
  size_t size;
  mfa_operand first, first_lse, second, second_lse, o;
  mfa_operand lse; /* may be absent */
} mfa_merge_operands;

mfa_status mfa_merge_attention(mfa_commands commands, const mfa_merge_desc* desc,
                               const mfa_merge_operands* operands);

/* ---------------------------------------------------------------- convolution ------------ */

typedef enum mfa_padding {
  MFA_PADDING_EXPLICIT = 0, /* what `padding` and `padding_end` say */
  MFA_PADDING_SAME = 1,     /* so that output size = ceil(input size / stride); an odd element of
                             * padding goes behind the last one */
  MFA_PADDING_VALID = 2     /* none */
} mfa_padding;

typedef enum mfa_algorithm {
  MFA_ALGORITHM_AUTO = 0,    /* whichever is expected to be the fastest */
  MFA_ALGORITHM_DIRECT = 1,  /* a matrix product, implicit GEMM or depthwise */
  MFA_ALGORITHM_WINOGRAD = 2 /* F(3x3, 3x3); unsupported where it does not apply */
} mfa_algorithm;

typedef enum mfa_weights {
  MFA_WEIGHTS_DENSE = 0,      /* of the descriptor's type */
  MFA_WEIGHTS_PALETTIZED = 1, /* packed numbers of palette_bits bits, in the same order */
  MFA_WEIGHTS_WINOGRAD = 2    /* what mfa_convolution_weights made */
} mfa_weights;

/* Convolution in 1 to 3 dimensions as neural networks mean it (no mirroring of the window),
 * accumulated in FP32:
 *   result = activation(sum over window and channels of data * weights + bias)
 * Channels last, packed: data N, spatial..., C; weights K, window..., C / groups; bias K; result
 * N, spatial..., K. Group g reads channels [g * C / groups, (g + 1) * C / groups) and gives
 * [g * K / groups, (g + 1) * K / groups). Arrays have the outermost dimension first; entries behind
 * `dimensions` are not used. Output size, with window' = dilation * (window - 1) + 1:
 *   floor((input + padding + padding_end - window') / stride) + 1
 * and transposed, where the weights have the same shape and meaning of K and C:
 *   (input - 1) * stride + window' - padding - padding_end + output_padding
 */
typedef struct mfa_convolution_desc {
  size_t size;
  uint64_t N;           /* images; 0 is allowed */
  uint64_t C, K;        /* channels of data and of the result; 0 is allowed */
  uint64_t groups;      /* a divisor of C and K; 0: 1 */
  uint64_t input[3];    /* spatial sizes; 0 is allowed */
  uint64_t window[3];   /* at least 1, and at most the padded input unless transposed */
  uint64_t stride[3];   /* 0: 1 */
  uint64_t dilation[3]; /* 0: 1 */
  uint64_t padding[3], padding_end[3]; /* zeros before and behind; transposed: what is cut off */
  uint64_t
      output_padding[3]; /* transposed: more outputs at the end, fewer than stride or dilation */
  uint32_t dimensions;   /* 1, 2 or 3 */
  mfa_type type;         /* of all operands: HALF, BFLOAT or FLOAT; 0: HALF */
  mfa_padding padding_mode;
  mfa_algorithm algorithm;
  mfa_activation activation;
  mfa_weights weights;
  uint32_t palette_bits;   /* palettized weights: 1 to 8; palettes have 2^bits entries */
  uint32_t palette_group;  /* how many output channels share a palette; 0: all */
  mfa_bit_order bit_order; /* of palettized weights */
  bool transposed; /* the adjoint of a convolution: each input is spread over a window of outputs */
} mfa_convolution_desc;

typedef struct mfa_convolution_operands {
  size_t size;
  mfa_operand data, weights, result;
  mfa_operand bias;    /* may be absent */
  mfa_operand palette; /* with palettized weights: palettes of the descriptor's type */
} mfa_convolution_operands;

/* The result may not overlap anything else. Long work continues in further command buffers of about
 * 2 ms each, so that others who share the device have their turn; not over a wrapped encoder. */
mfa_status mfa_convolution(mfa_commands commands, const mfa_convolution_desc* desc,
                           const mfa_convolution_operands* operands);
/* Weights, dense or palettized, transformed once for many convolutions by Winograd: `desc` is that
 * of the convolutions but for `weights`, which says what is given. N, input, padding and activation
 * do not matter. Only operands weights, palette and result are used; the result is of
 * mfa_convolution_weights_size bytes. */
mfa_status mfa_convolution_weights(mfa_commands commands, const mfa_convolution_desc* desc,
                                   const mfa_convolution_operands* operands);
mfa_status mfa_convolution_weights_size(const mfa_convolution_desc* desc, uint64_t* bytes);
/* The spatial sizes of the result; as many as `dimensions` are written. */
mfa_status mfa_convolution_output_size(const mfa_convolution_desc* desc, uint64_t sizes[3]);

/* ---------------------------------------------------------------- casts ------------------ */

/* Rows of `count` elements converted between HALF, BFLOAT and FLOAT, rounded to nearest even. */
typedef struct mfa_cast_desc {
  size_t size;
  uint64_t count;         /* elements in a row */
  uint64_t rows;          /* 0: 1 */
  uint64_t source_stride; /* from one row to the next; 0: count */
  uint64_t destination_stride;
  mfa_type source_type; /* 0: HALF */
  mfa_type destination_type;
} mfa_cast_desc;

typedef struct mfa_cast_operands {
  size_t size;
  mfa_operand source, destination;
} mfa_cast_operands;

mfa_status mfa_cast(mfa_commands commands, const mfa_cast_desc* desc,
                    const mfa_cast_operands* operands);

/* ---------------------------------------------------------------- questions, preparation - */

typedef enum mfa_operation {
  MFA_OPERATION_HGEMM = 1,               /* mfa_gemm_desc */
  MFA_OPERATION_SGEMM = 2,               /* mfa_gemm_desc */
  MFA_OPERATION_BGEMM = 3,               /* mfa_gemm_desc */
  MFA_OPERATION_ATTENTION = 4,           /* mfa_attention_desc */
  MFA_OPERATION_CAST = 5,                /* mfa_cast_desc */
  MFA_OPERATION_QGEMM = 6,               /* mfa_qgemm_desc */
  MFA_OPERATION_CONVOLUTION = 7,         /* mfa_convolution_desc */
  MFA_OPERATION_CONVOLUTION_WEIGHTS = 8, /* mfa_convolution_desc */
  MFA_OPERATION_ATTENTION_BACKWARD = 9,  /* mfa_attention_backward_desc */
  MFA_OPERATION_DECODE = 10,             /* mfa_decode_desc */
  MFA_OPERATION_MERGE = 11               /* mfa_merge_desc */
} mfa_operation;

/* A descriptor and which operation it belongs to, plus which optional operands there will be. */
typedef struct mfa_problem {
  size_t size;
  const void* desc;
  mfa_operation operation;
  bool has_bias; /* GEMM, quantized or not, convolution; attention backward: its gradient */
  bool has_lse;  /* attention */
  bool without_dq, without_dk, without_dv; /* attention backward: gradients that are not computed */
} mfa_problem;

typedef struct mfa_explanation {
  size_t size;
  const char* kernel;  /* function in the metallib: "hgemm" */
  const char* variant; /* every function constant that was set: "A_trans=0 M_simd=64 ..." */
  const char* reason;  /* why these tiles were taken */
  uint32_t tile[3];    /* GEMM: M, N, K per threadgroup; attention: R, C, D */
  uint32_t threads_per_threadgroup;
  uint64_t threadgroups[3];
  uint64_t threadgroup_memory;
  uint64_t workspace; /* bytes of device memory taken while the operation runs */
  bool cached;        /* the pipeline is compiled already */
  /* Convolution. */
  uint32_t dispatches;
  uint32_t command_buffers; /* of about 2 ms each, by the rate that the device has shown so far */
  uint64_t blocks[2];       /* by Winograd: how many blocks of image tiles and of filters */
  uint64_t block_sizes[2];  /* tiles of 3x3 outputs, and filters, of the largest of them */
} mfa_explanation;

/* Called when one more pipeline is ready, `done` of `count`, on threads of the library but one call
 * after the other. true: go on. false: pipelines that are not being compiled yet are left out. It
 * may not wait for another mfa_prepare. */
typedef bool (*mfa_progress)(void* context, size_t done, size_t count);

typedef struct mfa_prepare_options {
  size_t size;
  mfa_progress progress;
  mfa_completion completed; /* NULL: mfa_prepare returns when all is done, else at once */
  void* context;            /* of both functions */
} mfa_prepare_options;

/* Compiles what `count` problems need, in parallel, so that the operations later start at once.
 * Ends with the first error, MFA_CANCELLED or MFA_OK, which is returned or, at once, given to
 * options->completed. What was compiled is kept in any case. Descriptors are read before it
 * returns. `options` may be NULL. */
mfa_status mfa_prepare(mfa_device device, const mfa_problem* problems, size_t count,
                       const mfa_prepare_options* options);
/* MFA_OK and *supported = true or false; `reason` (may be NULL) receives why not, or "", valid
 * until this thread's next mfa_supported. A descriptor that is wrong in itself is an error instead.
 */
mfa_status mfa_supported(mfa_device device, const mfa_problem* problem, bool* supported,
                         const char** reason);
/* How a problem would be run. Compiles nothing. Strings are valid until this thread's next
 * mfa_explain. */
mfa_status mfa_explain(mfa_device device, const mfa_problem* problem, mfa_explanation* explanation);

/* ---------------------------------------------------------------- any kernel ------------- */

typedef enum mfa_argument_kind {
  MFA_ARGUMENT_BUFFER = 0,
  MFA_ARGUMENT_THREADGROUP = 1,
  MFA_ARGUMENT_TEXTURE = 2,
  MFA_ARGUMENT_SAMPLER = 3,
  MFA_ARGUMENT_FUNCTION_TABLE = 24
} mfa_argument_kind;

typedef enum mfa_access {
  MFA_ACCESS_READ = 0,
  MFA_ACCESS_READ_WRITE = 1,
  MFA_ACCESS_WRITE = 2
} mfa_access;

/* An argument that the caller binds. */
typedef struct mfa_argument {
  const char* name;
  mfa_argument_kind kind;
  uint32_t slot; /* n of [[buffer(n)]] or [[threadgroup(n)]] */
  mfa_access access;
  mfa_type type;      /* what a buffer's pointer points to; MFA_TYPE_STRUCT for structs */
  uint64_t type_size; /* bytes, 0 if unknown */
  uint64_t type_alignment;
  bool used; /* false: the kernel never touches it */
} mfa_argument;

typedef struct mfa_function_constant {
  const char* name;
  uint32_t index;
  mfa_type type;
  bool required;
} mfa_function_constant;

/* Arrays and strings are valid as long as the library. */
typedef struct mfa_function_info {
  size_t size;
  const char* name;
  size_t argument_count;
  const mfa_argument* arguments;
  size_t constant_count;
  const mfa_function_constant* constants;
  bool is_kernel;     /* only kernels become pipelines */
  bool has_arguments; /* false: Metal tells them only once constants are bound, see
                       * mfa_pipeline_info */
  uint16_t air_version[2], language_version[2]; /* major, minor; 0 where the device does not tell */
} mfa_function_info;

typedef struct mfa_compile_options {
  size_t size;
  bool precise_math; /* default: fast math, as Metal's compiler */
} mfa_compile_options;

/* The library of this product's own kernels. */
mfa_status mfa_library_default(mfa_device device, mfa_library* library);
/* Its bytes, as they would lie in a file: for programs that bring their own host code. They stay as
 * long as libmfa. */
mfa_status mfa_library_embedded(const void** bytes, size_t* length);
/* A metallib in memory, which is copied. */
mfa_status mfa_library_open(mfa_device device, const void* bytes, size_t length,
                            mfa_library* library);
mfa_status mfa_library_open_file(mfa_device device, const char* path, mfa_library* library);
/* Compiles Metal Shading Language. Compiler messages become the error message. `options` may be
 * NULL. */
mfa_status mfa_library_from_source(mfa_device device, const char* source,
                                   const mfa_compile_options* options, mfa_library* library);
mfa_status mfa_library_function_count(mfa_library library, size_t* count);
/* Names in the library's order; valid as long as the library. */
mfa_status mfa_library_function_name(mfa_library library, size_t index, const char** name);
mfa_status mfa_library_function_info(mfa_library library, const char* function,
                                     mfa_function_info* info);
mfa_status mfa_library_retain(mfa_library library);
mfa_status mfa_library_release(mfa_library library);

/* The value of one function constant. */
typedef struct mfa_constant_value {
  const char* name; /* NULL: by index */
  uint32_t index;
  mfa_type type;     /* as the function declares it */
  const void* value; /* of that type, copied */
} mfa_constant_value;

/* Arrays and strings are valid as long as the pipeline. */
typedef struct mfa_pipeline_info {
  size_t size;
  const char* function;
  uint32_t max_threads_per_threadgroup;
  uint32_t simd_width;
  uint64_t static_threadgroup_memory;
  size_t argument_count;
  const mfa_argument* arguments; /* those that are there with these constants */
  uint64_t code_bytes; /* machine code and its constants when the pipeline was made; 0 where the
                        * device does not tell */
} mfa_pipeline_info;

mfa_status mfa_pipeline_new(mfa_library library, const char* function,
                            const mfa_constant_value* constants, size_t count,
                            mfa_pipeline* pipeline);
mfa_status mfa_pipeline_get_info(mfa_pipeline pipeline, mfa_pipeline_info* info);
mfa_status mfa_pipeline_retain(mfa_pipeline pipeline);
mfa_status mfa_pipeline_release(mfa_pipeline pipeline);

typedef enum mfa_binding_kind {
  MFA_BINDING_BUFFER = 0,     /* buffer, offset */
  MFA_BINDING_BYTES = 1,      /* bytes, length: at most 4096, copied */
  MFA_BINDING_THREADGROUP = 2 /* length */
} mfa_binding_kind;

typedef struct mfa_binding {
  mfa_binding_kind kind;
  uint32_t slot;
  mfa_buffer buffer;
  uint64_t offset;
  const void* bytes;
  uint64_t length;
} mfa_binding;

typedef struct mfa_dispatch_desc {
  size_t size;
  mfa_pipeline pipeline;
  const mfa_binding* bindings;
  size_t binding_count;
  uint64_t grid[3]; /* threadgroups, or threads with grid_in_threads; 0 in y and z: 1;
                     * 0 in x: nothing runs */
  uint64_t threads_per_threadgroup[3]; /* 0 in y and z: 1; all 0, with grid_in_threads: chosen */
  bool grid_in_threads;                /* groups at the edge may be smaller */
} mfa_dispatch_desc;

/* Runs a kernel. Every argument it uses must be bound. */
mfa_status mfa_dispatch(mfa_commands commands, const mfa_dispatch_desc* desc);

/* ---- cdef end ---- */

#define MFA_DEVICE_INFO_INIT {.size = sizeof(mfa_device_info)}
#define MFA_BUFFER_INFO_INIT {.size = sizeof(mfa_buffer_info)}
#define MFA_COMMANDS_INFO_INIT {.size = sizeof(mfa_commands_info)}
#define MFA_GEMM_DESC_INIT {.size = sizeof(mfa_gemm_desc)}
#define MFA_GEMM_OPERANDS_INIT {.size = sizeof(mfa_gemm_operands)}
#define MFA_QGEMM_DESC_INIT {.size = sizeof(mfa_qgemm_desc)}
#define MFA_QGEMM_OPERANDS_INIT {.size = sizeof(mfa_qgemm_operands)}
#define MFA_ATTENTION_DESC_INIT {.size = sizeof(mfa_attention_desc)}
#define MFA_ATTENTION_OPERANDS_INIT {.size = sizeof(mfa_attention_operands)}
#define MFA_ATTENTION_BACKWARD_DESC_INIT {.size = sizeof(mfa_attention_backward_desc)}
#define MFA_ATTENTION_BACKWARD_OPERANDS_INIT {.size = sizeof(mfa_attention_backward_operands)}
#define MFA_CONVOLUTION_DESC_INIT {.size = sizeof(mfa_convolution_desc)}
#define MFA_CONVOLUTION_OPERANDS_INIT {.size = sizeof(mfa_convolution_operands)}
#define MFA_DECODE_DESC_INIT {.size = sizeof(mfa_decode_desc)}
#define MFA_DECODE_OPERANDS_INIT {.size = sizeof(mfa_decode_operands)}
#define MFA_MERGE_DESC_INIT {.size = sizeof(mfa_merge_desc)}
#define MFA_MERGE_OPERANDS_INIT {.size = sizeof(mfa_merge_operands)}
#define MFA_CAST_DESC_INIT {.size = sizeof(mfa_cast_desc)}
#define MFA_CAST_OPERANDS_INIT {.size = sizeof(mfa_cast_operands)}
#define MFA_PROBLEM_INIT {.size = sizeof(mfa_problem)}
#define MFA_PREPARE_OPTIONS_INIT {.size = sizeof(mfa_prepare_options)}
#define MFA_EXPLANATION_INIT {.size = sizeof(mfa_explanation)}
#define MFA_FUNCTION_INFO_INIT {.size = sizeof(mfa_function_info)}
#define MFA_COMPILE_OPTIONS_INIT {.size = sizeof(mfa_compile_options)}
#define MFA_PIPELINE_INFO_INIT {.size = sizeof(mfa_pipeline_info)}
#define MFA_DISPATCH_DESC_INIT {.size = sizeof(mfa_dispatch_desc)}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
