package longrun_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
)

// walk reads all pages and returns the ids, in order, and how many pages there were.
func (s *system) walk(t *testing.T, r longrun.ListRequest) (ids []longrun.ID, pages int) {
	t.Helper()
	for {
		page := s.list(t, r)
		pages++
		for _, op := range page.Operations {
			ids = append(ids, op.ID)
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			return ids, pages
		}
	}
}

func (s *system) startMany(t *testing.T, parent string, n int) (ids []longrun.ID) {
	t.Helper()
	for range n {
		ids = append(ids, s.start(t, longrun.StartOptions{Parent: parent}).ID)
	}
	return ids
}

// PAG-05, PAG-06, ORD-01, ORD-02: each once, newest first, and the last page has
// no token, also where the pages are full.
func TestList_Pages(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	started := sys.startMany(t, "projects/p", 60)
	sys.startMany(t, "projects/q", 3)
	for size, pages := range map[int]int{1: 60, 7: 9, 20: 3, 59: 2, 60: 1, 61: 1, 0: 1} {
		ids, n := sys.walk(t, longrun.ListRequest{Parent: "projects/p", PageSize: size})
		if n != pages || len(ids) != len(started) {
			t.Errorf("page size %d: %d operations on %d pages, want %d on %d", size, len(ids), n, len(started), pages)
		}
		for i, id := range ids {
			if want := started[len(started)-1-i]; id != want {
				t.Fatalf("page size %d: place %d is %v, want %v: newest first", size, i, id, want)
			}
		}
	}
}

// PAG-01, PAG-02, PAG-03, PAG-17.
func TestList_PageSize(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.startMany(t, "", longrun.MaxPageSize+longrun.DefaultPageSize+1)
	for _, tt := range []struct{ size, want int }{
		{0, longrun.DefaultPageSize}, {1, 1}, {longrun.MaxPageSize, longrun.MaxPageSize}, {longrun.MaxPageSize + 1, longrun.MaxPageSize}, {1<<31 - 1, longrun.MaxPageSize},
	} {
		if got := len(sys.list(t, longrun.ListRequest{PageSize: tt.size}).Operations); got != tt.want {
			t.Errorf("page size %d: %d operations, want %d", tt.size, got, tt.want)
		}
	}
	_, err := sys.svc.List(t.Context(), longrun.ListRequest{PageSize: -1})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidPageSize)
	if got := fieldOf(err); got != "page_size" {
		t.Errorf("field = %q, want page_size", got)
	}
	// PAG-08: the size may change from page to page; PAG-17: 0 is the default again.
	token := sys.list(t, longrun.ListRequest{PageSize: 10}).NextPageToken
	for size, want := range map[int]int{3: 3, 0: longrun.DefaultPageSize} {
		if got := len(sys.list(t, longrun.ListRequest{PageSize: size, PageToken: token}).Operations); got != want {
			t.Errorf("second page of size %d: %d operations, want %d", size, got, want)
		}
	}
}

// PAG-09, PAG-10, PAG-11: a token continues its own request and no other.
func TestList_Token(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.startMany(t, "projects/p", 3)
	token := sys.list(t, longrun.ListRequest{Parent: "projects/p", PageSize: 1}).NextPageToken
	for _, parent := range []string{"projects/q", "", "-", "projects/-"} {
		_, err := sys.svc.List(t.Context(), longrun.ListRequest{Parent: parent, PageToken: token})
		wantError(t, err, codes.InvalidArgument, longrun.ReasonPageTokenMismatch)
		if got := fieldOf(err); got != "page_token" {
			t.Errorf("field = %q, want page_token", got)
		}
	}
	// LST-03: the two spellings of a parent are one.
	if page := sys.list(t, longrun.ListRequest{Parent: "projects/p/operations", PageToken: token}); len(page.Operations) != 2 {
		t.Errorf("%d operations, want 2", len(page.Operations))
	}
	for _, forged := range []string{"abc", token + "x", token[1:], strings.Repeat("A", 10_000)} {
		_, err := sys.svc.List(t.Context(), longrun.ListRequest{Parent: "projects/p", PageToken: forged})
		wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidPageToken)
	}
}

// PAG-15: a token is good after a restart and on every node, and of no other
// store's.
func TestList_TokenOfAnotherNode(t *testing.T) {
	t.Parallel()
	a := newSystem(t, longrun.Options{})
	b := newSystemOn(t, a.store, longrun.Options{})
	a.startMany(t, "", 3)
	token := a.list(t, longrun.ListRequest{PageSize: 1}).NextPageToken
	if page := b.list(t, longrun.ListRequest{PageToken: token}); len(page.Operations) != 2 {
		t.Errorf("%d operations by another node, want 2", len(page.Operations))
	}
	_, err := newSystem(t, longrun.Options{}).svc.List(t.Context(), longrun.ListRequest{PageToken: token})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidPageToken)
}

// PAG-14: an old token says that it is old.
func TestList_TokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.startMany(t, "", 3)
		token := sys.list(t, longrun.ListRequest{PageSize: 1}).NextPageToken
		time.Sleep(3*24*time.Hour + time.Second)
		_, err := sys.svc.List(t.Context(), longrun.ListRequest{PageToken: token})
		wantError(t, err, codes.InvalidArgument, longrun.ReasonPageTokenExpired)
	})
}

// PAG-07, PAG-16: what comes and goes meanwhile neither repeats nor skips what
// stays.
func TestList_ChangesMeanwhile(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	started := sys.startMany(t, "", 30)
	seen := map[longrun.ID]int{}
	r := longrun.ListRequest{PageSize: 4}
	for {
		page := sys.list(t, r)
		for _, op := range page.Operations {
			seen[op.ID]++
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			break
		}
		last := page.Operations[len(page.Operations)-1] // PAG-16: the very one that the token names
		if err := sys.svc.Delete(t.Context(), last.Name()); err != nil {
			t.Fatal(err)
		}
		sys.start(t, longrun.StartOptions{})
	}
	for _, id := range started {
		if seen[id] != 1 {
			t.Errorf("%v was seen %d times, want once", id, seen[id])
		}
	}
	if len(seen) != len(started) {
		t.Errorf("%d were seen, want %d", len(seen), len(started))
	}
}

// LST-02, LST-03, LST-05, LST-07, LST-08, NM-07: whose operations are listed.
func TestList_Parent(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	parents := []string{"", "projects/p", "projects/p/locations/l", "projects/q/locations/l", "projects/q/locations/m"}
	for _, p := range parents {
		sys.start(t, longrun.StartOptions{Parent: p})
	}
	for name, want := range map[string]string{
		"":                           "[]",
		"operations":                 "[]",
		"projects/p":                 "[projects/p]",
		"projects/p/operations":      "[projects/p]",
		"projects/none":              "<nil>",
		"projects/-":                 "[projects/p]",
		"projects/-/locations/l":     "[projects/q/locations/l projects/p/locations/l]",
		"projects/q/locations/-":     "[projects/q/locations/m projects/q/locations/l]",
		"-":                          "[projects/q/locations/m projects/q/locations/l projects/p/locations/l projects/p ]",
		"projects/-/zones/-":         "<nil>",
		"projects/p/locations/l/x/y": "<nil>",
	} {
		var got []string
		for _, op := range sys.list(t, longrun.ListRequest{Parent: name}).Operations {
			got = append(got, op.Parent)
		}
		text := fmt.Sprint(got)
		if got == nil {
			text = "<nil>"
		}
		if text != want {
			t.Errorf("list of %q: %v, want %v", name, text, want)
		}
	}
}

// LST-06, PS-02, FLT-01: what List takes and what it does not.
func TestList_Arguments(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.start(t, longrun.StartOptions{})
	_, err := sys.svc.List(t.Context(), longrun.ListRequest{Parent: "//"})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidOperationName)
	if got := fieldOf(err); got != "name" {
		t.Errorf("field = %q, want name", got)
	}
	for _, filter := range []string{"", " ", " \t\r\n"} { // FLT-01
		if page := sys.list(t, longrun.ListRequest{Filter: filter}); len(page.Operations) != 1 {
			t.Errorf("filter %q: %d operations, want 1", filter, len(page.Operations))
		}
	}
}

// LST-09, LST-10, LST-12: all are listed, but for the deleted ones, and as Get
// shows them.
func TestList_States(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	ops := []*longrun.Operation{
		sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{}),
		sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: &longrun.Error{Code: codes.NotFound, Msg: "x"}}),
		sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: longrun.ErrCancelled}),
		sys.running(t, longrun.StartOptions{}),
		sys.start(t, longrun.StartOptions{}),
	}
	gone := sys.start(t, longrun.StartOptions{})
	if err := sys.svc.Delete(t.Context(), gone.Name()); err != nil {
		t.Fatal(err)
	}
	listed := sys.list(t, longrun.ListRequest{}).Operations
	if len(listed) != len(ops) {
		t.Fatalf("%d operations, want %d", len(listed), len(ops))
	}
	for i, op := range listed {
		if got := sys.svc.Proto(sys.get(t, ops[len(ops)-1-i].Name())); !proto.Equal(sys.svc.Proto(op), got) {
			t.Errorf("LST-12: listed %v, got %v", sys.svc.Proto(op), got)
		}
	}
}

// PAG-04: a wildcard reads so many rows at most; a page may be short, and even
// empty, with a token.
func TestList_ScanBound(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	first := sys.start(t, longrun.StartOptions{Parent: "projects/p"})
	sys.startMany(t, "folders/f", 4500)
	page := sys.list(t, longrun.ListRequest{Parent: "projects/-", PageSize: 10})
	if len(page.Operations) != 0 || page.NextPageToken == "" {
		t.Errorf("first page: %d operations, token %q; want none yet, and a token", len(page.Operations), page.NextPageToken)
	}
	ids, pages := sys.walk(t, longrun.ListRequest{Parent: "projects/-", PageSize: 10})
	if len(ids) != 1 || ids[0] != first.ID || pages < 2 || pages > 5 {
		t.Errorf("found %v on %d pages, want the one on a few", ids, pages)
	}
}

// A list of every parent is bounded as well: there may be many deleted rows.
func TestList_ScanBoundOfAll(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	first := sys.start(t, longrun.StartOptions{})
	for range 2500 {
		op := sys.start(t, longrun.StartOptions{})
		if err := sys.svc.Delete(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
	}
	page := sys.list(t, longrun.ListRequest{Parent: "-", PageSize: 10})
	if len(page.Operations) != 0 || page.NextPageToken == "" {
		t.Errorf("first page: %d operations, token %q; want none yet, and a token", len(page.Operations), page.NextPageToken)
	}
	if ids, _ := sys.walk(t, longrun.ListRequest{Parent: "-", PageSize: 10}); len(ids) != 1 || ids[0] != first.ID {
		t.Errorf("found %v, want the one that is left", ids)
	}
}

// GRPC-07: a page fits into what a client receives by default, and one operation
// always does.
func TestList_PageBytes(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for range 5 {
		sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Response: sized(1 << 20)})
	}
	sys.finish(t, sys.running(t, longrun.StartOptions{Metadata: sized(longrun.MaxMetadataBytes)}), longrun.Result{Response: sized(longrun.MaxResponseBytes)})
	r, got := longrun.ListRequest{}, 0
	for {
		page := sys.list(t, r)
		size := 0
		for _, op := range page.Operations {
			size += protoSize(sys.svc.Proto(op)) + 8
		}
		if size > 4<<20 || len(page.Operations) == 0 {
			t.Errorf("a page of %d operations with %d bytes", len(page.Operations), size)
		}
		got += len(page.Operations)
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			break
		}
	}
	if got != 6 {
		t.Errorf("%d operations in all, want 6", got)
	}
}

// AUT-02, AUT-12, PAG-13: every page is authorized, before anything is checked.
func TestList_Authorized(t *testing.T) {
	t.Parallel()
	allowed := true
	var asked []string
	sys := newSystem(t, longrun.Options{Authorize: func(_ context.Context, verb longrun.Verb, parent string) error {
		asked = append(asked, fmt.Sprintf("%s %s", verb, parent))
		if !allowed {
			return fmt.Errorf("no")
		}
		return nil
	}})
	sys.startMany(t, "projects/p", 2)
	token := sys.list(t, longrun.ListRequest{Parent: "projects/p", PageSize: 1}).NextPageToken
	asked, allowed = nil, false
	for _, r := range []longrun.ListRequest{
		{Parent: "projects/p"}, {Parent: "projects/p", PageToken: token}, {Parent: "projects/p", PageToken: "forged"},
		{Parent: "projects/p/operations", PageSize: -1}, {Parent: "//"}, {Parent: "projects/-"},
	} {
		_, err := sys.svc.List(t.Context(), r)
		wantError(t, err, codes.PermissionDenied, longrun.ReasonPermissionDenied)
	}
	wantLog(t, asked, "list projects/p", "list projects/p", "list projects/p", "list projects/p", "list ", "list projects/-")
}
