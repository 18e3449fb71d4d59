package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A glossary is there when its operation has ended, and gone when that of its deletion has.
func TestGlossaries(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.write(t, "texts/g.tsv", "God\tGott\nday\tTag\n")
	op, err := s.translate.CreateGlossary(bounded(t), glossaryRequest(glossary, "gs://texts/g.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(op.GetName(), location+"/operations/") {
		t.Errorf("name = %q, want one of the location", op.GetName())
	}
	op = s.wait(t, op.GetName())
	created := responseOf(t, op, &translatepb.Glossary{})
	if created.GetName() != glossary || created.GetEntryCount() != 2 || created.GetSubmitTime() == nil || created.GetEndTime() == nil {
		t.Errorf("created %v, want it with 2 entries", created)
	}
	m := &translatepb.CreateGlossaryMetadata{}
	if err := op.GetMetadata().UnmarshalTo(m); err != nil || m.GetName() != glossary || m.GetState() != translatepb.CreateGlossaryMetadata_SUCCEEDED {
		t.Errorf("metadata = %v, %v; want it of the end", m, err)
	}
	got, err := s.translate.GetGlossary(bounded(t), &translatepb.GetGlossaryRequest{Name: glossary})
	if err != nil || got.GetEntryCount() != 2 {
		t.Errorf("GetGlossary = %v, %v; want what was created", got, err)
	}
	_, err = s.translate.CreateGlossary(bounded(t), glossaryRequest(glossary, "gs://texts/g.tsv"))
	wantReason(t, err, codes.AlreadyExists, "GLOSSARY_ALREADY_EXISTS")

	op, err = s.translate.DeleteGlossary(bounded(t), &translatepb.DeleteGlossaryRequest{Name: glossary})
	if err != nil {
		t.Fatal(err)
	}
	deleted := responseOf(t, s.wait(t, op.GetName()), &translatepb.DeleteGlossaryResponse{})
	if deleted.GetName() != glossary || deleted.GetEndTime() == nil {
		t.Errorf("deleted %v, want %s", deleted, glossary)
	}
	_, err = s.translate.GetGlossary(bounded(t), &translatepb.GetGlossaryRequest{Name: glossary})
	wantReason(t, err, codes.NotFound, "GLOSSARY_NOT_FOUND")
	_, err = s.translate.DeleteGlossary(bounded(t), &translatepb.DeleteGlossaryRequest{Name: glossary})
	wantReason(t, err, codes.NotFound, "GLOSSARY_NOT_FOUND")
}

// A file that is no glossary is the operation's error, and leaves no glossary.
func TestCreateGlossary_Fails(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.write(t, "texts/bad.csv", "a,b,c\n")
	s.write(t, "texts/large.csv", strings.Repeat("x", maxGlossaryBytes+1))
	for uri, want := range map[string]codes.Code{
		"gs://texts/bad.csv": codes.InvalidArgument, "gs://texts/large.csv": codes.InvalidArgument, "gs://texts/none.csv": codes.NotFound,
	} {
		op, err := s.translate.CreateGlossary(bounded(t), glossaryRequest(glossary, uri))
		if err != nil {
			t.Fatal(err)
		}
		op = s.wait(t, op.GetName())
		if got := codes.Code(op.GetError().GetCode()); got != want {
			t.Errorf("%s: error = %v, want %v", uri, op.GetError(), want)
		}
		m := &translatepb.CreateGlossaryMetadata{}
		if err := op.GetMetadata().UnmarshalTo(m); err != nil || m.GetState() != translatepb.CreateGlossaryMetadata_FAILED {
			t.Errorf("%s: metadata = %v, %v; want FAILED", uri, m, err)
		}
		if _, err := s.translate.GetGlossary(bounded(t), &translatepb.GetGlossaryRequest{Name: glossary}); status.Code(err) != codes.NotFound {
			t.Errorf("%s: GetGlossary = %v, want NOT_FOUND", uri, err)
		}
	}
}

// OP-19: what could never be created is refused at once.
func TestCreateGlossary_Refused(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	for name, req := range map[string]*translatepb.CreateGlossaryRequest{
		"no name":          glossaryRequest("", "gs://texts/g.csv"),
		"another location": glossaryRequest("projects/p/locations/k/glossaries/g", "gs://texts/g.csv"),
		"kind of file":     glossaryRequest(glossary, "gs://texts/g.tmx"),
		"no URI":           glossaryRequest(glossary, "/g.csv"),
		"no languages": {Parent: location, Glossary: &translatepb.Glossary{Name: glossary,
			InputConfig: glossaryRequest(glossary, "gs://texts/g.csv").GetGlossary().GetInputConfig()}},
	} {
		_, err := s.translate.CreateGlossary(bounded(t), req)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
	}
	list, err := s.operations.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: location})
	if err != nil || len(list.GetOperations()) != 0 {
		t.Errorf("operations = %v, %v; want none", list.GetOperations(), err)
	}
}

// A run that comes after one which has written the glossary, and died, ends well; an operation
// that comes after another one's does not.
func TestCreateGlossary_Again(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	g := s.program.service.glossaries
	r := row{resource: &translatepb.Glossary{Name: glossary}, terms: []byte("a,b\n"), operation: "operations/1"}
	for range 2 {
		there, err := g.insert(t.Context(), r)
		if err != nil || there.operation != "operations/1" {
			t.Errorf("insert = %v, %v; want what is there", there, err)
		}
	}
	r.operation = "operations/2"
	if there, err := g.insert(t.Context(), r); err != nil || there.operation != "operations/1" {
		t.Errorf("insert of another operation = %v, %v; want what is there", there, err)
	}
	for range 2 {
		if err := g.remove(t.Context(), glossary); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
}

// A run that comes after one which has written the glossary, and died, needs the file no more:
// that may have changed, or be gone.
func TestCreateGlossary_AfterACrash(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.write(t, "texts/g.csv", "God,Gott\n")
	g, wanted := s.program.service.glossaries, glossaryRequest(glossary, "gs://texts/g.csv").GetGlossary()
	first, err := g.build(t.Context(), wanted, nil, "operations/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "texts", "g.csv")); err != nil {
		t.Fatal(err)
	}
	second, err := g.build(t.Context(), wanted, nil, "operations/1")
	if err != nil || !proto.Equal(first, second) {
		t.Errorf("built again: %v, %v; want %v", second, err, first)
	}
	_, err = g.build(t.Context(), wanted, nil, "operations/2")
	wantReason(t, err, codes.AlreadyExists, "GLOSSARY_ALREADY_EXISTS")
}

// The pages of a list are by name, each glossary is on one, and other locations' are on none.
func TestListGlossaries(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	g := s.program.service.glossaries
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("%s/glossaries/g%d", location, i))
	}
	for _, name := range append([]string{"projects/p/locations/k/glossaries/g", "projects/p/locations/l2/glossaries/g"}, want...) {
		if _, err := g.insert(t.Context(), row{resource: &translatepb.Glossary{Name: name}, terms: []byte("a,b\n")}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	var token string // of a page of this location
	req := &translatepb.ListGlossariesRequest{Parent: location, PageSize: 2}
	pages := 0
	for done := false; !done; pages++ {
		resp, err := s.translate.ListGlossaries(bounded(t), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range resp.GetGlossaries() {
			got = append(got, g.GetName())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken != "" {
			token = req.PageToken
		}
		done = req.PageToken == ""
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || pages != 3 {
		t.Errorf("%d pages with %v, want 3 with %v", pages, got, want)
	}
	for _, req := range []*translatepb.ListGlossariesRequest{
		{Parent: location, PageSize: -1}, {Parent: location, PageToken: "?"}, {Parent: "projects/p/locations/k", PageToken: token}, {Parent: location, Filter: "src=en"}, {Parent: "projects/p"},
	} {
		_, err := s.translate.ListGlossaries(bounded(t), req)
		wantReason(t, err, codes.InvalidArgument, "INVALID_FIELD")
	}
}
