// SPDX-License-Identifier: MIT
// A canonical scalar kernel -> a function that runs 32 lanes at once: the phases in order.
#include "simd/vectorize.h"

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/ADCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Scalar/Sink.h"
#include "simd/bit_fields.h"
#include "simd/control.h"
#include "simd/emit.h"
#include "simd/half_stores.h"
#include "simd/passes.h"
#include "simd/program.h"
#include "simd/tiles.h"

namespace mfa::simd {
namespace {

using namespace llvm;

Error refused(const air::Specialized& kernel, const std::string& why) {
  return Error{"function '" + kernel.reflection.name + "': " + why};
}

void optimize(Function& f, TargetMachine& target, bool last) {
  FunctionPassManager passes;
  if (!last) {
    passes.addPass(EarlyCSEPass(true));
    passes.addPass(ADCEPass());  // the vector forms nobody took
    passes.addPass(SimplifyCFGPass());
  } else {
    passes.addPass(InstCombinePass());
    passes.addPass(EarlyCSEPass(true));
    passes.addPass(SimplifyCFGPass());
    passes.addPass(SinkingPass());  // general addresses belong on the path that uses them
    passes.addPass(ADCEPass());
  }
  run_passes(f, std::move(passes), &target);
  if (!last) return;
  shuffle_bit_fields(f);
  keep_half_stores_apart(f, target);
}

}  // namespace

Result<Vectorized> vectorize(air::Specialized& kernel, TargetMachine& target,
                             const Options& options) {
  // 1. One lane's program, scalars and matrices only.
  auto program = make_program(kernel, target, options.shape);
  if (!program) return refused(kernel, program.error());
  // 2. Control flow a mask can follow, and what differs between lanes.
  auto control = structure(**program);
  if (!control) return refused(kernel, control.error());
  // 3. All lanes at once.
  Emitter emitter(**program, **control, target, options.shape == exec::Shape::whole);
  auto emitted = emitter.run();
  if (!emitted) return refused(kernel, emitted.error());
  Function* f = *emitted;
  f->takeName(*program);
  control->reset();
  (*program)->eraseFromParent();
  kernel.kernel = f;
  // 4. Matrices, after cleaning so that their operands' addresses show.
  optimize(*f, target, false);
  uint32_t scratch = tiles::lower(*f, target, emitter.scratch_bytes());
  // 5. The rest.
  for (Function& each : *kernel.module)
    if (!each.isDeclaration()) optimize(each, target, true);

  std::string broken;
  raw_string_ostream stream(broken);
  if (verifyFunction(*f, &stream)) return refused(kernel, "internal error: " + stream.str());
  Vectorized out;
  out.symbol = f->getName().str();
  out.scratch_bytes = scratch;
  out.barriers = emitter.barriers();
  return {out};
}

}  // namespace mfa::simd
