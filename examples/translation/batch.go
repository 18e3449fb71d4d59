package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/examples/translation/translationlongrun"
)

// batches does the work of BatchTranslateText.
type batches struct {
	files      *storage
	glossaries *glossaries
	pace       time.Duration // that a chunk takes at least
	log        *slog.Logger
}

type (
	batchRequest  = translatepb.BatchTranslateTextRequest
	batchResponse = translatepb.BatchTranslateResponse
	batchMetadata = translatepb.BatchTranslateMetadata
)

// setPolicies says how the operations of the methods are treated: one at a time writes below an
// output prefix, and the next one is refused; what is done to a glossary happens in its order.
func setPolicies() {
	batch := &translationlongrun.TranslationService_BatchTranslateText
	batch.ConflictKey = func(req *batchRequest) string { return "output/" + outputPrefix(req) }
	batch.OnConflict = longrun.Reject
	translationlongrun.TranslationService_CreateGlossary.ConflictKey = func(req *translatepb.CreateGlossaryRequest) string {
		return "glossary/" + req.GetGlossary().GetName()
	}
	translationlongrun.TranslationService_DeleteGlossary.ConflictKey = func(req *translatepb.DeleteGlossaryRequest) string {
		return "glossary/" + req.GetName()
	}
}

// run is the handler. A run that another one follows leaves what it has written, for that to go
// on with; any other removes what is not whole.
func (b *batches) run(ctx context.Context, req *batchRequest, run *longrun.Run[*batchMetadata]) (*batchResponse, error) {
	resp, err := b.translate(ctx, req, run)
	state := translatepb.BatchTranslateMetadata_SUCCEEDED
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, longrun.ErrCancelled):
		state = translatepb.BatchTranslateMetadata_CANCELLED
	case again(cause, err):
		return nil, err
	default:
		state = translatepb.BatchTranslateMetadata_FAILED
	}
	run.Update(func(m *batchMetadata) { m.State = state })
	if left := b.files.discard(run.Name()); left != nil {
		b.log.Error("partial output is not removed", "operation", run.Name().String(), "err", left)
	}
	return resp, err
}

// again reports whether an error of a run is not the end of its operation: the program stops,
// or another session has the operation, or the error is one after which Longrun runs it again, as
// when the store has too much to do.
func again(cause, err error) bool {
	return errors.Is(cause, longrun.ErrDraining) || errors.Is(cause, longrun.ErrClaimLost) || status.Code(err) == codes.Unavailable
}

// translate translates every file into every language. All that it writes is named by the
// operation and the plan, and every step may be done twice.
func (b *batches) translate(ctx context.Context, req *batchRequest, run *longrun.Run[*batchMetadata]) (*batchResponse, error) {
	glossaries, err := b.loadGlossaries(ctx, req)
	if err != nil {
		return nil, err
	}
	p, err := remember(ctx, run, "plan", func(ctx context.Context) (*plan, error) { return b.makePlan(ctx, req, glossaries) })
	if err != nil {
		return nil, err
	}
	if err := p.check(glossaries); err != nil {
		return nil, err
	}
	prefix, err := parseURI(outputPrefix(req))
	if err != nil {
		return nil, err
	}
	count := &counter{run: run, total: p.characters() * int64(len(req.GetTargetLanguageCodes()))}
	count.begin()
	w := &writer{batches: b, run: run, count: count, output: output{prefix}, dir: partial(run.Name())}
	for i, s := range p.Sources {
		for _, target := range req.GetTargetLanguageCodes() {
			if err := w.file(ctx, fmt.Sprintf("%03d-%s", i, target), s, target, glossaries[target].terms); err != nil {
				return nil, err
			}
		}
	}
	return count.response()
}

// remember is longrun.StepResult for a result that is no message: what f returns is
// remembered as JSON.
func remember[T any](ctx context.Context, run longrun.AnyRun, key string, f func(context.Context) (T, error)) (T, error) {
	var result T
	body, err := longrun.StepResult(ctx, run, key, func(ctx context.Context) (*wrapperspb.BytesValue, error) {
		done, err := f(ctx)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(done)
		return wrapperspb.Bytes(body), err
	})
	if err != nil {
		return result, err
	}
	return result, json.Unmarshal(body.GetValue(), &result)
}

// writer writes the output of one run.
type writer struct {
	*batches
	run    longrun.AnyRun
	count  *counter
	output output
	dir    string // of what is not published yet
	index  []entry
}

// file translates one file into one language: chunk by chunk into a file that nobody sees, which
// then becomes an object at once, and a row of the index.
func (w *writer) file(ctx context.Context, key string, s source, target string, t *terms) error {
	e := entry{input: s.Name, target: target}
	partial := path.Join(w.dir, key)
	var size int64
	switch {
	case s.Broken:
		text := uriOf(s.Name) + ": is not UTF-8\n"
		e.errors = w.output.errors(s.Name, target)
		if _, err := remember(ctx, w.run, key+"/error", func(context.Context) (bool, error) {
			return true, w.files.write(partial, 0, []byte(text))
		}); err != nil {
			return err
		}
		size = int64(len(text))
		w.count.add(0, s.Characters)
	case s.Size > 0:
		e.translations = w.output.translations(s.Name, target)
		var err error
		if size, err = w.chunks(ctx, key, partial, s, t); err != nil {
			return err
		}
	}
	w.index = append(w.index, e)
	_, err := remember(ctx, w.run, key+"/published", func(context.Context) (bool, error) {
		return true, w.publish(partial, e, size)
	})
	return err
}

// done is what a step of a chunk remembers: how much it has translated, and how much it has
// written, at the end of what the chunks before it had. So writing it again changes nothing.
type done struct{ Characters, Written int64 }

// chunks translates a file into partial and returns how long that is. Chunks that an earlier run
// has translated are read, and passed over.
func (w *writer) chunks(ctx context.Context, key, partial string, s source, t *terms) (int64, error) {
	f, err := w.reopen(s)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var size int64
	for cutter, n := (&chunks{r: f}), 0; ; n++ {
		chunk, err := cutter.next()
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		made, err := remember(ctx, w.run, fmt.Sprintf("%s/%06d", key, n), func(ctx context.Context) (done, error) {
			if err := wait(ctx, w.pace); err != nil {
				return done{}, err
			}
			translated := []byte(t.apply(string(chunk)))
			return done{int64(utf8.RuneCount(chunk)), int64(len(translated))}, w.files.write(partial, size, translated)
		})
		if err != nil {
			return 0, err
		}
		size += made.Written
		w.count.add(made.Characters, 0)
	}
}

// publish makes an object of what is whole, and writes the index anew.
func (w *writer) publish(partial string, e entry, size int64) error {
	if object := e.translations + e.errors; object != "" { // one of them at most
		if err := w.files.publish(partial, object, size); err != nil {
			return err
		}
	}
	index, err := indexOf(w.index)
	if err != nil {
		return err
	}
	next := path.Join(w.dir, "index")
	if err := w.files.write(next, 0, index); err != nil {
		return err
	}
	return w.files.publish(next, w.output.index(), int64(len(index)))
}

// wait is the work of a model.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// counter counts what a run has translated, for the metadata and the response. A run that passes
// over what earlier ones have done counts that again.
type counter struct {
	run                       *longrun.Run[*batchMetadata]
	total, translated, failed int64
}

func (c *counter) begin() {
	c.run.Update(func(m *batchMetadata) {
		m.State, m.TotalCharacters = translatepb.BatchTranslateMetadata_RUNNING, c.total
	})
}

func (c *counter) add(translated, failed int64) {
	c.translated += translated
	c.failed += failed
	c.run.Update(c.show)
}

// show puts the count into the metadata, where it never goes back.
func (c *counter) show(m *batchMetadata) {
	m.TranslatedCharacters = max(m.TranslatedCharacters, c.translated)
	m.FailedCharacters = max(m.FailedCharacters, c.failed)
}

// response is what a batch ends with. One of which nothing could be translated has failed.
func (c *counter) response() (*batchResponse, error) {
	if c.translated == 0 && c.failed > 0 {
		return nil, badField("input_configs", "no file could be translated; the index says why")
	}
	return &batchResponse{TotalCharacters: c.total, TranslatedCharacters: c.translated, FailedCharacters: c.failed,
		SubmitTime: c.run.Metadata().GetSubmitTime(), EndTime: timestamppb.New(time.Now())}, nil
}
