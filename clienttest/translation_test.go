package clienttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	translate "cloud.google.com/go/translate/apiv3"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	location   = "projects/p/locations/l"
	enDe       = location + "/glossaries/en-de"
	characters = 1087553 // of the shipped text
	firstVerse = "Ge1:1 Am Anfang Gott schuf Himmel und Erde."
)

// transports are the two ways in which Google's client of the API speaks. Nothing of it is
// changed: it is told where the server is, and that it needs no credentials.
var transports = map[string]func(t *testing.T, s *translation) *translate.TranslationClient{
	"grpc": func(t *testing.T, s *translation) *translate.TranslationClient { return dialTranslation(t, s) },
	"rest": func(t *testing.T, s *translation) *translate.TranslationClient { return restTranslation(t, s.http) },
}

func dialTranslation(t *testing.T, s *translation, opts ...grpc.DialOption) *translate.TranslationClient {
	t.Helper()
	options := []option.ClientOption{option.WithEndpoint(s.grpc), option.WithoutAuthentication()}
	for _, o := range append(opts, grpc.WithTransportCredentials(insecure.NewCredentials())) {
		options = append(options, option.WithGRPCDialOption(o))
	}
	client, err := translate.NewTranslationClient(t.Context(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func restTranslation(t *testing.T, address string) *translate.TranslationClient {
	t.Helper()
	client, err := translate.NewTranslationRESTClient(t.Context(), option.WithEndpoint("http://"+address), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// overBoth runs a test with a server of its own over each transport.
func overBoth(t *testing.T, pace string, test func(t *testing.T, s *translation, client *translate.TranslationClient)) {
	t.Parallel()
	for name, connect := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTranslation(t)
			s.start(t, pace)
			client := connect(t, s)
			createGlossary(t, client)
			test(t, s, client)
		})
	}
}

func glossaryOf(name string) *translatepb.CreateGlossaryRequest {
	return &translatepb.CreateGlossaryRequest{Parent: location, Glossary: &translatepb.Glossary{
		Name: name,
		Languages: &translatepb.Glossary_LanguagePair{LanguagePair: &translatepb.Glossary_LanguageCodePair{
			SourceLanguageCode: "en", TargetLanguageCode: "de"}},
		InputConfig: &translatepb.GlossaryInputConfig{Source: &translatepb.GlossaryInputConfig_GcsSource{
			GcsSource: &translatepb.GcsSource{InputUri: "gs://texts/glossary.csv"}}},
	}}
}

func createGlossary(t *testing.T, client *translate.TranslationClient) {
	t.Helper()
	op, err := client.CreateGlossary(patient(t), glossaryOf(enDe))
	if err != nil {
		t.Fatal(err)
	}
	created, err := op.Wait(patient(t))
	if err != nil || created.GetName() != enDe || created.GetEntryCount() < 300 {
		t.Fatalf("Wait of CreateGlossary = %v, %v; want the glossary", created, err)
	}
}

func batchOf(glossary, input string) *translatepb.BatchTranslateTextRequest {
	return &translatepb.BatchTranslateTextRequest{
		Parent: location, SourceLanguageCode: "en", TargetLanguageCodes: []string{"de"},
		InputConfigs: []*translatepb.InputConfig{{Source: &translatepb.InputConfig_GcsSource{GcsSource: &translatepb.GcsSource{InputUri: input}}}},
		OutputConfig: &translatepb.OutputConfig{Destination: &translatepb.OutputConfig_GcsDestination{
			GcsDestination: &translatepb.GcsDestination{OutputUriPrefix: "gs://out/first/"}}},
		Glossaries: map[string]*translatepb.TranslateTextGlossaryConfig{"de": {Glossary: glossary}},
	}
}

// startBatch starts to translate the shipped text.
func startBatch(t *testing.T, client *translate.TranslationClient) *translate.BatchTranslateTextOperation {
	t.Helper()
	op, err := client.BatchTranslateText(patient(t), batchOf(enDe, "gs://texts/octateuch.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// inTheMiddle polls until some of the text is translated, and returns how much. OP-14, OP-15:
// the metadata shows it.
func inTheMiddle(t *testing.T, op *translate.BatchTranslateTextOperation) int64 {
	t.Helper()
	for ctx := patient(t); ; time.Sleep(100 * time.Millisecond) {
		if _, err := op.Poll(ctx); err != nil || op.Done() {
			t.Fatalf("Poll = %v, done = %v; want nil, false", err, op.Done())
		}
		m, err := op.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if n := m.GetTranslatedCharacters(); n > 0 {
			if m.GetState() != translatepb.BatchTranslateMetadata_RUNNING || m.GetTotalCharacters() != characters || n >= characters {
				t.Errorf("metadata = %v, want it of the middle", m)
			}
			return n
		}
	}
}

// wantTranslated checks what Wait has returned at the end of a batch.
func wantTranslated(t *testing.T, s *translation, resp *translatepb.BatchTranslateResponse, err error) {
	t.Helper()
	if err != nil || resp.GetTotalCharacters() != characters || resp.GetTranslatedCharacters() != characters {
		t.Fatalf("Wait = %v, %v; want %d characters, all translated", resp, err, characters)
	}
	if got := s.firstLine(t); got != firstVerse {
		t.Errorf("the output begins %q, want %q", got, firstVerse)
	}
}

// OP-03, OP-13, OP-15, HTTP-03: Wait gives the typed response, and Metadata the typed metadata of
// the end.
func TestTranslation_Wait(t *testing.T) {
	overBoth(t, "0", func(t *testing.T, s *translation, client *translate.TranslationClient) {
		op := startBatch(t, client)
		resp, err := op.Wait(patient(t))
		wantTranslated(t, s, resp, err)
		m, err := op.Metadata()
		if err != nil || m.GetState() != translatepb.BatchTranslateMetadata_SUCCEEDED || m.GetTranslatedCharacters() != characters || m.GetSubmitTime() == nil {
			t.Errorf("Metadata = %v, %v; want it of the end", m, err)
		}
	})
}

// Glossaries are created and deleted by operations, and read without.
func TestTranslation_Glossaries(t *testing.T) {
	overBoth(t, "0", func(t *testing.T, s *translation, client *translate.TranslationClient) {
		ctx := patient(t)
		got, err := client.GetGlossary(ctx, &translatepb.GetGlossaryRequest{Name: enDe})
		if err != nil || got.GetLanguagePair().GetTargetLanguageCode() != "de" {
			t.Errorf("GetGlossary = %v, %v; want en-de", got, err)
		}
		second := location + "/glossaries/second"
		op, err := client.CreateGlossary(ctx, glossaryOf(second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := op.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		var listed []string
		for it := client.ListGlossaries(ctx, &translatepb.ListGlossariesRequest{Parent: location, PageSize: 1}); ; {
			g, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			listed = append(listed, g.GetName())
		}
		if len(listed) != 2 || listed[0] != enDe || listed[1] != second {
			t.Errorf("listed %v, want both", listed)
		}
		gone, err := client.DeleteGlossary(ctx, &translatepb.DeleteGlossaryRequest{Name: second})
		if err != nil {
			t.Fatal(err)
		}
		if deleted, err := gone.Wait(ctx); err != nil || deleted.GetName() != second {
			t.Errorf("Wait of DeleteGlossary = %v, %v; want its name", deleted, err)
		}
	})
}

// OP-14, CAN-01, CAN-03: Metadata shows how far it is, and a batch that is cancelled ends
// CANCELLED.
func TestTranslation_ProgressAndCancel(t *testing.T) {
	overBoth(t, slow, func(t *testing.T, s *translation, client *translate.TranslationClient) {
		op, ctx := startBatch(t, client), patient(t)
		inTheMiddle(t, op)
		if err := client.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: op.Name()}); err != nil {
			t.Fatal(err)
		}
		_, err := op.Wait(ctx)
		e := wantFault(t, err, "OPERATION_CANCELLED")
		if e.GRPCStatus().Code() != codes.Canceled || !op.Done() {
			t.Errorf("Wait = %v, done = %v; want CANCELLED, true", e, op.Done())
		}
		if m, err := op.Metadata(); err != nil || m.GetState() != translatepb.BatchTranslateMetadata_CANCELLED {
			t.Errorf("Metadata = %v, %v; want CANCELLED", m, err)
		}
	})
}

// OP-19, ERR-02, ERR-09, ERR-23: an unknown glossary is the starting call's error, with every
// detail.
func TestTranslation_UnknownGlossary(t *testing.T) {
	overBoth(t, "0", func(t *testing.T, s *translation, client *translate.TranslationClient) {
		none := location + "/glossaries/none"
		_, err := client.BatchTranslateText(patient(t), batchOf(none, "gs://texts/octateuch.txt"))
		e := wantFault(t, err, "GLOSSARY_NOT_FOUND")
		if e.GRPCStatus().Code() != codes.NotFound {
			t.Errorf("error = %v, want NOT_FOUND", e)
		}
		r := e.Details().ResourceInfo
		if r.GetResourceName() != none || r.GetResourceType() != "translate.googleapis.com/Glossary" || e.Metadata()["resource"] != none {
			t.Errorf("details = %v of %v, want %s", r, e.Metadata(), none)
		}
	})
}

// OP-11, ERR-23: an error of the run is what Wait returns, with every detail.
func TestTranslation_RunFails(t *testing.T) {
	overBoth(t, "0", func(t *testing.T, s *translation, client *translate.TranslationClient) {
		op, err := client.BatchTranslateText(patient(t), batchOf(enDe, "gs://texts/none.txt"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = op.Wait(patient(t))
		e := wantFault(t, err, "OBJECT_NOT_FOUND")
		if e.GRPCStatus().Code() != codes.NotFound || e.Details().ResourceInfo.GetResourceName() != "gs://texts/none.txt" {
			t.Errorf("Wait = %v, want NOT_FOUND of gs://texts/none.txt", e)
		}
	})
}

// wantFault checks the ErrorInfo of an error as Google's client shows it.
func wantFault(t *testing.T, err error, reason string) *apierror.APIError {
	t.Helper()
	e, ok := errors.AsType[*apierror.APIError](err)
	if !ok {
		t.Fatalf("error = %v, want an APIError", err)
	}
	if e.Reason() != reason || e.Domain() != "translate.googleapis.com" {
		t.Errorf("reason = %q of %q, want %q of translate.googleapis.com: %v", e.Reason(), e.Domain(), reason, e)
	}
	return e
}

// CON-02: another client, of another transport, goes on with the name of an operation.
func TestTranslation_ResumeByName(t *testing.T) {
	t.Parallel()
	s := newTranslation(t)
	s.start(t, "10ms")
	createGlossary(t, transports["grpc"](t, s))
	for first, connect := range transports {
		for second, resume := range transports {
			if first == second {
				continue
			}
			begun, cancel := context.WithCancel(patient(t))
			op, err := connect(t, s).BatchTranslateText(begun, batchOf(enDe, "gs://texts/octateuch.txt"))
			if err != nil {
				t.Fatal(err)
			}
			cancel() // the starting call is over, and has no hold on the work
			resp, err := resume(t, s).BatchTranslateTextOperation(op.Name()).Wait(patient(t))
			wantTranslated(t, s, resp, err)
			s.empty(t)
		}
	}
}
