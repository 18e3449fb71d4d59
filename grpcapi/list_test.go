package grpcapi_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/longrun-dev/longrun"
)

// listError lists what must not be listed.
func (s *system) listError(t *testing.T, r *longrunningpb.ListOperationsRequest) error {
	t.Helper()
	page, err := s.ops.ListOperations(t.Context(), r)
	if err == nil {
		t.Fatalf("ListOperations(%v) = %v, want an error", r, page)
	}
	return err
}

// LST-01: the fields of request and response. LST-13: and none beside them.
func TestList_Fields(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message protoreflect.ProtoMessage
		fields  []protoreflect.Name // in the order of their numbers, from 1
	}{
		{&longrunningpb.ListOperationsRequest{}, []protoreflect.Name{"filter", "page_size", "page_token", "name", "return_partial_success"}},
		{&longrunningpb.ListOperationsResponse{}, []protoreflect.Name{"operations", "next_page_token", "unreachable"}},
	} {
		fields := tt.message.ProtoReflect().Descriptor().Fields()
		if fields.Len() != len(tt.fields) {
			t.Errorf("%T has %d fields, want %d", tt.message, fields.Len(), len(tt.fields))
		}
		for i, name := range tt.fields {
			if f := fields.ByNumber(protoreflect.FieldNumber(i + 1)); f == nil || f.Name() != name {
				t.Errorf("%T: field %d is not %s", tt.message, i+1, name)
			}
		}
	}
}

// LST-02: name is the parent. LST-03: both spellings of it, and for the top level
// "operations" and "". LST-07: lists are not recursive.
func TestList_Parent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	top, under, below, beside := s.start(t, ""), s.start(t, parent), s.start(t, parent+"/datasets/d"), s.start(t, "projects/p1/locations/l2")
	for name, wanted := range map[string]string{
		"": top, "operations": top,
		parent: under, parent + "/operations": under,
		parent + "/datasets/d": below, "projects/p1/locations/l2/operations": beside,
	} {
		if got := s.list(t, name); !slices.Equal(got, []string{wanted}) {
			t.Errorf("List(%q) = %q, want %q", name, got, wanted)
		}
	}
	if got := s.list(t, "projects/p1"); len(got) != 0 {
		t.Errorf("List of a parent's parent = %q, want none", got)
	}
}

// LST-05: parents are not ours to know, so one without operations is an empty
// list.
func TestList_UnknownParent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.start(t, parent)
	if got := s.list(t, "projects/none/locations/l1"); len(got) != 0 {
		t.Errorf("List = %q, want none", got)
	}
}

// LST-06: a malformed parent is INVALID_ARGUMENT.
func TestList_MalformedParent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range []string{"//", "/", "/projects/p1", "projects/p1/", "projects//l", "a b", "a:b/\x00", "..", "operations/operations", "https://example.com/v1"} {
		expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: name}), badName)
	}
	long := make([]byte, longrun.MaxNameBytes)
	for i := range long {
		long[i] = 'a'
	}
	if got := s.list(t, string(long)); len(got) != 0 {
		t.Errorf("List of the longest parent = %q, want none", got)
	}
	expect(t, s.listError(t, &longrunningpb.ListOperationsRequest{Name: string(long) + "a"}), badName)
}

// LST-08: "-" reads across collections; a segment only, or everything.
func TestList_Wildcard(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	top, l1, l2, p2 := s.start(t, ""), s.start(t, parent), s.start(t, "projects/p1/locations/l2"), s.start(t, "projects/p2/locations/l1")
	s.start(t, "users/u1")
	for name, wanted := range map[string][]string{
		"projects/p1/locations/-":            {l2, l1},
		"projects/-/locations/l1":            {p2, l1},
		"projects/-/locations/-/operations":  {p2, l2, l1},
		"projects/-":                         nil,
		"-/-/-/-/-":                          nil,
		"projects/p1/locations/-/operations": {l2, l1},
	} {
		if got := s.list(t, name); !slices.Equal(got, wanted) {
			t.Errorf("List(%q) = %q, want %q", name, got, wanted)
		}
	}
	if got := s.list(t, "-"); len(got) != 5 || got[4] != top {
		t.Errorf(`List("-") = %q, want all five, the oldest last`, got)
	}
}

// LST-09: an empty filter hides nothing.
func TestList_AllStates(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	for _, filter := range []string{"", " ", "\t\n"} {
		page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: parent, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range f.all() {
			if !slices.Contains(namesOf(page), name) {
				t.Errorf("List with filter %q = %q, want %q in it", filter, namesOf(page), name)
			}
		}
	}
}

// LST-10: deleted and expired operations are not listed.
func TestList_OmitsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystemWith(t, settings{Options: longrun.Options{Retention: time.Hour}})
		f := s.fixtures(t, parent)
		s.delete(t, f.S)
		s.delete(t, f.R)
		if got, wanted := s.list(t, parent), []string{f.U, f.C, f.E}; !slices.Equal(got, wanted) {
			t.Errorf("List after Delete = %q, want %q", got, wanted)
		}
		s.expire(t, time.Hour+time.Second)
		if got, wanted := s.list(t, parent), []string{f.U}; !slices.Equal(got, wanted) {
			t.Errorf("List after expiry = %q, want %q", got, wanted)
		}
	})
}

// LST-11: all callers with permission see the same. AUT-12: without it,
// PERMISSION_DENIED and no empty list.
func TestList_Callers(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	s.start(t, parent)
	r := &longrunningpb.ListOperationsRequest{Name: parent}
	for _, caller := range []string{"alice", "carol"} {
		page, err := s.ops.ListOperations(as(t, caller), r)
		if err != nil || len(page.GetOperations()) != 1 {
			t.Errorf("List as %s = %v, %v; want one", caller, page, err)
		}
	}
	_, err := s.ops.ListOperations(as(t, "bob"), r)
	expect(t, err, denied)
}

// ORD-01: the order is total and stable. ORD-02: newest first.
func TestList_Order(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var started []string
	for range 250 { // more than fit into a page
		started = append(started, s.start(t, parent))
	}
	slices.Reverse(started)
	for range 2 {
		if got := s.list(t, parent); !slices.Equal(got, started) {
			t.Fatalf("List = %q, want the order of starting, newest first", got)
		}
	}
}

// ORD-03: in which order a list across collections comes is nobody's business; what holds
// is that a walk has each operation once, also while others are started.
func TestList_AcrossCollections(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	seen := map[string]int{}
	for i := range 9 {
		seen[s.start(t, fmt.Sprintf("projects/p%d/locations/l%d", i%2, i%3))] = 0
	}
	for token := ""; ; {
		page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: "projects/-/locations/-", PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range namesOf(page) {
			if _, before := seen[name]; before {
				seen[name]++
			}
		}
		s.start(t, "projects/p3/locations/l1")
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s was listed %d times, want once", name, times)
		}
	}
}

// PS-01: false is always accepted, and nothing is said to be unreachable.
// PS-02: true is UNIMPLEMENTED.
func TestList_PartialSuccess(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.start(t, parent)
	// ORD-04: nothing can be read from the order of unreachable: it is always empty.
	for _, name := range []string{parent, "projects/p1/locations/-", "-"} {
		page, err := s.ops.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: name, ReturnPartialSuccess: false})
		if err != nil || page.GetUnreachable() != nil {
			t.Errorf("List(%q) = %v, %v; want nothing unreachable", name, page, err)
		}
	}
	for _, name := range []string{parent, "projects/p1/locations/-", ""} {
		err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: name, ReturnPartialSuccess: true})
		expect(t, err, partialSuccess)
	}
}

var partialSuccess = want{code: codes.Unimplemented, reason: longrun.ReasonPartialSuccess, field: "return_partial_success"}

// AUT-02: who may list is asked before what is valid, and both before what is
// supported.
func TestList_OrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	for _, r := range []*longrunningpb.ListOperationsRequest{
		{Name: parent, ReturnPartialSuccess: true}, {Name: parent, PageSize: -1}, {Name: parent, PageToken: "x"},
		{Name: parent, Filter: "done=maybe"}, {Name: "//"},
	} {
		_, err := s.ops.ListOperations(as(t, "bob"), r)
		expect(t, err, denied)
	}
	err := s.listError(t, &longrunningpb.ListOperationsRequest{Name: parent, PageSize: -1, ReturnPartialSuccess: true})
	expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidPageSize, field: "page_size"})
}
