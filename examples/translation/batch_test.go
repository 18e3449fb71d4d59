package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/examples/translation/translationlongrun"
)

// The whole text is translated as the glossary says, and counted.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	text := octateuch(t)
	s.write(t, "texts/kjv.txt", text)
	csv, err := os.ReadFile(filepath.Join("testdata", "glossary.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s.createGlossary(t, string(csv))
	op := s.wait(t, s.begin(t, batch("gs://out/a/", "gs://texts/kjv.txt")))
	resp := responseOf(t, op, &translatepb.BatchTranslateResponse{})
	characters := int64(utf8.RuneCountInString(text))
	if resp.GetTotalCharacters() != characters || resp.GetTranslatedCharacters() != characters || resp.GetFailedCharacters() != 0 {
		t.Errorf("response = %v, want %d characters, all translated", resp, characters)
	}
	m := metadataOf(t, op)
	if m.GetState() != translatepb.BatchTranslateMetadata_SUCCEEDED || m.GetTranslatedCharacters() != characters || m.GetTotalCharacters() != characters {
		t.Errorf("metadata = %v, want it of the end", m)
	}
	if submitted := resp.GetSubmitTime().AsTime(); !submitted.Equal(m.GetSubmitTime().AsTime()) || submitted.After(resp.GetEndTime().AsTime()) {
		t.Errorf("times = %v to %v, want those of the metadata", submitted, resp.GetEndTime().AsTime())
	}
	if got := s.read(t, "out/a/texts_kjv_de_glossary_translations.txt"); got != shipped(t).apply(text) {
		t.Error("the output is not the text as the glossary translates it")
	}
	if got, want := s.files(t), []string{"out/a/index.csv", "out/a/texts_kjv_de_glossary_translations.txt"}; !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v", got, want)
	}
}

// The index has a row for every file and language, in their order: those that were translated,
// that could not be, and that are empty. A file that two inputs match is translated once.
func TestBatch_ManyFiles(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	french := location + "/glossaries/en-fr"
	req := glossaryRequest(french, "gs://texts/glossary.csv")
	req.GetGlossary().GetLanguagePair().TargetLanguageCode = "fr"
	op, err := s.translate.CreateGlossary(bounded(t), req)
	if err != nil {
		t.Fatal(err)
	}
	s.wait(t, op.GetName())
	for name, text := range map[string]string{"texts/a/ü.txt": "God ü", "texts/b.txt": "god", "texts/broken.txt": "God\xff", "texts/empty.txt": "", "texts/c.html": "God",
		"texts/no\xffname.txt": "God"} {
		s.write(t, name, text)
	}
	b := batch("gs://out/", "gs://texts/*", "gs://texts/b.txt")
	b.TargetLanguageCodes = []string{"de", "fr"}
	b.Glossaries["de"].IgnoreCase = true
	b.Glossaries["fr"] = &translatepb.TranslateTextGlossaryConfig{Glossary: french}
	done := s.wait(t, s.begin(t, b))
	resp := responseOf(t, done, &translatepb.BatchTranslateResponse{})
	if resp.GetTotalCharacters() != 24 || resp.GetTranslatedCharacters() != 16 || resp.GetFailedCharacters() != 8 {
		t.Errorf("response = %v, want 16 of 24 characters translated and 8 failed", resp)
	}
	if m := metadataOf(t, done); m.GetFailedCharacters() != 8 || m.GetState() != translatepb.BatchTranslateMetadata_SUCCEEDED {
		t.Errorf("metadata = %v, want 8 failed characters", m)
	}
	want := `gs://texts/a/ü.txt,de,,,gs://out/texts_a_ü_de_glossary_translations.txt,
gs://texts/a/ü.txt,fr,,,gs://out/texts_a_ü_fr_glossary_translations.txt,
gs://texts/b.txt,de,,,gs://out/texts_b_de_glossary_translations.txt,
gs://texts/b.txt,fr,,,gs://out/texts_b_fr_glossary_translations.txt,
gs://texts/broken.txt,de,,,,gs://out/texts_broken_de_glossary_errors.txt
gs://texts/broken.txt,fr,,,,gs://out/texts_broken_fr_glossary_errors.txt
gs://texts/empty.txt,de,,,,
gs://texts/empty.txt,fr,,,,
`
	if got := s.read(t, "out/index.csv"); got != want {
		t.Errorf("index:\n%s\nwant:\n%s", got, want)
	}
	for name, want := range map[string]string{
		"out/texts_a_ü_de_glossary_translations.txt": "Gott ü",
		"out/texts_b_de_glossary_translations.txt":   "Gott", // case does not count
		"out/texts_b_fr_glossary_translations.txt":   "god",
		"out/texts_broken_de_glossary_errors.txt":    "gs://texts/broken.txt: is not UTF-8\n",
	} {
		if got := s.read(t, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if n := len(s.files(t)); n != 7 {
		t.Errorf("%d files, want 7", n)
	}
}

// What the run finds to be wrong is the operation's error, with its details (OP-11), and the
// metadata says so.
func TestBatch_Fails(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/broken.txt", "\xff")
	s.write(t, "texts/one/a_b.txt", "God")
	s.write(t, "texts/one/a/b.txt", "God")
	long := "gs://texts/" + strings.Repeat("x", 120) + "/" + strings.Repeat("y", 100) + ".txt"
	s.write(t, long[len(scheme):], "God")
	for i, tt := range []struct {
		input, reason string
		code          codes.Code
	}{
		{"gs://texts/none.txt", "OBJECT_NOT_FOUND", codes.NotFound},
		{"gs://none/none.txt", "OBJECT_NOT_FOUND", codes.NotFound},
		{"gs://texts/none*", "INVALID_FIELD", codes.InvalidArgument},
		{"gs://texts/broken.txt", "INVALID_FIELD", codes.InvalidArgument},
		{"gs://texts/broken.txt/a.txt", "OBJECT_NOT_FOUND", codes.NotFound},
		{"gs://texts/one/*", "INVALID_FIELD", codes.InvalidArgument}, // both would be ..._one_a_b_de_...
		{long, "INVALID_FIELD", codes.InvalidArgument},
	} {
		op := s.wait(t, s.begin(t, batch(fmt.Sprintf("gs://out/%d/", i), tt.input)))
		wantReason(t, status.ErrorProto(op.GetError()), tt.code, tt.reason)
		if m := metadataOf(t, op); m.GetState() != translatepb.BatchTranslateMetadata_FAILED {
			t.Errorf("%s: state = %v, want FAILED", tt.input, m.GetState())
		}
	}
}

// wantReason checks the code of an error and its ErrorInfo (ERR-02).
func wantReason(t *testing.T, err error, code codes.Code, reason string) *status.Status {
	t.Helper()
	st := status.Convert(err)
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			if st.Code() != code || info.GetReason() != reason || info.GetDomain() != domain {
				t.Errorf("error = %v, %s of %s; want %v, %s", err, info.GetReason(), info.GetDomain(), code, reason)
			}
			return st
		}
	}
	t.Errorf("error = %v with details %v, want an ErrorInfo", err, st.Details())
	return st
}

// CAN-01, CAN-03: a batch that is cancelled ends CANCELLED. What is not whole is not published,
// and removed.
func TestBatch_Cancel(t *testing.T) {
	t.Parallel()
	s := newSystem(t, time.Hour)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/a.txt", "God")
	name := s.begin(t, batch("gs://out/", "gs://texts/a.txt"))
	s.until(t, name, func(m *translatepb.BatchTranslateMetadata) bool { return m.GetTotalCharacters() == 3 })
	if _, err := s.operations.CancelOperation(bounded(t), &longrunningpb.CancelOperationRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	op := s.wait(t, name)
	wantReason(t, status.ErrorProto(op.GetError()), codes.Canceled, longrun.ReasonOperationCancelled)
	if m := metadataOf(t, op); m.GetState() != translatepb.BatchTranslateMetadata_CANCELLED {
		t.Errorf("state = %v, want CANCELLED", m.GetState())
	}
	if left := s.files(t); len(left) > 0 {
		t.Errorf("files = %v, want none", left)
	}
}

// PAR-02, PAR-06: one batch at a time writes below a prefix; the next is refused with ABORTED,
// and may begin when the first has ended.
func TestBatch_OneForAPrefix(t *testing.T) {
	t.Parallel()
	s := newSystem(t, time.Hour)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/a.txt", "God")
	req := batch("gs://out/a/", "gs://texts/a.txt")
	first := s.begin(t, req)
	if _, err := s.translate.BatchTranslateText(bounded(t), req); status.Code(err) != codes.Aborted {
		t.Errorf("a second batch = %v, want ABORTED", err)
	}
	s.begin(t, batch("gs://out/b/", "gs://texts/a.txt")) // another prefix is free
	if _, err := s.operations.CancelOperation(bounded(t), &longrunningpb.CancelOperationRequest{Name: first}); err != nil {
		t.Fatal(err)
	}
	s.wait(t, first)
	s.begin(t, req)
}

// A text, or a glossary, that changes in the middle ends the batch: half of the output would be
// of another one.
func TestBatch_InputChanges(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/a.txt", "God")
	b := &batches{files: s.program.files, glossaries: s.program.service.glossaries}
	req := batch("gs://out/", "gs://texts/a.txt")
	loaded, err := b.loadGlossaries(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.makePlan(t.Context(), req, loaded)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.check(loaded); err != nil {
		t.Errorf("check of what has not changed: %v", err)
	}
	loaded["de"].revision = "another"
	wantReason(t, p.check(loaded), codes.FailedPrecondition, "GLOSSARY_CHANGED")

	if f, err := b.reopen(p.Sources[0]); err != nil {
		t.Errorf("reopen of what has not changed: %v", err)
	} else {
		f.Close()
	}
	s.write(t, "texts/a.txt", strings.Repeat("God", 2))
	_, err = b.reopen(p.Sources[0])
	wantReason(t, err, codes.FailedPrecondition, "OBJECT_CHANGED")
}

// The generated handle starts a batch, follows it with its types, and goes on with its name.
func TestBatch_Handle(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/a.txt", "God")
	calls := translationlongrun.NewTranslationServiceOperations(s.conn)
	op, err := calls.BatchTranslateText(bounded(t), batch("gs://out/", "gs://texts/a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := op.Wait(bounded(t))
	if err != nil || resp.GetTranslatedCharacters() != 3 {
		t.Errorf("Wait = %v, %v; want 3 characters", resp, err)
	}
	if m, err := op.Metadata(); err != nil || m.GetState() != translatepb.BatchTranslateMetadata_SUCCEEDED {
		t.Errorf("Metadata = %v, %v; want SUCCEEDED", m, err)
	}
	again, err := calls.BatchTranslateTextOperation(op.Name()).Wait(bounded(t))
	if err != nil || again.GetTranslatedCharacters() != 3 {
		t.Errorf("Wait by name = %v, %v; want 3 characters", again, err)
	}
}

// A long-running method without a handler is UNIMPLEMENTED, like any other that is not there.
func TestService_Unimplemented(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	_, err := s.translate.UpdateGlossary(bounded(t), &translatepb.UpdateGlossaryRequest{Glossary: &translatepb.Glossary{Name: glossary}})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("UpdateGlossary = %v, want UNIMPLEMENTED", err)
	}
	_, err = s.translate.TranslateText(bounded(t), &translatepb.TranslateTextRequest{Parent: location})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("TranslateText = %v, want UNIMPLEMENTED", err)
	}
}

// A run that another one follows leaves all as it is, for that to go on with.
func TestAgain(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	for _, tt := range []struct {
		cause, err error
		want       bool
	}{
		{longrun.ErrDraining, context.Canceled, true},
		{longrun.ErrClaimLost, context.Canceled, true},
		{nil, status.Error(codes.Unavailable, "the store has too much to do"), true},
		{nil, fmt.Errorf("publish: %w", &longrun.Error{Code: codes.Unavailable}), true},
		{nil, status.Error(codes.NotFound, "none"), false},
		{longrun.ErrDeadline, context.Canceled, false},
		{nil, other, false},
	} {
		if got := again(tt.cause, tt.err); got != tt.want {
			t.Errorf("again(%v, %v) = %v, want %v", tt.cause, tt.err, got, tt.want)
		}
	}
}

// CON-06: a run that counts again what earlier ones have done takes nothing back.
func TestCounter_Show(t *testing.T) {
	t.Parallel()
	m := &translatepb.BatchTranslateMetadata{TranslatedCharacters: 7, FailedCharacters: 2}
	(&counter{translated: 5, failed: 3}).show(m)
	if m.GetTranslatedCharacters() != 7 || m.GetFailedCharacters() != 3 {
		t.Errorf("metadata = %v, want 7 translated and 3 failed", m)
	}
}
