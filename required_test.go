package longrun_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
	"github.com/longrun-dev/longrun/longrunpb"
)

// missingOf returns the fields that an error names, and "ok" for no error.
func missingOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "ok"
	}
	wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
	st, _ := status.FromError(err)
	var fields []string
	for _, v := range detail[*errdetails.BadRequest](st).GetFieldViolations() {
		if v.Description != v.Field+" is required" && !strings.Contains(v.Description, "deeper") {
			t.Errorf("description = %q of field %q", v.Description, v.Field)
		}
		fields = append(fields, v.Field)
	}
	return strings.Join(fields, " ")
}

// startOf starts an operation whose request is of that type.
func startOf[Req proto.Message](t *testing.T, sys *system, req Req) error {
	t.Helper()
	m := longrun.Method[Req, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word}
	_, err := longrun.Start(t.Context(), sys.svc, m, req, longrun.StartOptions{})
	return err
}

// BAT-02, AIP-233: the entries of a batch may leave out the parent that the batch names,
// and nothing else.
func TestStart_RequiredInBatches(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	book := &testpb.Book{Title: "Emma"}
	for want, req := range map[string]*testpb.BatchCreateBooksRequest{
		"ok":                                    {Parent: "shelves/s", Requests: []*testpb.CreateBookRequest{{Book: book}, {Book: book}}},
		"requests[0].parent requests[1].parent": {Requests: []*testpb.CreateBookRequest{{Book: book}, {Book: book}}},
		"requests[1].book":                      {Parent: "shelves/s", Requests: []*testpb.CreateBookRequest{{Book: book}, {}}},
	} {
		if got := missingOf(t, startOf(t, sys, req)); got != want {
			t.Errorf("missing = %q, want %q", got, want)
		}
	}
}

// AIP-234: what the batch says itself, its entries may leave out, the mask too, which then
// says what of the resources is required.
func TestStart_RequiredHoisted(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	mask := func(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
	nameless := &testpb.Author{GivenName: "U"}
	for name, tt := range map[string]struct {
		batch, entry *fieldmaskpb.FieldMask
		want         string
	}{
		"in the entry":               {nil, mask("given_name"), "ok"},
		"in the batch":               {mask("given_name"), nil, "ok"},
		"in neither":                 {nil, nil, "requests[0].update_mask"},
		"the batch's is heeded":      {mask("family_name"), nil, "requests[0].author.family_name"},
		"the entry's is its own":     {mask("family_name"), mask("given_name"), "ok"},
		"everything, from the batch": {mask("*"), nil, "requests[0].author.family_name"},
	} {
		req := &testpb.BatchUpdateAuthorsRequest{UpdateMask: tt.batch, Requests: []*testpb.UpdateAuthorRequest{{Author: nameless, UpdateMask: tt.entry}}}
		if got := missingOf(t, startOf(t, sys, req)); got != tt.want {
			t.Errorf("%s: missing %q, want %q", name, got, tt.want)
		}
	}
}

// AIP-134: the name of the resource is needed, whether or not a mask names it.
func TestStart_RequiredName(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for _, mask := range []*fieldmaskpb.FieldMask{nil, {}, {Paths: []string{"theme"}}, {Paths: []string{"name"}}, {Paths: []string{"*"}}} {
		for name, want := range map[string]string{"": "shelf.name", "shelves/s": "ok"} {
			req := &testpb.UpdateShelfRequest{Shelf: &testpb.Shelf{Name: name, Theme: "t"}, UpdateMask: mask}
			if got := missingOf(t, startOf(t, sys, req)); got != want {
				t.Errorf("name %q, mask %v: missing %q, want %q", name, mask.GetPaths(), got, want)
			}
		}
	}
}

// AIP-203: of a oneof, of which only one can be set, one is required.
func TestStart_RequiredOneof(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	uri, text, shelf := &testpb.Choice_Uri{Uri: "u"}, &testpb.Choice_Text{}, &testpb.Choice_Shelf{Shelf: 1}
	queue, author := &testpb.Choice_Queue{Queue: "q"}, &testpb.Choice_Author{Author: &testpb.Author{}}
	for name, tt := range map[string]struct {
		req  *testpb.Choice
		want string
	}{
		"nothing":                            {&testpb.Choice{}, "uri author"},
		"the first":                          {&testpb.Choice{Source: uri, Output: queue}, "ok"},
		"another that is required":           {&testpb.Choice{Source: text, Output: queue}, "ok"},
		"one that is not":                    {&testpb.Choice{Source: shelf, Output: queue}, "ok"},
		"nothing of the second":              {&testpb.Choice{Source: uri}, "author"},
		"a message, which needs what it has": {&testpb.Choice{Source: uri, Output: author}, "author.family_name"},
	} {
		if got := missingOf(t, startOf(t, sys, tt.req)); got != tt.want {
			t.Errorf("%s: missing %q, want %q", name, got, tt.want)
		}
	}
}

// ERR-08: a path that is too long for an error keeps its end, which is the field.
func TestStart_RequiredLongPath(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	b := &testpb.Book{Title: "t", Editors: map[string]*testpb.Author{strings.Repeat("k", 200): {}}}
	for range 20 {
		b = &testpb.Book{Title: "t", Sequel: b}
	}
	got := missingOf(t, startOf(t, sys, &testpb.CreateBookRequest{Parent: "p", Book: b}))
	if !strings.HasPrefix(got, "...") || !strings.HasSuffix(got, `kkk..."].family_name`) || len(got) > 130 {
		t.Errorf("missing %q, want the end of the path", got)
	}
}

// OP-19, AIP-203: what is required and missing is named, all at once, and nothing is
// stored.
func TestStart_RequiredFields(t *testing.T) {
	t.Parallel()
	type (
		book   = testpb.Book
		author = testpb.Author
		create = testpb.CreateBookRequest
	)
	named := &author{FamilyName: "Eco"}
	for name, tt := range map[string]struct {
		req  *create
		want string
	}{
		"everything":                    {&create{Parent: "shelves/s", Book: &book{Title: "t"}}, "ok"},
		"nothing":                       {&create{}, "parent book"},
		"no request":                    {nil, "parent book"},
		"in a message that is set":      {&create{Parent: "p", Book: &book{}}, "book.title"},
		"in a message in it":            {&create{Parent: "p", Book: &book{Title: "t", Author: &author{GivenName: "U"}}}, "book.author.family_name"},
		"in entries of a list":          {&create{Parent: "p", Book: &book{Title: "t", Translators: []*author{named, {}, named, {}}}}, "book.translators[1].family_name book.translators[3].family_name"},
		"in entries of a map":           {&create{Parent: "p", Book: &book{Title: "t", Editors: map[string]*author{"b": {}, "a": {}, "c": named}}}, `book.editors["a"].family_name book.editors["b"].family_name`},
		"in a message of the same type": {&create{Parent: "p", Book: &book{Title: "t", Sequel: &book{Sequel: &book{Title: "t"}}}}, "book.sequel.title"},
		"what the service sets is not":  {&create{Parent: "p", Book: &book{Title: "t", Curator: &author{}, Author: named}}, "ok"},
		"a nil entry is an empty one":   {&create{Parent: "p", Book: &book{Title: "t", Translators: []*author{nil}}}, "book.translators[0].family_name"},
		"what else is missing, as deep": {&create{Book: &book{Author: &author{}}}, "parent book.title book.author.family_name"},
		"a space is a value":            {&create{Parent: "p", Book: &book{Title: " "}}, "ok"},
	} {
		sys := newSystem(t, longrun.Options{})
		if got := missingOf(t, startOf(t, sys, tt.req)); got != tt.want {
			t.Errorf("%s: missing %q, want %q", name, got, tt.want)
		}
		if got := len(sys.list(t, longrun.ListRequest{Parent: "-"}).Operations); (got == 1) != (tt.want == "ok") {
			t.Errorf("%s: %d operations are stored", name, got)
		}
	}
}

// AIP-203: empty is absent where the field cannot tell, and a value where it can.
func TestStart_RequiredKinds(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	zero := int32(0)
	empty := &testpb.EveryKind{}
	if got, want := missingOf(t, startOf(t, sys, empty)), "flag number amount data chosen labels tags mask uri"; got != want {
		t.Errorf("missing %q, want %q", got, want)
	}
	full := &testpb.EveryKind{
		Flag: true, Number: -1, Amount: 0.5, Data: []byte{0}, Chosen: &zero, Labels: map[string]string{"": ""}, Tags: []string{""},
		Mask: &fieldmaskpb.FieldMask{}, Source: &testpb.EveryKind_Uri{Uri: ""},
	}
	if got := missingOf(t, startOf(t, sys, full)); got != "ok" {
		t.Errorf("missing %q, want nothing", got)
	}
}

// AIP-203, AIP-134: an update may leave out what its mask leaves out.
func TestStart_RequiredInUpdates(t *testing.T) {
	t.Parallel()
	type (
		book   = testpb.Book
		author = testpb.Author
	)
	nameless := &author{GivenName: "U"}
	for name, tt := range map[string]struct {
		book *book
		mask []string
		want string
	}{
		"no book":                               {nil, nil, "book"},
		"no mask: what is populated":            {&book{Etag: "e"}, nil, "ok"},
		"no mask: a message is merged":          {&book{Author: nameless}, nil, "ok"},
		"no mask: entries come whole":           {&book{Translators: []*author{nameless}}, nil, "book.translators[0].family_name"},
		"everything":                            {&book{Author: nameless}, []string{"*"}, "book.title book.author.family_name"},
		"a mask without it":                     {&book{}, []string{"etag"}, "ok"},
		"a mask with it":                        {&book{}, []string{"etag", "title"}, "book.title"},
		"a mask with it, and it is there":       {&book{Title: "t"}, []string{"title"}, "ok"},
		"a mask with the message":               {&book{Author: nameless}, []string{"author"}, "book.author.family_name"},
		"a message that is cleared":             {&book{}, []string{"author"}, "ok"},
		"a mask within the message":             {&book{Author: nameless}, []string{"author.given_name"}, "ok"},
		"a mask with the field of the message":  {&book{Author: nameless}, []string{"author.family_name"}, "book.author.family_name"},
		"the same of a message that is not set": {&book{}, []string{"author.family_name"}, "book.author.family_name"},
		"a mask with the list":                  {&book{Translators: []*author{nameless}}, []string{"translators"}, "book.translators[0].family_name"},
		"a mask without the list":               {&book{Translators: []*author{nameless}}, []string{"etag"}, "ok"},
		"the message, and a part of it":         {&book{Author: nameless}, []string{"author", "author.given_name"}, "book.author.family_name"},
		"a part of it, and the message":         {&book{Author: nameless}, []string{"author.given_name", "author"}, "book.author.family_name"},
		"what nobody has":                       {&book{}, []string{"", ".", "x.y", "title.x"}, "ok"},
	} {
		sys := newSystem(t, longrun.Options{})
		req := &testpb.UpdateBookRequest{Book: tt.book}
		if tt.mask != nil {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: tt.mask}
		}
		if got := missingOf(t, startOf(t, sys, req)); got != tt.want {
			t.Errorf("%s: missing %q, want %q", name, got, tt.want)
		}
		if tt.book == nil {
			continue
		}
		batch := &testpb.BatchUpdateBooksRequest{Requests: []*testpb.UpdateBookRequest{req}}
		want := strings.ReplaceAll(tt.want, "book.", "requests[0].book.")
		if got := missingOf(t, startOf(t, sys, batch)); got != want {
			t.Errorf("%s, in a batch: missing %q, want %q", name, got, want)
		}
	}
}

// Whoever starts a method by name is told the path in what was sent, and the same
// holds for methods that are handled, hooked or declared.
func TestStart_RequiredByName(t *testing.T) {
	t.Parallel()
	m := longrun.Method[*testpb.CreateBookRequest, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word}
	for name, register := range map[string]func(*longrun.Service){
		"handled": func(svc *longrun.Service) {
			longrun.Handle(svc, m, func(context.Context, *testpb.CreateBookRequest, *run) (*emptypb.Empty, error) { return nil, nil })
		},
		"hooked": func(svc *longrun.Service) {
			longrun.Begin(svc, m, func(context.Context, *testpb.CreateBookRequest, *longrun.Draft) error { return nil })
		},
		"declared": func(svc *longrun.Service) { longrun.Declare(svc, m) },
	} {
		sys := newSystem(t, longrun.Options{})
		register(sys.svc)
		for _, req := range []*anypb.Any{nil, packed(t, &testpb.CreateBookRequest{})} {
			_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: req})
			if got, want := missingOf(t, err), "request.parent request.book"; got != want {
				t.Errorf("%s: missing %q, want %q", name, got, want)
			}
		}
	}
	sys := newSystem(t, longrun.Options{})
	if _, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, &testpb.CreateBookRequest{})}); err != nil {
		t.Errorf("Start of a method that is not known = %v, want no look at its request", err)
	}
}

// The order of a start: authorize, required fields, request id, hook (AUT-02, IDM-01).
func TestStart_RequiredInOrder(t *testing.T) {
	t.Parallel()
	m := longrun.Method[*testpb.CreateBookRequest, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word}
	denied := status.Error(codes.PermissionDenied, "not here")
	sys := newSystem(t, longrun.Options{Authorize: func(ctx context.Context, _ longrun.Verb, _ string) error {
		if longrun.CallerOf(ctx) == "eve" {
			return denied
		}
		return nil
	}})
	hooked := 0
	longrun.Begin(sys.svc, m, func(context.Context, *testpb.CreateBookRequest, *longrun.Draft) error { hooked++; return nil })
	o := longrun.StartOptions{RequestID: "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
	full := &testpb.CreateBookRequest{Parent: "p", Book: &testpb.Book{Title: "t"}}
	if _, err := longrun.Start(t.Context(), sys.svc, m, full, o); err != nil {
		t.Fatal(err)
	}
	_, err := longrun.Start(t.Context(), sys.svc, m, &testpb.CreateBookRequest{Parent: "p"}, o)
	if got := missingOf(t, err); got != "book" || hooked != 1 {
		t.Errorf("missing %q after %d hooks, want book before the request id and the hook", got, hooked)
	}
	_, err = longrun.Start(t.Context(), sys.svc, m, &testpb.CreateBookRequest{}, longrun.StartOptions{ValidateOnly: true})
	if got := missingOf(t, err); got != "parent book" {
		t.Errorf("VAL-01: missing %q of a validate_only start", got)
	}
	_, err = longrun.Start(longrun.WithCaller(t.Context(), "eve"), sys.svc, m, &testpb.CreateBookRequest{}, o)
	if longrun.CodeOf(err) != codes.PermissionDenied {
		t.Errorf("error = %v, want the refusal first", err)
	}
}

// An error names ten fields at most, each shortened: it must fit into a header.
func TestStart_RequiredMany(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	req := &testpb.CreateBookRequest{Parent: "p", Book: &testpb.Book{Title: "t", Editors: map[string]*testpb.Author{}}}
	for i := range 1000 {
		req.Book.Editors[fmt.Sprint(i, strings.Repeat("k", 500))] = &testpb.Author{}
	}
	err := startOf(t, sys, req)
	st, _ := status.FromError(err)
	if got := len(detail[*errdetails.BadRequest](st).GetFieldViolations()); got != 10 {
		t.Errorf("%d fields are named, want 10", got)
	}
	if got := proto.Size(st.Proto()); got > 7000 {
		t.Errorf("the error has %d bytes", got)
	}
	again, _ := status.FromError(startOf(t, sys, req))
	if !slices.Equal(again.Proto().Details[1].Value, st.Proto().Details[1].Value) {
		t.Error("the same request got another answer")
	}
}

// What a stranger's request costs to look at is in proportion to it: keys are compared as
// they are.
func TestStart_RequiredManyKeys(t *testing.T) {
	sys := newSystem(t, longrun.Options{})
	req := &testpb.CreateBookRequest{Parent: "p", Book: &testpb.Book{Title: "t", Editors: map[string]*testpb.Author{}}}
	const keys = 5000
	for i := range keys {
		req.Book.Editors[fmt.Sprint(strings.Repeat("k", 60), i)] = &testpb.Author{FamilyName: "Eco"}
	}
	allocations := testing.AllocsPerRun(1, func() {
		if _, err := longrun.Start(t.Context(), sys.svc, longrun.Method[*testpb.CreateBookRequest, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word}, req, longrun.StartOptions{ValidateOnly: true}); err != nil {
			t.Error(err)
		}
	})
	if allocations > 20*keys {
		t.Errorf("%.0f allocations for %d keys", allocations, keys)
	}
}

// MaxRequestDepth, and one past it.
func TestStart_RequiredDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) *testpb.CreateBookRequest {
		b := &testpb.Book{Title: "t"}
		for range n - 1 {
			b = &testpb.Book{Title: "t", Sequel: b}
		}
		return &testpb.CreateBookRequest{Parent: "p", Book: b}
	}
	sys := newSystem(t, longrun.Options{})
	if err := startOf(t, sys, nested(longrun.MaxRequestDepth)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if got := missingOf(t, startOf(t, sys, nested(longrun.MaxRequestDepth+1))); got != "request" {
		t.Errorf("past the limit: field %q", got)
	}
	// A mask may say so too, of what is not there.
	mask := &fieldmaskpb.FieldMask{Paths: []string{strings.Repeat("sequel.", 100_000) + "title"}}
	if got := missingOf(t, startOf(t, sys, &testpb.UpdateBookRequest{Book: &testpb.Book{}, UpdateMask: mask})); got != "request" {
		t.Errorf("a mask past the limit: field %q", got)
	}
	// A type without required fields may nest as it likes.
	circle := &testpb.Circle{}
	for range 2 * longrun.MaxRequestDepth {
		circle = &testpb.Circle{Inner: circle, More: []*testpb.Circle{{}}}
	}
	if err := startOf(t, sys, circle); err != nil {
		t.Errorf("nothing is required: %v", err)
	}
}

// FuzzStart_Required takes what a stranger may send: it answers, and never panics.
func FuzzStart_Required(f *testing.F) {
	for _, m := range []proto.Message{
		&testpb.BatchUpdateBooksRequest{Requests: []*testpb.UpdateBookRequest{
			{Book: &testpb.Book{Author: &testpb.Author{}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"author.family_name", "*"}}},
		}},
		&testpb.BatchUpdateBooksRequest{},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req := &testpb.BatchUpdateBooksRequest{}
		if proto.Unmarshal(b, req) != nil {
			return
		}
		err := startOf(t, newSystem(t, longrun.Options{}), req)
		if err != nil && longrun.CodeOf(err) != codes.InvalidArgument {
			t.Errorf("Start = %v, want INVALID_ARGUMENT or nothing", err)
		}
	})
}
