// SPDX-License-Identifier: MIT
// clang has no AIR target, so this one is handed to it: LP64, native half and bfloat, flat memory.
#include "metalc/target.h"

#include "clang/Basic/Builtins.h"
#include "clang/Basic/MacroBuilder.h"
#include "clang/Basic/TargetInfo.h"
#include "clang/Basic/TargetOptions.h"

namespace mfa::metalc {
namespace {

// Indexed by clang::LangAS. The front end runs with SYCL's address spaces because there, and only
// there, the default one is a superset of the others: `this` and plain references accept objects
// anywhere. What SYCL puts in `global` on its own are constants it needs (tables, literals).
constexpr clang::LangASMap kAddressSpaces = {
    as_thread,   0,         0,           0,
    0,           0,         0,           0,  // default, OpenCL
    0,           0,         0,               // CUDA
    as_constant, as_device, as_constant, as_threadgroup,
    as_thread,  // SYCL
    0,           0,         0,           0,
    0,
};

// Only clang's own factory may set the options of a target, and it knows a fixed list of targets.
// Explicit instantiation is the one place where C++ lets a private member be named.
using OptionsMember = std::shared_ptr<clang::TargetOptions> clang::TargetInfo::*;
OptionsMember options_member();
template <OptionsMember member>
struct Grant {
  friend OptionsMember options_member() { return member; }
};
template struct Grant<&clang::TargetInfo::TargetOpts>;

class AirTarget final : public clang::TargetInfo {
 public:
  explicit AirTarget(std::shared_ptr<clang::TargetOptions> options)
      // An ELF-like triple keeps asm labels as they are; the module gets the real one later.
      : TargetInfo(llvm::Triple("air64-unknown-unknown")) {
    this->*options_member() = std::move(options);
    resetDataLayout(kDataLayout);
    PointerWidth = PointerAlign = 64;
    LongWidth = LongAlign = 64;
    SizeType = UnsignedLong;
    PtrDiffType = IntPtrType = SignedLong;
    IntMaxType = Int64Type = SignedLong;
    LongDoubleWidth = LongDoubleAlign = 64;
    LongDoubleFormat = &llvm::APFloat::IEEEdouble();
    HasLegalHalfType = HasFloat16 = HasBFloat16 = HasFullBFloat16 = true;
    BFloat16Width = BFloat16Align = 16;
    BFloat16Format = &llvm::APFloat::BFloat();
    MaxVectorAlign = 1024;
    AddrSpaceMap = &kAddressSpaces;
    UseAddrSpaceMapMangling = false;
    NoAsmVariants = true;
    TLSSupported = false;
  }

  void getTargetDefines(const clang::LangOptions&, clang::MacroBuilder& builder) const override {
    builder.defineMacro("__METAL__");
    builder.defineMacro("__METAL_MACOS__");
    builder.defineMacro("__AIR64__");
    builder.defineMacro("__METAL_VERSION__", "310");
    builder.defineMacro("__HAVE_BFLOAT__");
    builder.defineMacro("__HAVE_SIMDGROUP_MATRIX__");
  }
  llvm::ArrayRef<clang::Builtin::Info> getTargetBuiltins() const override { return {}; }
  BuiltinVaListKind getBuiltinVaListKind() const override { return VoidPtrBuiltinVaList; }
  bool validateAsmConstraint(const char*&, ConstraintInfo&) const override { return false; }
  std::string_view getClobbers() const override { return ""; }
  llvm::ArrayRef<const char*> getGCCRegNames() const override { return {}; }
  llvm::ArrayRef<GCCRegAlias> getGCCRegAliases() const override { return {}; }
  bool useFP16ConversionIntrinsics() const override { return false; }
  bool hasBitIntType() const override { return false; }
};

}  // namespace

clang::TargetInfo* make_air_target(std::shared_ptr<clang::TargetOptions> options) {
  return new AirTarget(std::move(options));
}

}  // namespace mfa::metalc
