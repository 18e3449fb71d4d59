package main

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	location = "projects/p/locations/l"
	glossary = location + "/glossaries/en-de"
)

// system is a program that serves in this process, and its clients.
type system struct {
	dir        string // of the buckets
	opts       options
	program    *program
	conn       *grpc.ClientConn
	translate  translatepb.TranslationServiceClient
	operations longrunningpb.OperationsClient
	stop       func() // ends the program, as SIGTERM does
}

// newSystem serves, with the buckets "texts" and "out", until the test ends.
func newSystem(t *testing.T, pace time.Duration) *system {
	t.Helper()
	top := t.TempDir()
	s := &system{dir: filepath.Join(top, "buckets"), opts: options{addr: "127.0.0.1:0", http: "127.0.0.1:0",
		store: filepath.Join(top, "translation.db"), bucket: filepath.Join(top, "buckets"), pace: pace, log: slog.New(slog.DiscardHandler)}}
	for _, bucket := range []string{"texts", "out"} {
		if err := os.MkdirAll(filepath.Join(s.dir, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t)
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *system) start(t *testing.T) {
	t.Helper()
	var err error
	if s.program, err = open(t.Context(), s.opts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.program.run(ctx) }()
	conn, err := grpc.NewClient(s.program.grpcListener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	s.translate, s.operations = translatepb.NewTranslationServiceClient(conn), longrunningpb.NewOperationsClient(conn)
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// bounded is a context that ends long after a test should have.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// write makes a file of a bucket.
func (s *system) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// read returns a file of a bucket.
func (s *system) read(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// files are all files that there are, but for the inputs.
func (s *system) files(t *testing.T) []string {
	t.Helper()
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var all []string
	for _, prefix := range []string{"out/", partials + "/"} {
		found, err := (&storage{root: root}).match(prefix, every, 1000)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// octateuch is the text that comes with the example.
func octateuch(t *testing.T) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "octateuch.txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shipped is the glossary that comes with the example.
func shipped(t *testing.T) *terms {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "glossary.csv"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseTerms(body, ',')
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func glossaryRequest(name, uri string) *translatepb.CreateGlossaryRequest {
	return &translatepb.CreateGlossaryRequest{Parent: location, Glossary: &translatepb.Glossary{
		Name: name,
		Languages: &translatepb.Glossary_LanguagePair{LanguagePair: &translatepb.Glossary_LanguageCodePair{
			SourceLanguageCode: "en", TargetLanguageCode: "de"}},
		InputConfig: &translatepb.GlossaryInputConfig{Source: &translatepb.GlossaryInputConfig_GcsSource{
			GcsSource: &translatepb.GcsSource{InputUri: uri}}},
	}}
}

// createGlossary creates the glossary en-de of these terms.
func (s *system) createGlossary(t *testing.T, terms string) {
	t.Helper()
	s.write(t, "texts/glossary.csv", terms)
	op, err := s.translate.CreateGlossary(bounded(t), glossaryRequest(glossary, "gs://texts/glossary.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if op = s.wait(t, op.GetName()); op.GetError() != nil {
		t.Fatal(op.GetError())
	}
}

func batch(output string, inputs ...string) *translatepb.BatchTranslateTextRequest {
	req := &translatepb.BatchTranslateTextRequest{
		Parent: location, SourceLanguageCode: "en", TargetLanguageCodes: []string{"de"},
		OutputConfig: &translatepb.OutputConfig{Destination: &translatepb.OutputConfig_GcsDestination{
			GcsDestination: &translatepb.GcsDestination{OutputUriPrefix: output}}},
		Glossaries: map[string]*translatepb.TranslateTextGlossaryConfig{"de": {Glossary: glossary}},
	}
	for _, uri := range inputs {
		req.InputConfigs = append(req.InputConfigs, &translatepb.InputConfig{Source: &translatepb.InputConfig_GcsSource{
			GcsSource: &translatepb.GcsSource{InputUri: uri}}})
	}
	return req
}

// begin starts a batch.
func (s *system) begin(t *testing.T, req *translatepb.BatchTranslateTextRequest) string {
	t.Helper()
	op, err := s.translate.BatchTranslateText(bounded(t), req)
	if err != nil {
		t.Fatal(err)
	}
	return op.GetName()
}

// wait returns an operation when it is done.
func (s *system) wait(t *testing.T, name string) *longrunningpb.Operation {
	t.Helper()
	for ctx := bounded(t); ; {
		op, err := s.operations.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		if op.GetDone() {
			return op
		}
	}
}

// until asks for an operation over and over, until its metadata is as wanted.
func (s *system) until(t *testing.T, name string, is func(*translatepb.BatchTranslateMetadata) bool) *translatepb.BatchTranslateMetadata {
	t.Helper()
	ctx := bounded(t)
	for {
		op, err := s.operations.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if m := metadataOf(t, op); is(m) {
			return m
		} else if op.GetDone() {
			t.Fatalf("the operation is done, with metadata %v", m)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func metadataOf(t *testing.T, op *longrunningpb.Operation) *translatepb.BatchTranslateMetadata {
	t.Helper()
	m := &translatepb.BatchTranslateMetadata{}
	if err := op.GetMetadata().UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// responseOf returns the response of an operation that has one, of m's type.
func responseOf[M proto.Message](t *testing.T, op *longrunningpb.Operation, m M) M {
	t.Helper()
	if err := op.GetResponse().UnmarshalTo(m); err != nil {
		t.Fatalf("response of %v: %v", op, err)
	}
	return m
}
