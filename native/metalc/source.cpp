// SPDX-License-Identifier: MIT
// Turns MSL text into text clang parses as C++, and serves it together with the built-in headers.
#include "metalc/source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "clang/Basic/LangOptions.h"
#include "clang/Basic/SourceLocation.h"
#include "clang/Lex/Lexer.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MemoryBuffer.h"

namespace mfa::metalc {
namespace {

struct PreludeFile {
  const char* name;
  const char* text;
  size_t size;
};
#include "prelude.inc"  // kPrelude

struct Piece {
  clang::tok::TokenKind kind;
  unsigned offset, length;
};

std::vector<Piece> tokenize(llvm::StringRef text) {
  clang::LangOptions language;
  language.CPlusPlus = language.CPlusPlus11 = language.CPlusPlus14 = language.CPlusPlus17 = 1;
  language.LineComment = 1;
  clang::Lexer lexer(clang::SourceLocation(), language, text.begin(), text.begin(), text.end());
  std::vector<Piece> pieces;
  clang::Token token;
  for (;;) {
    bool end = lexer.LexFromRawLexer(token);
    if (token.is(clang::tok::eof)) break;
    unsigned next = static_cast<unsigned>(lexer.getBufferLocation() - text.begin());
    pieces.push_back({token.getKind(), next - token.getLength(), token.getLength()});
    if (end) break;
  }
  return pieces;
}

bool is_address_space(llvm::StringRef word) {
  return word == "device" || word == "constant" || word == "thread" || word == "threadgroup";
}

class Adapter {
 public:
  explicit Adapter(llvm::StringRef text) : text_(text), out_(text), pieces_(tokenize(text)) {}

  std::string run() {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (is(i, clang::tok::l_square) && is(i + 1, clang::tok::l_square)) i = attributes(i);
      if (is(i, clang::tok::raw_identifier) && is_address_space(word(i)) && qualifies_method(i))
        underscore(i);
      else if (is(i, clang::tok::raw_identifier) && is_address_space(word(i)) && in_parentheses())
        array_parameter(i);
      nest(i);
      if (is(i, clang::tok::numeric_constant)) bfloat_literal(i);
    }
    return std::move(out_);
  }

 private:
  bool is(size_t i, clang::tok::TokenKind kind) const {
    return i < pieces_.size() && pieces_[i].kind == kind;
  }
  llvm::StringRef word(size_t i) const {
    return i < pieces_.size() ? text_.substr(pieces_[i].offset, pieces_[i].length) : "";
  }
  void blank(size_t i) {
    out_.replace(pieces_[i].offset, pieces_[i].length, pieces_[i].length, ' ');
  }
  // `host_name` becomes `__st_name`: a macro of the prelude.
  void underscore(size_t i) { out_.replace(pieces_[i].offset, 2, "__"); }

  // Attributes of functions must come as GNU attributes, which clang takes on explicit
  // instantiations too: the brackets go, the names become macros. `[[threadgroup(n)]]` gets a name
  // that is no keyword.
  size_t attributes(size_t begin) {
    size_t end = begin + 2;
    bool function = false;
    for (int depth = 0; end < pieces_.size(); ++end) {
      if (is(end, clang::tok::l_paren)) ++depth;
      if (is(end, clang::tok::r_paren)) --depth;
      if (depth == 0 && is(end, clang::tok::r_square) && is(end + 1, clang::tok::r_square)) break;
      if (depth != 0) continue;
      llvm::StringRef name = word(end);
      function |=
          name == "kernel" || name == "host_name" || name == "max_total_threads_per_threadgroup";
    }
    if (end >= pieces_.size()) return begin + 1;
    // Behind an array's bounds C++ takes an attribute for one of the type.
    bool array = begin > 0 && is(begin - 1, clang::tok::r_square);
    function |= array;
    int depth = 0;
    for (size_t i = begin; i < end + 2; ++i) {
      if (is(i, clang::tok::l_paren)) ++depth;
      if (is(i, clang::tok::r_paren)) --depth;
      if (depth != 0) continue;
      if (function && !is(i, clang::tok::raw_identifier) && !is(i, clang::tok::r_paren)) blank(i);
      if (!is(i, clang::tok::raw_identifier)) continue;
      llvm::StringRef name = word(i);
      if (function && (name == "host_name" || name == "max_total_threads_per_threadgroup"))
        underscore(i);
      if (array && (name == "buffer" || name == "function_constant")) underscore(i);
      if (array && name == "threadgroup")
        out_.replace(pieces_[i].offset, 3, "__g");
      else if (name == "threadgroup")
        out_[pieces_[i].offset + pieces_[i].length - 1] = '_';
    }
    return end + 1;
  }

  // `T f() const device {`: an address space behind the parameters qualifies `this`.
  bool qualifies_method(size_t i) const {
    size_t before = i;
    while (before > 0 && (word(before - 1) == "const" || word(before - 1) == "volatile")) --before;
    if (before == 0 || !is(before - 1, clang::tok::r_paren)) return false;
    return is(i + 1, clang::tok::l_brace) || is(i + 1, clang::tok::semi) ||
           is(i + 1, clang::tok::colon) || is(i + 1, clang::tok::equal);
  }

  void nest(size_t i) {
    if (is(i, clang::tok::l_paren) || is(i, clang::tok::l_brace)) open_.push_back(pieces_[i].kind);
    if ((is(i, clang::tok::r_paren) || is(i, clang::tok::r_brace)) && !open_.empty())
      open_.pop_back();
  }
  bool in_parentheses() const { return !open_.empty() && open_.back() == clang::tok::l_paren; }

  // `constant int sizes[2]` as a parameter becomes `constant int*sizes   `: clang wants the pointer
  // that such a parameter is anyway.
  void array_parameter(size_t begin) {
    size_t i = begin + 1;
    while (is(i, clang::tok::raw_identifier) || is(i, clang::tok::coloncolon) ||
           is(i, clang::tok::less) || is(i, clang::tok::greater))
      ++i;
    if (i < begin + 3 || !is(i, clang::tok::l_square) || is(i + 1, clang::tok::l_square) ||
        !is(i - 1, clang::tok::raw_identifier))
      return;
    size_t end = i + 1;
    while (end < pieces_.size() && !is(end, clang::tok::r_square)) ++end;
    bool last = is(end + 1, clang::tok::comma) || is(end + 1, clang::tok::r_paren) ||
                (is(end + 1, clang::tok::l_square) && is(end + 2, clang::tok::l_square));
    char& before = out_[pieces_[i - 1].offset - 1];
    if (!last || (before != ' ' && before != '\t')) return;
    before = '*';
    for (size_t k = i; k <= end; ++k) blank(k);
  }

  // 1.0bf becomes 1.0_b, a user-defined literal of the prelude.
  void bfloat_literal(size_t i) {
    llvm::StringRef number = word(i);
    if (number.starts_with_insensitive("0x") || !number.ends_with_insensitive("bf")) return;
    out_.replace(pieces_[i].offset + pieces_[i].length - 2, 2, "_b");
  }

  llvm::StringRef text_;
  std::string out_;
  std::vector<Piece> pieces_;
  std::vector<clang::tok::TokenKind> open_;
};

class AdaptedFile final : public llvm::vfs::File {
 public:
  AdaptedFile(std::unique_ptr<File> file, std::map<std::string, std::string>& changed)
      : file_(std::move(file)), changed_(changed) {}
  llvm::ErrorOr<llvm::vfs::Status> status() override { return file_->status(); }
  std::error_code close() override { return file_->close(); }
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> getBuffer(const llvm::Twine& name,
                                                               int64_t size, bool,
                                                               bool is_volatile) override {
    auto buffer = file_->getBuffer(name, size, true, is_volatile);
    if (!buffer) return buffer;
    return llvm::MemoryBuffer::getMemBufferCopy(adapt((*buffer)->getBuffer(), &changed_),
                                                (*buffer)->getBufferIdentifier());
  }

 private:
  std::unique_ptr<File> file_;
  std::map<std::string, std::string>& changed_;
};

class AdaptingFiles final : public llvm::vfs::ProxyFileSystem {
 public:
  AdaptingFiles(llvm::IntrusiveRefCntPtr<FileSystem> disk,
                std::map<std::string, std::string>& changed)
      : ProxyFileSystem(std::move(disk)), changed_(changed) {}
  llvm::ErrorOr<std::unique_ptr<llvm::vfs::File>> openFileForRead(
      const llvm::Twine& path) override {
    auto file = ProxyFileSystem::openFileForRead(path);
    if (!file) return file;
    return std::make_unique<AdaptedFile>(std::move(*file), changed_);
  }

 private:
  std::map<std::string, std::string>& changed_;
};

}  // namespace

std::string adapt(llvm::StringRef text, std::map<std::string, std::string>* changed) {
  std::string result = Adapter(text).run();
  llvm::StringRef before = text, after = result;
  while (changed && !before.empty()) {
    size_t length = std::min(before.find('\n'), before.size());
    llvm::StringRef written = before.take_front(length), seen = after.take_front(length);
    if (written != seen) (*changed)[seen.str()] = written.str();
    before = before.drop_front(length).drop_front(length < before.size());
    after = after.drop_front(length).drop_front(length < after.size());
  }
  return result;
}

llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> make_files(
    const std::string& stdin_path, const std::string& stdin_text,
    std::map<std::string, std::string>& changed) {
  auto memory = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  for (const PreludeFile& file : kPrelude) {
    memory->addFile(std::string(kPreludeFolder) + "/" + file.name, 0,
                    llvm::MemoryBuffer::getMemBuffer(llvm::StringRef(file.text, file.size)));
  }
  auto disk = llvm::makeIntrusiveRefCnt<AdaptingFiles>(llvm::vfs::getRealFileSystem(), changed);
  auto files = llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(disk);
  files->pushOverlay(memory);  // gives `memory` the working directory a relative name is found by
  // Names are relative to the working folder, which memory does not have on its own.
  if (auto folder = disk->getCurrentWorkingDirectory()) memory->setCurrentWorkingDirectory(*folder);
  if (!stdin_path.empty())
    memory->addFile(stdin_path, 0,
                    llvm::MemoryBuffer::getMemBufferCopy(adapt(stdin_text, &changed)));
  return files;
}

}  // namespace mfa::metalc
