#pragma once

// The reader of replies alone: connections are NIO's.
#include <hiredis/hiredis.h>
