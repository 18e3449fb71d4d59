package sqlite

import (
	"sync"

	"modernc.org/libc"
)

// The memory allocator below SQLite gives a page back to the system as soon as
// nothing in it is used. Some of SQLite's buffers live for one statement only, as
// the one in which it balances a tree, so that every such statement would map a
// page, touch it for the first time and unmap it again. A profile had a sixth of
// the writer's time there. One small buffer of each size class, kept for ever, holds its page.
var pinPages = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	for size := libc.Tsize_t(smallestPin); size <= largestPin; size *= 2 {
		libc.Xmalloc(tls, size)
	}
})

const (
	smallestPin = 1 << 4
	largestPin  = 1 << 18
)
