// SPDX-License-Identifier: MIT
// A canonical scalar kernel -> a function that runs one thread, meeting its neighbours at sites.
#include "jit/reference.h"

#include <algorithm>
#include <array>
#include <optional>

#include "jit/reference_accesses.h"
#include "jit/reference_atomics.h"
#include "jit/reference_bounds.h"
#include "jit/reference_ops.h"
#include "jit/site_order.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/PostDominators.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"
#include "simd/prologue.h"

namespace mfa::jit {
namespace {

using llvm::BasicBlock;
using llvm::CallInst;
using llvm::Function;
using llvm::IRBuilder;
using llvm::Type;
using llvm::Value;
using simd::Op;

Result<Element> element_of(const Type* type, const std::string& user) {
  if (type->isIntegerTy(1)) return Element::i1;
  if (type->isIntegerTy(8)) return Element::i8;
  if (type->isIntegerTy(16)) return Element::i16;
  if (type->isIntegerTy(32)) return Element::i32;
  if (type->isIntegerTy(64)) return Element::i64;
  if (type->isHalfTy()) return Element::f16;
  if (type->isBFloatTy()) return Element::bf16;
  if (type->isFloatTy()) return Element::f32;
  return Error{"the function " + user + " has an operand of an unknown type"};
}

class Builder {
 public:
  Builder(air::Specialized& kernel, bool checked)
      : kernel_(kernel),
        module_(*kernel.module),
        context_(module_.getContext()),
        checked_(checked) {}

  Result<Reference> build() {
    if (auto made = make_thread_function(); !made) return made.take_error();
    llvm::DominatorTree dominators(*thread_);
    llvm::LoopInfo loops(dominators);
    for (llvm::Loop* loop : llvm::SmallVector<llvm::Loop*, 8>(loops.begin(), loops.end()))
      llvm::simplifyLoop(loop, &dominators, &loops, nullptr, nullptr, nullptr, false);
    bound_private_accesses(*thread_);
    relax_vector_alignment(*thread_);
    if (auto collected = collect_calls(); !collected) return collected.take_error();
    if (checked_) accesses_->check(*thread_);
    if (auto placed = place_sites(loops); !placed) return placed.take_error();
    std::string symbol = "mfa_thread";
    thread_->setName(symbol);
    return Reference{thread_->getName().str()};
  }

 private:
  /// A function of type mfa_thread_entry with the kernel's body, parameters computed up front.
  Result<void> make_thread_function() {
    Function* kernel = kernel_.kernel;
    Type* pointer = llvm::PointerType::get(context_, 0);
    Type* i32 = Type::getInt32Ty(context_);
    auto* type = llvm::FunctionType::get(Type::getVoidTy(context_), {pointer, i32, pointer}, false);
    thread_ = Function::Create(type, Function::ExternalLinkage, "", module_);
    if (kernel->hasFnAttribute(air::kDenormals))
      thread_->addFnAttr(kernel->getFnAttribute(air::kDenormals));
    group_ = thread_->getArg(0);
    auto* prologue = BasicBlock::Create(context_, "prologue", thread_);
    thread_->splice(thread_->end(), kernel);
    accesses_.emplace(module_, group_);
    BasicBlock* body = prologue->getNextNode();

    IRBuilder<> b(prologue);
    simd::GroupAccess access(b, group_);
    simd::Threads threads;
    threads.linear = thread_->getArg(1);
    threads.simdgroup = b.CreateLShr(threads.linear, 5);
    lane_ = threads.lane = b.CreateAnd(threads.linear, 31);
    for (const air::Argument& argument : kernel_.reflection.arguments) {
      if (argument.parameter >= kernel->arg_size())
        return Error{"the argument " + argument.name + " has no parameter"};
      llvm::Argument* parameter = kernel->getArg(argument.parameter);
      auto value = parameter_value(b, access, threads, argument, *parameter);
      if (!value) return value.take_error();
      parameter->replaceAllUsesWith(*value);
    }
    for (llvm::Argument& parameter : kernel->args())
      if (!parameter.use_empty())
        return Error{"a parameter of the kernel has no argument description"};
    simd::StaticMemory variables = simd::static_threadgroup_memory(module_);
    accesses_->add_variables(variables);
    replace_static_memory(b, access, *thread_, variables);
    b.CreateBr(body);
    // Allocas outside the entry block would be dynamic ones.
    for (llvm::Instruction& inst : llvm::make_early_inc_range(*body))
      if (llvm::isa<llvm::AllocaInst>(inst)) inst.moveBefore(prologue->getFirstNonPHI());
    kernel->eraseFromParent();
    kernel_.kernel = thread_;
    return {};
  }

  Result<Value*> parameter_value(IRBuilder<>& b, simd::GroupAccess& access, simd::Threads& threads,
                                 const air::Argument& argument, llvm::Argument& parameter) {
    using Kind = air::Argument::Kind;
    Type* type = parameter.getType();
    Value* null = llvm::Constant::getNullValue(type);
    if (!argument.active || parameter.use_empty()) return null;
    if (argument.kind == Kind::buffer || argument.kind == Kind::threadgroup) {
      Value* address = argument.kind == Kind::buffer
                           ? access.buffer(argument.slot, type->getPointerAddressSpace())
                           : access.threadgroup_argument(argument.slot);
      accesses_->add_argument(address, argument.name, argument.slot);
      return address;
    }
    if (argument.kind != Kind::builtin)
      return Error{"the argument " + argument.name + " of type " + argument.type_name +
                   " is not supported"};
    auto builtin = simd::parse_builtin(argument.builtin);
    if (!builtin) return builtin.take_error();
    return simd::assemble(b, type, [&](unsigned axis) {
      return simd::component(b, access, threads, *builtin, axis);
    });
  }

  /// Sorts calls into sites and what can be replaced at once.
  Result<void> collect_calls() {
    for (llvm::Instruction& inst : llvm::make_early_inc_range(llvm::instructions(thread_))) {
      auto* call = llvm::dyn_cast<CallInst>(&inst);
      if (!call || llvm::isa<llvm::IntrinsicInst>(call)) continue;
      Function* callee = call->getCalledFunction();
      if (!callee) return Error{"the kernel calls a function through a pointer"};
      if (!simd::is_air(*callee)) {
        if (!callee->isDeclaration()) continue;
        return Error{"the function " + callee->getName().str() + " is not supported"};
      }
      auto operation = simd::parse_intrinsic(*callee);
      if (!operation) return operation.take_error();
      if (simd::is_convergent(operation->op) && operation->op != Op::async_wait)
        sites_[call] = *operation;
      else
        replace(*call, *operation);
    }
    return {};
  }

  void replace(CallInst& call, const simd::Intrinsic& operation) {
    IRBuilder<> b(&call);
    Value* result = nullptr;
    switch (operation.op) {
      case Op::simdgroup_size:
        result = llvm::ConstantInt::get(call.getType(), MFA_SIMD_WIDTH);
        break;
      case Op::lane_index:
        result = b.CreateZExtOrTrunc(lane_, call.getType());
        break;
      case Op::coherent_load:
        result = b.CreateLoad(call.getType(), call.getArgOperand(0), true);
        break;
      case Op::coherent_store:
        b.CreateStore(call.getArgOperand(0), call.getArgOperand(1), true);
        break;
      case Op::atomic_fence:
        b.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
        break;
      case Op::async_wait:
        break;  // the copy is complete when its call returns
      default:
        lower_atomic(call, operation);
        return;
    }
    if (result) call.replaceAllUsesWith(result);
    call.eraseFromParent();
  }

  Result<void> place_sites(const llvm::LoopInfo& loops) {
    std::vector<BasicBlock*> order = site_order(*thread_, loops);
    llvm::DenseSet<BasicBlock*> latches = latches_to_mark(loops);
    IRBuilder<> b(&*thread_->getEntryBlock().getFirstInsertionPt());
    record_ = b.CreateAlloca(b.getInt8Ty(), b.getInt32(record_slot_bytes * (max_operands() + 1)));
    record_->setAlignment(llvm::Align(record_slot_bytes));
    llvm::DenseSet<BasicBlock*> joins = joins_to_mark();
    llvm::DenseMap<BasicBlock*, std::vector<CallInst*>> calls;  // in the order of the code
    for (auto& [call, operation] : sites_) calls[call->getParent()].push_back(call);
    for (BasicBlock* block : order) {
      if (joins.count(block)) {
        b.SetInsertPoint(block, block->getFirstInsertionPt());
        meet(b, make_meeting());
      }
      for (CallInst* call : calls[block])
        if (auto done = replace_by_site(*call, sites_[call]); !done) return done;
      if (latches.count(block)) {
        b.SetInsertPoint(block->getTerminator());
        meet(b, make_meeting());
      }
    }
    return {};
  }

  /// The ends of the bodies of all loops that contain a site.
  llvm::DenseSet<BasicBlock*> latches_to_mark(const llvm::LoopInfo& loops) {
    llvm::DenseSet<BasicBlock*> latches;
    for (auto& [call, operation] : sites_)
      for (llvm::Loop* loop = loops.getLoopFor(call->getParent()); loop;
           loop = loop->getParentLoop()) {
        llvm::SmallVector<BasicBlock*, 4> all;
        loop->getLoopLatches(all);
        latches.insert(all.begin(), all.end());
      }
    return latches;
  }

  /// Where the sides of a branch come together again, if there is a site on one of them: lanes that
  /// went the other way must not run ahead, for they may read what a barrier there has ordered.
  llvm::DenseSet<BasicBlock*> joins_to_mark() {
    llvm::DenseSet<const BasicBlock*> with_site;
    for (auto& [call, operation] : sites_) with_site.insert(call->getParent());
    llvm::PostDominatorTree post_dominators(*thread_);
    llvm::DenseSet<BasicBlock*> joins;
    for (BasicBlock& branch : *thread_) {
      auto* node = post_dominators.getNode(&branch);
      if (branch.getTerminator()->getNumSuccessors() < 2 || !node || !node->getIDom()) continue;
      BasicBlock* join = node->getIDom()->getBlock();  // null: the sides end apart
      if (join && !joins.count(join) && reaches(branch, *join, with_site)) joins.insert(join);
    }
    return joins;
  }

  /// Whether a block of `wanted` lies on a way from `branch` to `join`.
  static bool reaches(BasicBlock& branch, const BasicBlock& join,
                      const llvm::DenseSet<const BasicBlock*>& wanted) {
    llvm::DenseSet<const BasicBlock*> seen{&join};
    llvm::SmallVector<BasicBlock*, 16> open(llvm::successors(&branch));
    while (!open.empty()) {
      BasicBlock* block = open.pop_back_val();
      if (!seen.insert(block).second) continue;
      if (wanted.count(block)) return true;
      open.append(llvm::succ_begin(block), llvm::succ_end(block));
    }
    return false;
  }

  unsigned max_operands() const {
    unsigned most = 0;
    for (auto& [call, operation] : sites_) most = std::max(most, call->arg_size());
    return most;
  }

  /// A site where lanes only wait for each other.
  llvm::Constant* make_meeting() {
    llvm::Constant* none = llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
    return make_site(false, nullptr, SiteOperation{}, {none, none});
  }

  /// What an operation at a site reaches: its target first.
  std::array<llvm::Constant*, 2> accesses_of(const CallInst& call, Op op) {
    llvm::Constant* none = llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
    std::array<llvm::Constant*, 2> out{none, none};
    if (!checked_) return out;
    auto describe = [&](unsigned operand, bool writes, bool copies) {
      return accesses_->describe(call.getArgOperand(operand), writes, copies);
    };
    if (op == Op::matrix_load) out[0] = describe(0, false, false);
    if (op == Op::matrix_store) out[0] = describe(1, true, false);
    if (op == Op::async_copy_1d) out = {describe(2, true, true), describe(3, false, true)};
    if (op == Op::async_copy_2d) out = {describe(2, true, true), describe(6, false, true)};
    return out;
  }

  llvm::Constant* make_site(bool barrier, const char* perform, const SiteOperation& operation,
                            const std::array<llvm::Constant*, 2>& accesses) {
    Type* i32 = Type::getInt32Ty(context_);
    Type* pointer = llvm::PointerType::get(context_, 0);
    auto* pointers = llvm::ArrayType::get(pointer, 2);
    auto* type = llvm::StructType::get(context_,
                                       {i32, i32, pointer, llvm::ArrayType::get(i32, 4), pointers});
    uint32_t details[4];
    operation.pack(details);
    llvm::Constant* function = llvm::ConstantPointerNull::get(llvm::PointerType::get(context_, 0));
    if (perform)
      function = llvm::cast<llvm::Constant>(
          module_.getOrInsertFunction(perform, Type::getVoidTy(context_), pointer, pointer, i32)
              .getCallee());
    auto* value = llvm::ConstantStruct::get(
        type, {llvm::ConstantInt::get(i32, next_site_++), llvm::ConstantInt::get(i32, barrier),
               function, llvm::ConstantDataArray::get(context_, details),
               llvm::ConstantArray::get(pointers, accesses)});
    return new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::PrivateLinkage, value,
                                    "site");
  }

  void meet(IRBuilder<>& b, llvm::Constant* site) {
    auto function = module_.getOrInsertFunction("mfa_rt_meet", b.getVoidTy(), b.getPtrTy(),
                                                b.getPtrTy(), b.getPtrTy());
    CallInst* call = b.CreateCall(function, {group_, site, record_});
    call->setConvergent();
    call->setDoesNotThrow();
  }

  Value* slot(IRBuilder<>& b, unsigned index) {
    return b.CreateConstInBoundsGEP1_32(b.getInt8Ty(), record_, index * record_slot_bytes);
  }

  static bool is_matrix(const Type* type) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    return vector && vector->getNumElements() == 64;
  }

  void store_operand(IRBuilder<>& b, Value* value, Value* to) {
    Type* type = value->getType();
    if (is_matrix(type)) value = b.CreateShuffleVector(value, llvm::ArrayRef<int>{0, 1});
    if (type->isIntegerTy(1)) value = b.CreateZExt(value, b.getInt8Ty());
    b.CreateAlignedStore(value, to, llvm::Align(record_slot_bytes));
  }

  Value* load_result(IRBuilder<>& b, Type* type) {
    Value* from = slot(b, 0);
    llvm::Align align(record_slot_bytes);
    if (type->isIntegerTy(1))
      return b.CreateTrunc(b.CreateAlignedLoad(b.getInt8Ty(), from, align), type);
    if (!is_matrix(type)) return b.CreateAlignedLoad(type, from, align);
    Type* pair = llvm::FixedVectorType::get(type->getScalarType(), 2);
    llvm::SmallVector<int, 64> mask(64, -1);
    mask[0] = 0;
    mask[1] = 1;
    return b.CreateShuffleVector(b.CreateAlignedLoad(pair, from, align), mask);
  }

  Result<SiteOperation> describe(const CallInst& call, const simd::Intrinsic& operation) {
    std::string name = call.getCalledFunction()->getName().str();
    SiteOperation site;
    site.op = operation.op;
    site.width = operation.width;
    site.is_signed = operation.is_signed;
    site.strided = operation.strided;
    if (operation.value) {
      auto element = element_of(operation.value->getScalarType(), name);
      if (!element) return element.take_error();
      site.element = *element;
      auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(operation.value);
      site.components = uint8_t(vector ? vector->getNumElements() : 1);
      bool fits = is_matrix(operation.value) ||
                  operation.value->getPrimitiveSizeInBits() <= 8 * record_slot_bytes;
      if (!fits) return Error{"the function " + name + " has an operand of an unknown type"};
    }
    // Types of further operands: the mask of a vote, the factors of a product.
    Element* more[] = {&site.a, &site.b, &site.c};
    bool wanted = operation.op == Op::matrix_multiply || operation.op == Op::vote_all ||
                  operation.op == Op::vote_any;
    for (unsigned i = 0; wanted && i < std::min(3u, call.arg_size()); ++i) {
      auto element = element_of(call.getArgOperand(i)->getType()->getScalarType(), name);
      if (!element) return element.take_error();
      *more[i] = *element;
    }
    if (operation.op == Op::async_copy_2d) {
      auto* offset = llvm::dyn_cast<llvm::Constant>(call.getArgOperand(10));
      if (!offset || !offset->isNullValue())
        return Error{"the function " + name + " with an offset is not supported"};
    }
    return site;
  }

  static const char* function_for(Op op) {
    if (op == Op::simdgroup_barrier || op == Op::threadgroup_barrier) return nullptr;
    if (op == Op::async_copy_1d || op == Op::async_copy_2d) return "mfa_rt_copy";
    return simd::is_matrix(op) ? "mfa_rt_matrix" : "mfa_rt_group";
  }

  Result<void> replace_by_site(CallInst& call, const simd::Intrinsic& operation) {
    auto site = describe(call, operation);
    if (!site) return site.take_error();
    IRBuilder<> b(&call);
    const char* perform = function_for(operation.op);
    for (unsigned i = 0; perform && i < call.arg_size(); ++i)
      store_operand(b, call.getArgOperand(i), slot(b, i + 1));
    meet(b, make_site(operation.op == Op::threadgroup_barrier, perform, *site,
                      accesses_of(call, operation.op)));
    if (!call.getType()->isVoidTy()) call.replaceAllUsesWith(load_result(b, call.getType()));
    call.eraseFromParent();
    return {};
  }

  air::Specialized& kernel_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  Function* thread_ = nullptr;
  Value *group_ = nullptr, *lane_ = nullptr;
  llvm::AllocaInst* record_ = nullptr;
  bool checked_;
  std::optional<Accesses> accesses_;
  llvm::MapVector<CallInst*, simd::Intrinsic> sites_;
  uint32_t next_site_ = 0;
};

}  // namespace

Result<Reference> make_reference(air::Specialized& kernel, bool checked) {
  return Builder(kernel, checked).build();
}

}  // namespace mfa::jit
