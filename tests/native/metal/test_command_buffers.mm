// SPDX-License-Identifier: MIT
// Command buffers run in order, report, call handlers, and wait for events.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#import "harness.h"

static void copies_and_fills_run_in_order(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLBuffer> a = buffer_of<uint8_t>(device, 256, [](size_t i) { return uint8_t(i); });
  id<MTLBuffer> b = buffer_of<uint8_t>(device, 256, [](size_t) { return uint8_t(0); });
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  CHECK([commands status] == MTLCommandBufferStatusNotEnqueued);
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit copyFromBuffer:a sourceOffset:16 toBuffer:b destinationOffset:0 size:32];
  [blit fillBuffer:b range:NSMakeRange(4, 2) value:7];
  [blit copyFromBuffer:b sourceOffset:0 toBuffer:b destinationOffset:2 size:8];  // overlapping
  [blit synchronizeResource:b];
  [blit endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  const auto* bytes = static_cast<const uint8_t*>([b contents]);
  const uint8_t expected[] = {16, 17, 16, 17, 18, 19, 7, 7, 22, 23, 26};
  CHECK(memcmp(bytes, expected, sizeof expected) == 0);
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
  CHECK(![commands error]);
  CHECK([commands GPUEndTime] >= [commands GPUStartTime] && [commands GPUStartTime] > 0);
  CHECK([commands GPUStartTime] >= [commands kernelEndTime]);
}

static void handlers_are_called_once_and_in_order(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  std::vector<int> order, *seen = &order;
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  [commands addScheduledHandler:^(id<MTLCommandBuffer> buffer) {
    CHECK([buffer status] == MTLCommandBufferStatusScheduled);
    seen->push_back(1);
  }];
  for (int i = 2; i <= 3; ++i) {
    [commands addCompletedHandler:^(id<MTLCommandBuffer> buffer) {
      CHECK([buffer status] == MTLCommandBufferStatusCompleted);
      seen->push_back(i);
      [buffer waitUntilCompleted];  // must not wait for itself
    }];
  }
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    [NSException raise:@"Test" format:@"a handler's exception stays where it is"];
  }];
  [commands commit];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK((order == std::vector<int>{1, 2, 3}));
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    seen->push_back(4);
  }];
  CHECK(order.back() == 4);
}

static void handlers_run_without_anybody_waiting(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [device newCommandQueue];
  auto done = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 100; ++i) {
    @autoreleasepool {
      id<MTLCommandBuffer> commands = [queue commandBuffer];
      [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
        ++*done;
      }];
      [commands commit];
    }
  }
  [(id)queue release];  // what is committed still runs
  for (int i = 0; i < 10000 && *done < 100; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(*done == 100);
}

static void enqueueing_reserves_a_place(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLBuffer> target = buffer_of<uint8_t>(device, 1, [](size_t) { return uint8_t(0); });
  id<MTLCommandBuffer> first = [queue commandBuffer], second = [queue commandBuffer];
  [first enqueue];
  CHECK([first status] == MTLCommandBufferStatusEnqueued);
  for (id<MTLCommandBuffer> commands : {second, first}) {
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:target range:NSMakeRange(0, 1) value:commands == first ? 1 : 2];
    [blit endEncoding];
    [commands commit];
  }
  [second waitUntilCompleted];
  CHECK([first status] == MTLCommandBufferStatusCompleted);
  CHECK(*static_cast<uint8_t*>([target contents]) == 2);

  @autoreleasepool {
    [[queue commandBuffer] enqueue];  // given up: must not hold up the next one
  }
  id<MTLCommandBuffer> last = [queue commandBuffer];
  [last commit];
  [last waitUntilCompleted];
  CHECK([last status] == MTLCommandBufferStatusCompleted);
}

static void events_order_queues(id<MTLDevice> device) {
  id<MTLCommandQueue> one = [[device newCommandQueue] autorelease];
  id<MTLCommandQueue> two = [[device newCommandQueue] autorelease];
  id<MTLSharedEvent> event = [[device newSharedEvent] autorelease];
  id<MTLBuffer> target = buffer_of<uint8_t>(device, 1, [](size_t) { return uint8_t(0); });

  id<MTLCommandBuffer> waiting = [one commandBuffer];
  [waiting encodeWaitForEvent:event value:1];
  id<MTLBlitCommandEncoder> blit = [waiting blitCommandEncoder];
  [blit fillBuffer:target range:NSMakeRange(0, 1) value:5];
  [blit endEncoding];
  [waiting encodeSignalEvent:event value:2];
  [waiting commit];
  CHECK(![event waitUntilSignaledValue:2 timeoutMS:5]);
  CHECK(*static_cast<uint8_t*>([target contents]) == 0);

  std::atomic<uint64_t> notified{0}, *value = &notified;
  [event notifyListener:[MTLSharedEventListener sharedListener]
                atValue:2
                  block:^(id<MTLSharedEvent>, uint64_t reached) {
                    *value = reached;
                  }];
  id<MTLCommandBuffer> signalling = [two commandBuffer];
  [signalling encodeSignalEvent:event value:1];
  [signalling commit];
  CHECK([event waitUntilSignaledValue:2 timeoutMS:20000]);
  [waiting waitUntilCompleted];
  CHECK(*static_cast<uint8_t*>([target contents]) == 5);
  CHECK([event signaledValue] == 2);
  for (int i = 0; i < 10000 && notified != 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(notified == 2);
}

static void resources_live_until_the_end(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLSharedEvent> event = [[device newSharedEvent] autorelease];
  std::atomic<bool> freed{false}, *gone = &freed;
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  @autoreleasepool {
    void* memory = aligned_alloc(4096, 4096);
    id<MTLBuffer> buffer = [device newBufferWithBytesNoCopy:memory
                                                     length:4096
                                                    options:0
                                                deallocator:^(void* pointer, NSUInteger) {
                                                  free(pointer);
                                                  *gone = true;
                                                }];
    [commands encodeWaitForEvent:event value:1];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:buffer range:NSMakeRange(0, 4096) value:1];
    [blit endEncoding];
    [(id)buffer release];
  }
  [commands commit];
  CHECK(!freed);
  [event setSignaledValue:1];
  [commands waitUntilCompleted];
  CHECK(freed);
}

static void many_threads_share_a_queue(id<MTLDevice> device) {
  id<MTLCommandQueue> queue = [[device newCommandQueueWithMaxCommandBufferCount:3] autorelease];
  id<MTLBuffer> target = buffer_of<uint32_t>(device, 8, [](size_t) { return 0u; });
  std::vector<std::thread> threads;
  std::atomic<int> completed{0}, *count = &completed;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([=] {
      for (int i = 0; i < 200; ++i) {
        @autoreleasepool {
          id<MTLCommandBuffer> commands = [queue commandBuffer];
          id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
          [blit fillBuffer:target range:NSMakeRange(4 * t, 4) value:uint8_t(i)];
          [blit endEncoding];
          [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
            ++*count;
          }];
          [commands commit];
          if (i % 3 == 0) [commands waitUntilCompleted];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  id<MTLCommandBuffer> last = [queue commandBuffer];
  [last commit];
  [last waitUntilCompleted];
  CHECK(completed == 8 * 200);
  for (int t = 0; t < 8; ++t) {
    CHECK(static_cast<uint32_t*>([target contents])[t] == 199u * 0x01010101u);
  }
}

int main() {
  on_all_devices([](id<MTLDevice> device) {
    copies_and_fills_run_in_order(device);
    handlers_are_called_once_and_in_order(device);
    handlers_run_without_anybody_waiting(device);
    enqueueing_reserves_a_place(device);
    events_order_queues(device);
    resources_live_until_the_end(device);
    many_threads_share_a_queue(device);
  });
  return report();
}
