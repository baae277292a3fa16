// proto/resp/inline_split.h: splits an inline request (a line typed by a human) into arguments by
// the quoting rules of Redis (sds.c: sdssplitargs): words between blanks; "..." with \n \r \t \b \a
// \xHH and \<any>; '...' with \'; a closing quote must be followed by a blank or the end; a zero
// byte ends the line.
#pragma once

#include "base/bytes.h"
#include "proto/resp/request.h"

namespace asterias::resp {

// Appends the arguments of `line` to `out`: words without quotes as slices, others as copies. False
// for unbalanced quotes.
bool split_inline(const Bytes& line, Request& out);

}  // namespace asterias::resp
