package grpcapi_test

import (
	"encoding/base64"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// page gets one page under parent.
func (s *system) page(t *testing.T, size int32, token string) *longrunningpb.ListOperationsResponse {
	t.Helper()
	page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent, PageSize: size, PageToken: token})
	if err != nil {
		t.Fatalf("ListOperations(size %d, token %q): %v", size, token, err)
	}
	return page
}

// fill starts n operations under parent and returns their names, newest first.
func (s *system) fill(t *testing.T, n int) []string {
	t.Helper()
	var names []string
	for range n {
		op, err := s.svc.Start(t.Context(), longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{Parent: parent}})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, op.Name().String())
	}
	slices.Reverse(names)
	return names
}

// PAG-01: no page size means the default. PAG-17: also with a token. PAG-02: one
// above the maximum is cut.
func TestPage_Size(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const count = longrun.MaxPageSize + longrun.DefaultPageSize + 1
	s.fill(t, count)
	for size, wanted := range map[int32]int{
		0: longrun.DefaultPageSize, 1: 1, longrun.MaxPageSize: longrun.MaxPageSize, longrun.MaxPageSize + 1: longrun.MaxPageSize,
		math.MaxInt32: longrun.MaxPageSize,
	} {
		page := s.page(t, size, "")
		if len(page.GetOperations()) != wanted || page.GetNextPageToken() == "" {
			t.Errorf("page of size %d has %d operations, token %q; want %d and a token", size, len(page.GetOperations()), page.GetNextPageToken(), wanted)
		}
	}
	next := s.page(t, 0, s.page(t, 1, "").GetNextPageToken())
	if got := len(next.GetOperations()); got != longrun.DefaultPageSize {
		t.Errorf("next page of size 0 has %d operations, want %d", got, longrun.DefaultPageSize)
	}
}

// PAG-03: a negative page size is INVALID_ARGUMENT.
func TestPage_NegativeSize(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, size := range []int32{-1, math.MinInt32} {
		err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, PageSize: size})
		expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidPageSize, field: "page_size"})
	}
}

// PAG-04, PAG-05: an empty token, and nothing else, says that there is no more;
// also when the last page is full.
func TestPage_End(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if page := s.page(t, 10, ""); page.GetNextPageToken() != "" || len(page.GetOperations()) != 0 {
		t.Errorf("page of nothing = %v, want it empty", page)
	}
	s.fill(t, 20)
	first := s.page(t, 10, "")
	if first.GetNextPageToken() == "" {
		t.Fatal("no token after the first of two pages")
	}
	if last := s.page(t, 10, first.GetNextPageToken()); last.GetNextPageToken() != "" || len(last.GetOperations()) != 10 {
		t.Errorf("last page has %d operations, token %q; want 10 and none", len(last.GetOperations()), last.GetNextPageToken())
	}
}

// PAG-04: a page that would have to read too much comes back short, even empty,
// with a token; a walk still finds everything.
func TestPage_ShortWithToken(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	wanted := s.fill(t, 1)
	for range 5000 {
		if _, err := s.svc.Start(t.Context(), longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{Parent: "users/u1"}}); err != nil {
			t.Fatal(err)
		}
	}
	const across = "projects/p1/locations/-"
	page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: across, PageSize: 5})
	if err != nil || len(page.GetOperations()) != 0 || page.GetNextPageToken() == "" {
		t.Errorf("first page = %v, %v; want it empty with a token", page, err)
	}
	if got := s.list(t, across); !slices.Equal(got, wanted) {
		t.Errorf("walk = %q, want %q", got, wanted)
	}
}

// PAG-06: a walk sees each operation exactly once.
func TestPage_Walk(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	wanted := s.fill(t, 1003)
	var got []string
	for token := ""; ; {
		page := s.page(t, 10, token)
		got = append(got, namesOf(page)...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("walk has %d operations, want the %d that there are, in order", len(got), len(wanted))
	}
}

// PAG-07: what is there during the whole walk is seen once, whatever comes, ends
// and goes meanwhile. PAG-16: a token points past what is deleted.
func TestPage_WalkWithChanges(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	stable := s.fill(t, 100)
	deleted := map[string]bool{}
	var got []string
	for token, step := "", 0; ; step++ {
		page := s.page(t, 7, token)
		names := namesOf(page)
		got = append(got, names...)
		s.fill(t, 3)
		if last := names[len(names)-1]; step%2 == 0 {
			s.delete(t, last)
			deleted[last] = true
		} else {
			s.cancel(t, last)
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(got, stable) {
		t.Errorf("walk = %q, want %q", got, stable)
	}
	for _, name := range s.list(t, parent) {
		if deleted[name] {
			t.Errorf("List has %q, which was deleted", name)
		}
	}
}

// PAG-08: another page size between pages is honoured.
func TestPage_SizeMayChange(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	names := s.fill(t, 20)
	next := s.page(t, 3, s.page(t, 10, "").GetNextPageToken())
	if got, wanted := namesOf(next), names[10:13]; !slices.Equal(got, wanted) {
		t.Errorf("second page = %q, want %q", got, wanted)
	}
}

// PAG-09, PAG-10: a token of a request with another name or filter, compared as
// sent, is INVALID_ARGUMENT. LST-03: the two spellings of a parent are the same.
func TestPage_TokenIsBound(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fill(t, 2)
	token := s.page(t, 1, "").GetNextPageToken()
	mismatch := want{code: codes.InvalidArgument, reason: longrun.ReasonPageTokenMismatch, field: "page_token"}
	for _, r := range []*longrunningpb.ListOperationsRequest{
		{Name: "projects/p1/locations/l2"}, {Name: ""}, {Name: "-"}, {Name: "projects/p1/locations/-"}, {Name: parent, Filter: " "},
	} {
		r.PageToken = token
		expect(t, s.listError(t, r), mismatch)
	}
	if _, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent + "/operations", PageToken: token}); err != nil {
		t.Errorf("token with the other spelling of the parent: %v", err)
	}
}

// PAG-11: a corrupted, forged or truncated token is INVALID_ARGUMENT.
func TestPage_ForgedToken(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fill(t, 2)
	token := s.page(t, 1, "").GetNextPageToken()
	forged := []string{
		"abc", "a", "=", "%", " " + token, token + " ", token + "=", token + "A", token + "AAAA", token[:len(token)-1], token[4:], token + token,
		base64.StdEncoding.EncodeToString([]byte("offset=10")), strings.Repeat("A", longrun.MaxPageTokenBytes),
		strings.Repeat("A", longrun.MaxPageTokenBytes+1), strings.Repeat("x", 10<<10),
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 1
		forged = append(forged, base64.RawURLEncoding.EncodeToString(raw))
		raw[i] ^= 1
	}
	for i := range len(token) {
		flipped := []byte(token)
		flipped[i] = '~'
		forged = append(forged, string(flipped))
	}
	for _, f := range forged {
		expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, PageToken: f}), badToken)
	}
}

// PAG-12: tokens are URL-safe and say nothing.
func TestPage_TokenIsOpaque(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	names := s.fill(t, 3)
	token := s.page(t, 2, "").GetNextPageToken()
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
		t.Errorf("token = %q, want it URL-safe", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	last := s.idOf(t, names[1])
	if strings.Contains(string(raw), "projects") || strings.Contains(string(raw), string(last[:])) {
		t.Errorf("token = %x, want the name and the place hidden", raw)
	}
	if again := s.page(t, 2, "").GetNextPageToken(); again == token {
		t.Error("the same token twice, want it to tell nothing by its bytes")
	}
}

func (s *system) idOf(t *testing.T, name string) longrun.ID {
	t.Helper()
	n, err := longrun.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return n.ID
}

// PAG-13: a token carries no right.
func TestPage_TokenIsNoRight(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	s.fill(t, 2)
	r := &longrunningpb.ListOperationsRequest{Name: parent, PageToken: s.page(t, 1, "").GetNextPageToken()}
	_, err := s.ops.ListOperations(as(t, "bob"), r)
	expect(t, err, denied)
}

// PAG-14: a token expires after three days, with a reason of its own.
func TestPage_TokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.fill(t, 2)
		token := s.page(t, 1, "").GetNextPageToken()
		time.Sleep(72 * time.Hour)
		s.page(t, 1, token)
		time.Sleep(time.Millisecond)
		err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, PageToken: token})
		expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonPageTokenExpired, field: "page_token"})
	})
}

// PAG-15: a token works after a restart and on another node.
func TestPage_TokenOutlivesServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	names := s.fill(t, 2)
	token := s.page(t, 1, "").GetNextPageToken()
	again := newSystemOn(t, s.store, settings{})
	if got := namesOf(again.page(t, 1, token)); !slices.Equal(got, names[1:]) {
		t.Errorf("next page by another server = %q, want %q", got, names[1:])
	}
}

// PAG-11: whatever is sent as a token is a page or INVALID_ARGUMENT.
func FuzzPageToken(f *testing.F) {
	f.Add("")
	f.Add("abc")
	f.Add(strings.Repeat("A", 110))
	f.Fuzz(func(t *testing.T, token string) {
		if strings.ToValidUTF8(token, "") != token || token == "" {
			return // is not sent, or is no token
		}
		s := newSystem(t)
		expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, PageToken: token}), badToken)
	})
}
