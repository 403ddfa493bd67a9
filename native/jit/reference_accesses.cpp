// SPDX-License-Identifier: MIT
// Memory accesses of a thread function -> the same, each asking mfa_rt_access first.
#include "jit/reference_accesses.h"

#include "exec/abi.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Operator.h"

namespace mfa::jit {

using llvm::Value;

namespace {

constexpr unsigned first_checked_space = 1, last_checked_space = 3;

bool is_checked(const Value* address) {
  unsigned space = address->getType()->getPointerAddressSpace();
  return space >= first_checked_space && space <= last_checked_space;
}

Value* without_casts(Value* value) {
  while (auto* cast = llvm::dyn_cast<llvm::AddrSpaceCastOperator>(value))
    value = cast->getPointerOperand();
  return value;
}

}  // namespace

void Accesses::add_argument(Value* address, const std::string& name, unsigned slot) {
  arguments_[address] = {name, int32_t(slot), 0, 0, true};
}

/// mfa_group::threadgroup, loaded anywhere.
bool Accesses::is_group_memory(Value* value) const {
  auto* load = llvm::dyn_cast<llvm::LoadInst>(value);
  if (!load) return false;
  llvm::APInt offset(64, 0);
  const Value* base = load->getPointerOperand()->stripAndAccumulateConstantOffsets(
      module_.getDataLayout(), offset, true);
  return base == group_ && offset == offsetof(mfa_group, threadgroup);
}

/// A value that is an argument's address, or the place of a threadgroup variable.
bool Accesses::origin_of_base(Value* value, Origin& origin) {
  if (auto found = arguments_.find(value); found != arguments_.end()) {
    origin = found->second;
    return true;
  }
  auto* place = llvm::dyn_cast<llvm::GEPOperator>(value);
  if (!place || !is_group_memory(without_casts(place->getPointerOperand()))) return false;
  const llvm::DataLayout& layout = module_.getDataLayout();
  llvm::APInt offset(64, 0);
  if (!place->accumulateConstantOffset(layout, offset)) return false;
  for (auto& [variable, begin] : variables_.offsets)
    if (begin == offset.getZExtValue())
      origin = {variable->getName().str(), MFA_ORIGIN_STATIC, begin,
                uint32_t(layout.getTypeAllocSize(variable->getValueType())), true};
  return origin.known;
}

Accesses::Origin Accesses::origin(Value* address) {
  Origin found;
  llvm::SmallVector<Value*, 8> open{address};
  llvm::SmallPtrSet<Value*, 8> seen;
  while (!open.empty()) {
    Value* value = open.pop_back_val();
    if (!seen.insert(value).second) continue;
    Origin one;
    if (origin_of_base(value, one)) {
      if (!found.known)
        found = one;
      else if (!found.same(one))
        found = {"", MFA_ORIGIN_SEVERAL, 0, 0, true};
    } else if (auto* gep = llvm::dyn_cast<llvm::GEPOperator>(value)) {
      open.push_back(gep->getPointerOperand());
    } else if (auto* cast = llvm::dyn_cast<llvm::AddrSpaceCastOperator>(value)) {
      open.push_back(cast->getPointerOperand());
    } else if (auto* phi = llvm::dyn_cast<llvm::PHINode>(value)) {
      open.append(phi->value_op_begin(), phi->value_op_end());
    } else if (auto* select = llvm::dyn_cast<llvm::SelectInst>(value)) {
      open.append({select->getTrueValue(), select->getFalseValue()});
    } else if (auto* freeze = llvm::dyn_cast<llvm::FreezeInst>(value)) {
      open.push_back(freeze->getOperand(0));
    } else if (!llvm::isa<llvm::UndefValue>(value)) {
      return {};
    }
  }
  return found;
}

llvm::Constant* Accesses::text(const std::string& value) {
  llvm::Constant* data = llvm::ConstantDataArray::getString(module_.getContext(), value);
  return new llvm::GlobalVariable(module_, data->getType(), true, llvm::GlobalValue::PrivateLinkage,
                                  data, "name");
}

llvm::Constant* Accesses::access(Value* address, uint64_t bytes, bool writes, bool atomic,
                                 bool copies) {
  llvm::LLVMContext& context = module_.getContext();
  auto* pointer = llvm::PointerType::get(context, 0);
  Origin from = origin(address);
  if (!from.known) return llvm::ConstantPointerNull::get(pointer);
  auto* i8 = llvm::Type::getInt8Ty(context);
  auto* i32 = llvm::Type::getInt32Ty(context);
  auto* type = llvm::StructType::get(context, {pointer, i32, i8, i8, i8, i8, i32, i32, i32});
  auto number = [](llvm::Type* of, uint64_t value) { return llvm::ConstantInt::get(of, value); };
  auto* value = llvm::ConstantStruct::get(
      type, {text(from.name), number(i32, bytes),
             number(i8, address->getType()->getPointerAddressSpace()), number(i8, writes),
             number(i8, atomic), number(i8, copies), number(i32, uint32_t(from.slot)),
             number(i32, from.begin), number(i32, from.length)});
  return new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::PrivateLinkage, value,
                                  "access");
}

llvm::Constant* Accesses::describe(Value* address, bool writes, bool copies) {
  return access(address, 0, writes, false, copies);
}

void Accesses::check_operand(llvm::Instruction& inst, unsigned operand, uint64_t bytes, bool writes,
                             bool atomic, bool copies) {
  Value* address = inst.getOperand(operand);
  if (!is_checked(address)) return;
  llvm::Constant* description = access(address, bytes, writes, atomic, copies);
  if (description->isNullValue()) return;
  llvm::IRBuilder<> b(&inst);
  auto* pointer = b.getPtrTy();
  auto function = module_.getOrInsertFunction("mfa_rt_access", pointer, pointer, pointer, pointer);
  llvm::CallInst* call =
      b.CreateCall(function, {group_, description, b.CreateAddrSpaceCast(address, pointer)});
  call->setDoesNotThrow();
  inst.setOperand(operand, b.CreateAddrSpaceCast(call, address->getType()));
}

void Accesses::check(llvm::Function& thread) {
  const llvm::DataLayout& layout = module_.getDataLayout();
  auto size = [&](llvm::Type* type) { return layout.getTypeStoreSize(type).getFixedValue(); };
  llvm::SmallVector<llvm::Instruction*, 64> all;
  for (llvm::Instruction& inst : llvm::instructions(thread)) all.push_back(&inst);
  for (llvm::Instruction* inst : all) {
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(inst)) {
      check_operand(*load, 0, size(load->getType()), false, load->isAtomic(), false);
    } else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(inst)) {
      uint64_t bytes = size(store->getValueOperand()->getType());
      check_operand(*store, 1, bytes, true, store->isAtomic(), false);
    } else if (auto* change = llvm::dyn_cast<llvm::AtomicRMWInst>(inst)) {
      check_operand(*change, 0, size(change->getType()), true, true, false);
    } else if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(inst)) {
      uint64_t bytes = size(exchange->getNewValOperand()->getType());
      check_operand(*exchange, 0, bytes, true, true, false);
    } else if (auto* copy = llvm::dyn_cast<llvm::MemTransferInst>(inst)) {
      auto* length = llvm::dyn_cast<llvm::ConstantInt>(copy->getLength());
      if (!length) continue;  // air/expand_memory leaves none of those
      check_operand(*copy, 0, length->getZExtValue(), true, false, true);
      check_operand(*copy, 1, length->getZExtValue(), false, false, true);
    }
  }
}

}  // namespace mfa::jit
