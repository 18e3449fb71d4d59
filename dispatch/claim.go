package dispatch

import (
	"context"
	"time"

	"github.com/longrun-dev/longrun"
)

// claimed is what one look at the store has given.
type claimed struct {
	longrun.Claimed
	full bool // the session has no room for more
}

// claim claims for the call, within the room that the session has.
func (s *server) claim(ctx context.Context, a acquisition) (claimed, error) {
	room, err := s.reserve(ctx, a.session, a.call, a.max)
	if err != nil {
		return claimed{}, err
	}
	c, err := s.claimFairly(ctx, a, room.n)
	got := len(c.Operations)
	if longrun.IsUnknown(err) {
		got = room.n
	}
	s.desk.settle(a.session, room.n, got)
	return claimed{Claimed: c, full: room.n == 0}, err
}

// claimFairly claims up to n operations over all methods. The store counts by
// method, and a call claims once: so n is divided over the methods. Where there
// are more methods than n and those that got a share have nothing, the methods
// are halved until a share fits, each time towards the operation that has been
// ready for longest.
func (s *server) claimFairly(ctx context.Context, a acquisition, n int) (longrun.Claimed, error) {
	c, err := s.claimOf(ctx, a, shares(a.methods, n, a.call))
	if err != nil || len(c.Operations) > 0 || n == 0 || n >= len(a.methods) || !ready(c.Next) {
		return c, err
	}
	rest, oldest := a.methods, c.Next
	for len(rest) > n {
		half := rest[:(len(rest)+1)/2]
		c, err := s.claimOf(ctx, a, shares(half, 0, 0))
		if err != nil || len(c.Operations) > 0 {
			return c, err
		}
		if c.Next.Equal(oldest) {
			rest = half
		} else {
			rest = rest[len(half):]
		}
	}
	got, err := s.claimOf(ctx, a, shares(rest, n, 0))
	if len(got.Operations) == 0 {
		got.Next = oldest // of all methods, not only of these
	}
	return got, err
}

func (s *server) claimOf(ctx context.Context, a acquisition, want []longrun.Want) (longrun.Claimed, error) {
	return s.work.Claim(ctx, longrun.ClaimRequest{Session: a.session, Call: a.call, Want: want})
}

// shares divides n over the methods; what cannot be divided goes to those that
// turn points to. A method without a share is asked for too: it counts for
// Claimed.Next.
func shares(methods []string, n int, turn int64) []longrun.Want {
	k := len(methods)
	want := make([]longrun.Want, k)
	first := int(turn % int64(k))
	for i := range want {
		at := (first + i) % k
		want[at] = longrun.Want{Method: methods[at], N: n / k}
		if i < n%k {
			want[at].N++
		}
	}
	return want
}

// skew is by how much the store's clock may be ahead of ours.
const skew = time.Second

// ready reports whether an operation whose ready time is t may be ready by the
// store's clock.
func ready(t time.Time) bool { return !t.IsZero() && !t.After(time.Now().Add(skew)) }
