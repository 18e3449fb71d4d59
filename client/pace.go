package client

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 20 * time.Second
	// maxHint is the longest pause that a server can ask for: a mistaken figure
	// must not look like a Wait that hangs.
	maxHint = 10 * time.Minute
)

// backoff is a series of pauses that grow by 1.6, from firstPause to maxPause, each
// shortened by up to a half at random, so that those whom one outage has struck do
// not come back together. Its zero value begins.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(firstPause, b.last*8/5), maxPause)
	return b.last - rand.N(b.last/2)
}

// hint is the pause that the server asks for: the longest of RetryInfo in err and
// of the "retry-after" in mds, in whole seconds, lengthened by up to a tenth at
// random. 0 means that it asks for none; what cannot be read is none.
func hint(err error, mds ...metadata.MD) time.Duration {
	var longest time.Duration
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() {
			longest = max(longest, info.GetRetryDelay().AsDuration())
		}
	}
	for _, md := range mds {
		for _, v := range md.Get("retry-after") {
			if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
				longest = max(longest, time.Duration(seconds)*time.Second)
			}
		}
	}
	if longest <= 0 {
		return 0
	}
	longest = min(longest, maxHint)
	return longest + rand.N(longest/10+1)
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
