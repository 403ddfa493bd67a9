// SPDX-License-Identifier: MIT
// Messages -> NSError.
#import "metal/errors.h"

NSErrorDomain const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";
NSErrorDomain const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";

NSString* MFAString(const std::string& text) {
  NSString* string = [[NSString alloc] initWithBytes:text.data()
                                              length:text.size()
                                            encoding:NSUTF8StringEncoding];
  if (!string) {
    string = [[NSString alloc] initWithBytes:text.data()
                                      length:text.size()
                                    encoding:NSISOLatin1StringEncoding];
  }
  return [string autorelease];
}

std::string MFAText(NSString* string) {
  const char* text = [string UTF8String];
  return text ? text : "";
}

static NSError* failure(NSString* domain, NSInteger code, const std::string& message) {
  NSDictionary* info = [NSDictionary dictionaryWithObject:MFAString(message)
                                                   forKey:NSLocalizedDescriptionKey];
  return [NSError errorWithDomain:domain code:code userInfo:info];
}

NSError* MFALibraryFailure(MTLLibraryError code, const std::string& message) {
  return failure(MTLLibraryErrorDomain, static_cast<NSInteger>(code), message);
}

NSError* MFACommandBufferFailure(MTLCommandBufferError code, const std::string& message) {
  return failure(MTLCommandBufferErrorDomain, static_cast<NSInteger>(code), message);
}

id MFARefuse(NSError** where, NSError* error) {
  if (where) *where = error;
  return nil;
}
