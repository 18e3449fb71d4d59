package grpcapi_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// NM-01: the server assigns the name; nothing that a client sends chooses it.
func TestName_AssignedByServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const chosen = "operations/mine"
	r := &longrunpb.SimulateRequest{Parent: parent, ConflictKey: chosen}
	r.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), chosen))
	op, err := s.starter.Simulate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(op.GetName(), "mine") {
		t.Errorf("name = %q, want one of the server's", op.GetName())
	}
	expect(t, s.getError(t, chosen), notFound)
}

// NM-02, DEL-09, EXP-04: names are unique across parents, and not used again.
func TestName_Unique(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	seen := map[string]bool{}
	for i := range 10_000 {
		op, err := s.svc.Start(t.Context(), longrun.StartRequest{Method: method, StartOptions: longrun.StartOptions{Parent: []string{"", parent}[i%2]}})
		if err != nil {
			t.Fatal(err)
		}
		id := op.ID.String()
		if seen[id] {
			t.Fatalf("id %s was issued twice", id)
		}
		seen[id] = true
		if i%100 == 0 {
			s.delete(t, op.Name().String())
		}
	}
}

var (
	nameForm = regexp.MustCompile(`(^|/)operations/[^/]+$`)
	idForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// NM-03: names end in operations/{id}. NM-04: relative, no empty segments.
// NM-05: the characters and length of ids.
func TestName_Form(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, under := range []string{"", parent, "users/u1", "a/b/c/d/e/f"} {
		name := s.start(t, under)
		if !nameForm.MatchString(name) || strings.HasPrefix(name, "/") || strings.Contains(name, "//") {
			t.Errorf("name = %q, want a relative one that ends in operations/ID", name)
		}
		if id := name[strings.LastIndexByte(name, '/')+1:]; !idForm.MatchString(id) {
			t.Errorf("id = %q, want the form %v", id, idForm)
		}
		if got, want := strings.TrimSuffix(name[:strings.LastIndexByte(name, '/')], "operations"), under; strings.TrimSuffix(got, "/") != want {
			t.Errorf("parent of %q = %q, want %q", name, got, want)
		}
	}
}

// NM-06: comparison is case sensitive and byte-exact; what is not NFC is refused.
func TestName_Exact(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name := s.start(t, parent)
	id := name[strings.LastIndexByte(name, '/')+1:]
	for _, other := range []string{
		strings.Replace(name, "l1", "L1", 1), parent + "/operations/" + strings.ToUpper(id), "operations/" + id,
		parent + "/operations/{" + id + "}",
	} {
		w := notFound
		if strings.Contains(other, "{") {
			w = badName
		}
		expect(t, s.getError(t, other), w)
	}
	expect(t, s.getError(t, "shelves/cafe\u0301/operations/"+id), badName)
}

// NM-07: returned names are canonical, also in a list with wildcards.
func TestName_Canonical(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name := s.start(t, parent)
	for _, under := range []string{"projects/-/locations/-", "projects/p1/locations/-", "-"} {
		if got := s.list(t, under); len(got) != 1 || got[0] != name {
			t.Errorf("List(%q) = %q, want %q", under, got, name)
		}
	}
}

// NM-08, NM-12: malformed names are INVALID_ARGUMENT with field "name", by every
// method.
func TestName_Malformed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range malformed {
		expect(t, s.getError(t, name), badName)
		_, err := s.ops.CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: name})
		expect(t, err, badName)
		_, err = s.ops.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: name})
		expect(t, err, badName)
		_, err = s.ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: name})
		expect(t, err, badName)
	}
}

var malformed = []string{
	"", "/", "/operations/x", "operations", "operations/", "operations//x", "foo", "foo/bar", "projects/p1/operations/", "projects//operations/x",
	"operations/x/", "operations/x:cancel", "operations/:", "operations/.", "operations/..", "operations/-", "../operations/x",
	"operations/a b", "operations/a\x00b", "operations/a\nb", "operations/a%2Fb", "operations/a?b", "operations/a#b", "operations/é",
	"projects/p1/Operations/x", "operations/operations/x", "projects/-/operations/x",
	"//example.com/operations/x", "https://example.com/v1/operations/x", "example.com//operations/x",
	"projects/p/instances/i", // NM-11: of another service
}

// NM-08: names have 1,024 bytes at most.
func TestName_Length(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const tail = "/operations/x"
	atLimit := strings.Repeat("a", longrun.MaxNameBytes-len(tail)) + tail
	expectNamed(t, s.getError(t, atLimit), notFound, atLimit)
	expect(t, s.getError(t, "a"+atLimit), badName)

	longest := strings.Repeat("a", longrun.MaxParentBytes)
	name := s.start(t, longest)
	if len(name) != longrun.MaxNameBytes || !s.get(t, name).ProtoReflect().IsValid() {
		t.Errorf("the longest name has %d bytes, want %d", len(name), longrun.MaxNameBytes)
	}
	_, err := s.starter.Simulate(t.Context(), &longrunpb.SimulateRequest{Parent: longest + "a"})
	expect(t, err, want{code: codes.InvalidArgument, reason: longrun.ReasonInvalidField, field: "parent"})
}

// NM-09: well-formed but unknown is NOT_FOUND. NM-10: also under a parent that
// does not exist.
func TestName_Unknown(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, name := range []string{
		"operations/does-not-exist", "operations/" + longrun.NewID().String(), "projects/none/locations/l1/operations/x",
		"projects/none/locations/l1/operations/" + longrun.NewID().String(), "operations/00000000-0000-0000-0000-000000000000",
		"a/b/c/operations/_~@+=,!$",
	} {
		s.expectGone(t, name)
	}
}

// NM-13: possession of a name grants nothing.
func TestName_NoCapability(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: onlyAlice}, server: callersByMetadata()})
	op, err := s.starter.Simulate(as(t, "alice"), &longrunpb.SimulateRequest{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.ops.GetOperation(as(t, "bob"), &longrunningpb.GetOperationRequest{Name: op.GetName()})
	expectNamed(t, err, denied, op.GetName())
}

// A name is refused with INVALID_ARGUMENT or not found; nothing else comes of it.
func FuzzName(f *testing.F) {
	for _, name := range malformed {
		f.Add(name)
	}
	f.Add("operations/x")
	f.Add("projects/p1/operations/" + longrun.NewID().String())
	f.Fuzz(func(t *testing.T, name string) {
		s := newSystem(t)
		_, err := s.ops.GetOperation(context.Background(), &longrunningpb.GetOperationRequest{Name: name})
		switch status.Code(err) {
		case codes.NotFound:
			expectNamed(t, err, notFound, name)
		case codes.Internal: // grpc's client does not send what is not UTF-8
			if strings.ToValidUTF8(name, "") == name {
				t.Errorf("Get(%q): %v", name, err)
			}
		default:
			expect(t, err, badName)
		}
	})
}
