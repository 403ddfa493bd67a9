target datalayout = "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32-f64:64:64-v16:16:16-v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128-v192:256:256-v256:256:256-v512:512:512-v1024:1024:1024-n8:16:32"
target triple = "air64-apple-macosx14.0.0"

@_ZL1n = internal addrspace(2) global i32 undef, align 4
@_Z1n.MTL_FC_INIT_0_j = internal addrspace(2) externally_initialized constant i32 undef, section "air.fc_initializer", align 4
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @_GLOBAL__sub_I_f.metal, ptr null }]

; Function Attrs: convergent mustprogress nounwind willreturn
declare void @air.wg.barrier(i32, i32) #0

; Function Attrs: convergent mustprogress nounwind willreturn
declare float @air.simd_sum.f32(float) #0

; Function Attrs: convergent mustprogress nounwind
define void @k(ptr addrspace(1) noundef "air-buffer-no-alias" %x, ptr addrspace(1) noundef "air-buffer-no-alias" %y, ptr addrspace(3) noundef "air-buffer-no-alias" %t, i32 noundef %i, i32 noundef %j) local_unnamed_addr #1 {
  %idxprom.i = zext i32 %i to i64
  %arrayidx.i = getelementptr inbounds float, ptr addrspace(1) %x, i64 %idxprom.i
  %1 = load float, ptr addrspace(1) %arrayidx.i, align 4
  %arrayidx2.i = getelementptr inbounds half, ptr addrspace(1) %y, i64 %idxprom.i
  %2 = load half, ptr addrspace(1) %arrayidx2.i, align 2
  %conv.i = fpext half %2 to float
  %mul.i = fmul fast float %1, %conv.i
  %idxprom3.i = zext i32 %j to i64
  %arrayidx4.i = getelementptr inbounds float, ptr addrspace(3) %t, i64 %idxprom3.i
  store float %mul.i, ptr addrspace(3) %arrayidx4.i, align 4
  call void @air.wg.barrier(i32 2, i32 1)
  %3 = load i32, ptr addrspace(2) @_ZL1n, align 4
  %cmp.i12.not = icmp eq i32 %3, 0
  br i1 %cmp.i12.not, label %inner._Z1fPU8SYdevicefPU8SYdeviceKDhPU7SYlocalfjj.exit, label %for.body.i

for.body.i:                                       ; preds = %for.body.i, %0
  %k.i.014 = phi i32 [ %inc.i, %for.body.i ], [ 0, %0 ]
  %s.i.013 = phi float [ %add7.i, %for.body.i ], [ 0.000000e+00, %0 ]
  %add.i = add i32 %k.i.014, %j
  %rem.i = and i32 %add.i, 31
  %idxprom5.i = zext nneg i32 %rem.i to i64
  %arrayidx6.i = getelementptr inbounds float, ptr addrspace(3) %t, i64 %idxprom5.i
  %4 = load float, ptr addrspace(3) %arrayidx6.i, align 4
  %add7.i = fadd fast float %s.i.013, %4
  %inc.i = add nuw i32 %k.i.014, 1
  %exitcond.not = icmp eq i32 %inc.i, %3
  br i1 %exitcond.not, label %inner._Z1fPU8SYdevicefPU8SYdeviceKDhPU7SYlocalfjj.exit, label %for.body.i, !llvm.loop !24

inner._Z1fPU8SYdevicefPU8SYdeviceKDhPU7SYlocalfjj.exit: ; preds = %for.body.i, %0
  %s.i.0.lcssa = phi float [ 0.000000e+00, %0 ], [ %add7.i, %for.body.i ]
  %call1.i = call fast float @air.simd_sum.f32(float %s.i.0.lcssa)
  store float %call1.i, ptr addrspace(1) %arrayidx.i, align 4
  ret void
}

; Function Attrs: nounwind
define internal void @_GLOBAL__sub_I_f.metal() #2 section "air.static_init" {
  %1 = load i32, ptr addrspace(2) @_Z1n.MTL_FC_INIT_0_j, align 4
  store i32 %1, ptr addrspace(2) @_ZL1n, align 4
  ret void
}

attributes #0 = { convergent mustprogress nounwind willreturn }
attributes #1 = { convergent mustprogress nounwind "approx-func-fp-math"="true" "frame-pointer"="all" "no-builtins" "no-infs-fp-math"="true" "no-nans-fp-math"="true" "no-signed-zeros-fp-math"="true" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "unsafe-fp-math"="true" }
attributes #2 = { nounwind }

!llvm.ident = !{!0}
!air.function_constants = !{!1}
!llvm.module.flags = !{!2, !3, !4, !5, !6, !7, !8, !9, !10}
!air.kernel = !{!11}
!air.version = !{!19}
!air.language_version = !{!20}
!air.compile_options = !{!21, !22, !23}

!0 = !{!"mfa-metalc"}
!1 = !{ptr addrspace(2) @_Z1n.MTL_FC_INIT_0_j, !"uint", !"n", i32 0, i1 true}
!2 = !{i32 2, !"SDK Version", [2 x i32] [i32 14, i32 0]}
!3 = !{i32 1, !"wchar_size", i32 4}
!4 = !{i32 7, !"frame-pointer", i32 2}
!5 = !{i32 7, !"air.max_device_buffers", i32 31}
!6 = !{i32 7, !"air.max_constant_buffers", i32 31}
!7 = !{i32 7, !"air.max_threadgroup_buffers", i32 31}
!8 = !{i32 7, !"air.max_textures", i32 128}
!9 = !{i32 7, !"air.max_read_write_textures", i32 8}
!10 = !{i32 7, !"air.max_samplers", i32 16}
!11 = !{ptr @k, !12, !13}
!12 = !{}
!13 = !{!14, !15, !16, !17, !18}
!14 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"x"}
!15 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 2, !"air.arg_type_align_size", i32 2, !"air.arg_type_name", !"half", !"air.arg_name", !"y"}
!16 = !{i32 2, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 3, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"t"}
!17 = !{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
!18 = !{i32 4, !"air.thread_index_in_threadgroup", !"air.arg_type_name", !"uint", !"air.arg_name", !"j"}
!19 = !{i32 2, i32 6, i32 0}
!20 = !{!"Metal", i32 3, i32 1, i32 0}
!21 = !{!"air.compile.denorms_disable"}
!22 = !{!"air.compile.fast_math_enable"}
!23 = !{!"air.compile.framebuffer_fetch_enable"}
!24 = distinct !{!24, !25}
!25 = !{!"llvm.loop.mustprogress"}
