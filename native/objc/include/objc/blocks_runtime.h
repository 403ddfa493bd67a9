// SPDX-License-Identifier: MIT
// The header GNUstep asks for when blocks are on -> libBlocksRuntime's <Block.h>.
#pragma once

#include <Block.h>
