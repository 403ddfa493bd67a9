target datalayout = "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32-f64:64:64-v16:16:16-v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128-v192:256:256-v256:256:256-v512:512:512-v1024:1024:1024-n8:16:32"
target triple = "air64_v26-apple-macosx14.0.0"

@n.MTL_FC_INIT_0_j = internal addrspace(2) externally_initialized constant i32 undef, section "air.fc_initializer", align 4
@wide.MTL_FC_INIT_7_b = internal addrspace(2) externally_initialized constant i8 undef, section "air.fc_initializer", align 1
@n = internal addrspace(2) global i32 undef, align 4
@doubled = internal addrspace(2) global i32 0, align 4
@pred = internal addrspace(2) global i8 0, align 1
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @init, ptr null }]
@llvm.compiler.used = appending global [1 x ptr] [ptr addrspacecast (ptr addrspace(2) @pred to ptr)], section "llvm.metadata"

declare i1 @air.is_function_constant_defined(ptr addrspace(2))
declare i8 @air.normalize_function_constant_predicate.i8(i8)
declare i32 @air.min.u.i32(i32, i32)

define internal void @init() section "air.static_init" {
  %n = load i32, ptr addrspace(2) @n.MTL_FC_INIT_0_j
  %clamped = call i32 @air.min.u.i32(i32 %n, i32 1000)
  store i32 %clamped, ptr addrspace(2) @n
  %defined = call i1 @air.is_function_constant_defined(ptr addrspace(2) @wide.MTL_FC_INIT_7_b)
  %twice = shl i32 %clamped, 1
  %doubled = select i1 %defined, i32 %twice, i32 %clamped
  store i32 %doubled, ptr addrspace(2) @doubled
  %w = load i8, ptr addrspace(2) @wide.MTL_FC_INIT_7_b
  %p = call i8 @air.normalize_function_constant_predicate.i8(i8 %w)
  store i8 %p, ptr addrspace(2) @pred
  ret void
}

define void @k(ptr addrspace(1) %out, ptr addrspace(1) %b, i32 %i) {
  %doubled = load i32, ptr addrspace(2) @doubled
  %p = load i8, ptr addrspace(2) @pred
  %has_b = icmp ne i8 %p, 0
  br i1 %has_b, label %add, label %done
add:
  %x = load i32, ptr addrspace(1) %b
  br label %done
done:
  %y = phi i32 [ 0, %0 ], [ %x, %add ]
  %sum = add i32 %doubled, %y
  store i32 %sum, ptr addrspace(1) %out
  ret void
}
!air.kernel = !{!0}
!air.function_constants = !{!6, !7}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"uint", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.function_constant", !8, !"air.buffer", !"air.location_index", i32 5, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"uint", !"air.arg_name", !"b"}
!5 = !{i32 2, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i", !"air.arg_unused"}
!6 = !{ptr addrspace(2) @n.MTL_FC_INIT_0_j, !"uint", !"n", i32 0, i1 true}
!7 = !{ptr addrspace(2) @wide.MTL_FC_INIT_7_b, !"bool", !"wide", i32 7, i1 false}
!8 = !{ptr addrspace(2) @pred, !"bool", !"wide"}
