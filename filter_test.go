package longrun_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// wantFilter lists with a filter, page by page, and compares with ids.
func (s *system) wantFilter(t *testing.T, filter string, want ...longrun.ID) {
	t.Helper()
	for _, size := range []int{0, 1, 2} {
		got, _ := s.walk(t, longrun.ListRequest{Parent: "-", Filter: filter, PageSize: size})
		if !slices.Equal(got, want) {
			t.Errorf("%s with page size %d = %v, want %v", filter, size, got, want)
		}
	}
}

// FLT-29: the fields of an operation; FLT-28: and those of its payloads.
func TestFilter_Fields(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	done := sys.finish(t, sys.running(t, longrun.StartOptions{Parent: "projects/p", Verb: "import"}), longrun.Result{Response: packed(t, wrapperspb.Int64(5))})
	failed := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Err: status.Error(codes.NotFound, "no such shelf")})
	running := sys.running(t, longrun.StartOptions{Labels: map[string]string{"env": "prod"}})
	for filter, want := range map[string][]longrun.ID{
		`name = "` + done.Name().String() + `"`:  {done.ID},
		"done = false":                           {running.ID},
		"error:*":                                {failed.ID},
		"error.code = 5":                         {failed.ID},
		`error.message = "*shelf"`:               {failed.ID},
		`metadata.@type = "*.OperationMetadata"`: {running.ID, failed.ID, done.ID},
		"metadata.verb = import":                 {done.ID},
		"metadata.state = RUNNING":               {running.ID},
		"metadata.labels.env:*":                  {running.ID},
		"metadata.method = " + word:              {running.ID, failed.ID, done.ID},
		`response.@type = "*Int64Value"`:         {done.ID},
		"response.value = 5":                     {done.ID},
		"response.value = x":                     nil, // of a StringValue it might be
		"NOT response.value = 5":                 {running.ID, failed.ID},
	} {
		sys.wantFilter(t, filter, want...)
	}
}

// FLT-44: a filter that is none says so in the field "filter", before the token
// and the store are looked at, and after who asks (AUT-02).
func TestFilter_Invalid(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	_, err := sys.svc.List(t.Context(), longrun.ListRequest{Filter: "done=maybe", PageToken: "x"})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidFilter)
	if got := fieldOf(err); got != "filter" {
		t.Errorf("field = %q, want filter", got)
	}
	if n := sys.store.count("List"); n != 0 {
		t.Errorf("the store was asked %d times, want 0", n)
	}
	if _, err := sys.svc.Filter("done=maybe"); longrun.CodeOf(err) != codes.InvalidArgument {
		t.Errorf("Filter: %v, want INVALID_ARGUMENT", err)
	}
	info := infoOf(status.Convert(err)).GetMetadata()
	if info["column"] != "6" || info["token"] != "maybe" || info["path"] != "done" {
		t.Errorf("metadata = %q, want column 6, token maybe and path done", info)
	}
	closed := newSystem(t, longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error { return fmt.Errorf("no") }})
	_, err = closed.svc.List(t.Context(), longrun.ListRequest{Filter: "done=maybe"})
	wantError(t, err, codes.PermissionDenied, longrun.ReasonPermissionDenied)
}

// FLT-51: a filter finds what the caller may list, and nothing beside it.
func TestFilter_OnlyOfTheParent(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	other := sys.start(t, longrun.StartOptions{Parent: "projects/q"})
	sys.start(t, longrun.StartOptions{Parent: "projects/p"})
	for _, filter := range []string{`name = "` + other.Name().String() + `"`, "projects/q", `name = "projects/q*" OR name = "*q*"`} {
		if page := sys.list(t, longrun.ListRequest{Parent: "projects/p", Filter: filter}); len(page.Operations) != 0 {
			t.Errorf("%s finds %v under another parent", filter, page.Operations[0].Name())
		}
	}
}

// Messages of handled methods are promised, from the moment they are handled:
// values are checked against them.
func TestFilter_HandledMethods(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	method := longrun.Method[*wrapperspb.StringValue, *wrapperspb.Int64Value, *structpb.Struct]{Name: "typed"}
	if _, err := sys.svc.Filter("response.value = nine"); err != nil {
		t.Errorf("response.value = nine, where responses may be StringValues: %v", err)
	}
	if _, err := sys.svc.Filter("metadata.anything = 1"); err == nil {
		t.Error("metadata.anything is a field before a Struct was promised")
	}
	longrun.Handle(sys.svc, method, func(context.Context, *wrapperspb.StringValue, *longrun.Run[*structpb.Struct]) (*wrapperspb.Int64Value, error) {
		return nil, nil
	})
	if _, err := sys.svc.Filter("response.value = nine"); err == nil {
		t.Error("response.value = nine: no error, want one: responses are Int64Values")
	}
	if _, err := sys.svc.Filter("metadata.anything = 1"); err != nil {
		t.Errorf("metadata.anything of a Struct: %v", err)
	}
}

// Options.Types says which messages there are.
func TestFilter_Types(t *testing.T) {
	t.Parallel()
	types := new(protoregistry.Types)
	if err := types.RegisterMessage((&wrapperspb.StringValue{}).ProtoReflect().Type()); err != nil {
		t.Fatal(err)
	}
	sys := newSystem(t, longrun.Options{Types: types})
	for filter, valid := range map[string]bool{
		"metadata.value = x": true, "response.value = x": true, "metadata.verb = x": true, "error.details.reason:x": true,
		"metadata.stop_time:*": false, "response.paths:*": false,
	} {
		if _, err := sys.svc.Filter(filter); (err == nil) != valid {
			t.Errorf("%s: %v, want valid = %v", filter, err, valid)
		}
	}
}

// PAG-04: where next to nothing matches, a page ends after so many rows, short and
// with a token; the walk finds all. PAG-05: exactly the last page has none.
func TestFilter_BoundedReads(t *testing.T) {
	synctest.Test(t, testBoundedReads) // where no page ends early because it takes long
}

func testBoundedReads(t *testing.T) {
	sys := newSystem(t, longrun.Options{})
	first := sys.start(t, longrun.StartOptions{Verb: "find"})
	sys.startMany(t, "", 12_000)
	page := sys.list(t, longrun.ListRequest{Filter: "metadata.verb = find"})
	if len(page.Operations) != 0 || page.NextPageToken == "" {
		t.Fatalf("first page: %d operations, token %q; want none yet, and a token", len(page.Operations), page.NextPageToken)
	}
	if n := sys.store.count("List"); n > 20 {
		t.Errorf("the page took %d reads of the store, want at most 20", n)
	}
	ids, pages := sys.walk(t, longrun.ListRequest{Filter: "metadata.verb = find"})
	if len(ids) != 1 || ids[0] != first.ID || pages < 2 || pages > 4 {
		t.Errorf("found %v on %d pages, want the one on two or three", ids, pages)
	}
}

// PAG-05: a page that is filled exactly by the last that match has no token.
func TestFilter_LastPage(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	sys.startMany(t, "", 30)
	for range 10 {
		sys.start(t, longrun.StartOptions{Verb: "find"})
	}
	for size, pages := range map[int]int{1: 10, 5: 2, 9: 2, 10: 1, 11: 1} {
		if ids, n := sys.walk(t, longrun.ListRequest{Filter: "metadata.verb = find", PageSize: size}); len(ids) != 10 || n != pages {
			t.Errorf("page size %d: %d operations on %d pages, want 10 on %d", size, len(ids), n, pages)
		}
	}
}

// PAG-04: a page comes back within its caller's deadline, and within a second, with
// what it has.
func TestFilter_WithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.startMany(t, "", 3000)
		sys.list(t, longrun.ListRequest{})
		sys.store.onCall("List", func() error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		for _, tt := range []struct{ deadline, want time.Duration }{
			{time.Hour, time.Second}, {time.Second, 500 * time.Millisecond}, {150 * time.Millisecond, 100 * time.Millisecond},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
			began := time.Now()
			page, err := sys.svc.List(ctx, longrun.ListRequest{Filter: "metadata.verb = none"})
			if took := time.Since(began); err != nil || page.NextPageToken == "" && tt.deadline < time.Hour || took > tt.want {
				t.Errorf("within %v: %v, token %q, after %v; want a short page after at most %v", tt.deadline, err, page.NextPageToken, took, tt.want)
			}
			cancel()
		}
	})
}

// GRPC-07: a filtered page too fits into what a client receives.
func TestFilter_PageBytes(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for range 6 {
		sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{Response: sized(1 << 20)})
	}
	r, got := longrun.ListRequest{Filter: "done=true"}, 0
	for {
		page := sys.list(t, r)
		if n := len(page.Operations); n == 0 || n > 3 {
			t.Errorf("a page of %d operations of a MiB each, want at most 3", n)
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

// FLT-28: metadata that cannot be read is not set, and never an error.
func TestFilter_UnreadableMetadata(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	unknown := packed(t, &longrunpb.OperationMetadata{Verb: "x"})
	unknown.TypeUrl = "type.googleapis.com/no.Such"
	op := sys.start(t, longrun.StartOptions{Metadata: unknown})
	sys.wantFilter(t, "metadata.verb = x")
	sys.wantFilter(t, "metadata.verb != x")
	sys.wantFilter(t, "NOT metadata.verb = x", op.ID)
	sys.wantFilter(t, `metadata.@type = "*/no.Such"`, op.ID)
	sys.wantFilter(t, "metadata:*", op.ID)
}
