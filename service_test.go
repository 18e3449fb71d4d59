package longrun_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
)

func TestNew_Options(t *testing.T) {
	t.Parallel()
	if got := newSystem(t, longrun.Options{}).svc.Domain(); got != longrun.DefaultDomain {
		t.Errorf("Domain() = %q, want %q", got, longrun.DefaultDomain)
	}
	if _, err := longrun.New(nil, longrun.Options{}); err == nil {
		t.Error("New without a store: no error")
	}
	if _, err := longrun.New(inmem.New(), longrun.Options{Retention: -1}); err == nil {
		t.Error("New with a negative retention: no error")
	}
}

// verbs are those that act on one operation.
func (s *system) verbs(ctx context.Context, n longrun.Name) map[longrun.Verb]func() error {
	return map[longrun.Verb]func() error{
		longrun.VerbGet:    func() error { _, err := s.svc.Get(ctx, n); return err },
		longrun.VerbWait:   func() error { _, err := s.svc.Wait(ctx, n, 0); return err },
		longrun.VerbCancel: func() error { return s.svc.Cancel(ctx, n) },
		longrun.VerbDelete: func() error { return s.svc.Delete(ctx, n) },
	}
}

// NM-09, GET-06, CAN-08, DEL-01, DEL-04: what nobody finds is NOT_FOUND for every
// verb, in the same words.
func TestNotFound(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{Domain: "images.example.com"})
	op := sys.start(t, longrun.StartOptions{Parent: "projects/p"})
	gone := sys.start(t, longrun.StartOptions{})
	if err := sys.svc.Delete(t.Context(), gone.Name()); err != nil {
		t.Fatal(err)
	}
	foreign, err := longrun.ParseName("projects/none/operations/x")
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]longrun.Name{
		"unknown": {ID: longrun.NewID()}, "deleted": gone.Name(), "not ours": foreign,
		"another parent's": {Parent: "projects/q", ID: op.ID}, "no parent": {ID: op.ID},
	} {
		for verb, call := range sys.verbs(t.Context(), n) {
			err := call()
			wantError(t, err, codes.NotFound, longrun.ReasonOperationNotFound)
			st, _ := status.FromError(err)
			if info := detail[*errdetails.ResourceInfo](st); info.GetResourceName() != n.String() {
				t.Errorf("%s of %s: ResourceInfo = %v, want %v", verb, what, info, n)
			}
			if got := infoOf(st).GetDomain(); got != "images.example.com" {
				t.Errorf("ERR-05: domain = %q, want the service's", got)
			}
		}
	}
	if got := sys.get(t, op.Name()); got.State != longrun.Pending || got.CancelRequested {
		t.Errorf("the operation under its own parent: %+v, want it untouched", got)
	}
}

// AUT-02, AUT-03, AUT-07: each verb asks for itself, before it looks whether the
// operation is there, and the answer tells nothing.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	var asked longrun.Verb
	refuse := error(nil)
	sys := newSystem(t, longrun.Options{Authorize: func(ctx context.Context, verb longrun.Verb, parent string) error {
		asked = verb
		if refuse != nil && (parent != "projects/p" || longrun.CallerOf(ctx) != "mallory") {
			t.Errorf("asked for %q by %q", parent, longrun.CallerOf(ctx))
		}
		return refuse
	}})
	op := sys.start(t, longrun.StartOptions{Parent: "projects/p"})
	missing := longrun.Name{Parent: "projects/p", ID: longrun.NewID()}
	refuse = errors.New("mallory is on the list in /etc/shadow")
	ctx := longrun.WithCaller(t.Context(), "mallory")
	there, away := sys.verbs(ctx, op.Name()), sys.verbs(ctx, missing)
	for verb := range there {
		a, b := there[verb](), away[verb]()
		wantError(t, a, codes.PermissionDenied, longrun.ReasonPermissionDenied)
		if asked != verb {
			t.Errorf("%s asked for %s", verb, asked)
		}
		sa, sb := status.Convert(a), status.Convert(b)
		if x, y := strings.ReplaceAll(fmt.Sprint(sa.Proto()), op.ID.String(), "ID"), strings.ReplaceAll(fmt.Sprint(sb.Proto()), missing.ID.String(), "ID"); x != y {
			t.Errorf("%s: %s of one that is there, %s of one that is not", verb, x, y)
		}
		if strings.Contains(fmt.Sprint(sa.Proto()), "shadow") {
			t.Errorf("ERR-07: the answer tells why: %v", sa.Proto())
		}
	}
	wantError(t, sys.svc.Authorize(ctx, longrun.VerbList, "projects/p"), codes.PermissionDenied, longrun.ReasonPermissionDenied)
	refuse = status.Error(codes.Unauthenticated, "who are you") // AUT-01: a Status as it is
	if err := there[longrun.VerbGet](); longrun.CodeOf(err) != codes.Unauthenticated {
		t.Errorf("Get = %v, want the refusal as it is", err)
	}
}

// CAN-01, CAN-05, CAN-06, CAN-07, CAN-12.
func TestCancel(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	cancel := func(op *longrun.Operation) *longrun.Operation {
		t.Helper()
		for range 2 {
			if err := sys.svc.Cancel(t.Context(), op.Name()); err != nil {
				t.Fatal(err)
			}
		}
		return sys.get(t, op.Name())
	}
	if got := cancel(sys.start(t, longrun.StartOptions{})); got.State != longrun.Cancelled || got.Error.Code != 1 || reasonOf(got) != longrun.ReasonOperationCancelled {
		t.Errorf("CAN-12, CAN-04: a pending one: %v %v", got.State, got.Error)
	}
	running := sys.running(t, longrun.StartOptions{})
	if got := cancel(running); got.State != longrun.Running || !sys.metadata(t, got).RequestedCancellation {
		t.Errorf("CAN-05: a running one: %v, %v", got.State, sys.metadata(t, got))
	}
	done := sys.finish(t, running, longrun.Result{}) // CAN-02
	before := sys.svc.Proto(sys.get(t, done.Name()))
	if got := sys.svc.Proto(cancel(done)); !got.Done || got.GetResponse() == nil || !proto.Equal(got, before) {
		t.Errorf("CAN-06, OP-16: a done one: %v, want %v", got, before)
	}
}

// DEL-01, DEL-02, DEL-08: not found by anybody, the work goes on, and nothing
// comes back.
func TestDelete(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	pending := sys.start(t, longrun.StartOptions{})
	for _, op := range []*longrun.Operation{op, pending} {
		if err := sys.svc.Delete(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
	}
	claimed := sys.claim(t, op.Claim.Session, 1)
	if len(claimed) != 1 || claimed[0].ID != pending.ID {
		t.Errorf("DEL-02: claimed %v, want the deleted one that was pending", claimed)
	}
	beat, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: op.Claim.Session})
	if err != nil || len(beat.Stop) != 0 {
		t.Errorf("DEL-02: the session hears %v, %v; want nothing", beat.Stop, err)
	}
	if done := sys.finish(t, op, longrun.Result{}); done.State != longrun.Succeeded || !done.Hidden || done.Response != nil {
		t.Errorf("finished: %+v, want it done, hidden and emptied", done)
	}
	_, err = sys.svc.Get(t.Context(), op.Name())
	wantError(t, err, codes.NotFound, longrun.ReasonOperationNotFound)
}

// The caller of a verb whose answer was lost learns what has become of it.
func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		for _, lost := range []func(string, func() error){sys.store.onAnswer, sys.store.onCall} {
			a, b := sys.start(t, longrun.StartOptions{}), sys.start(t, longrun.StartOptions{})
			lost("Update", times(3, errUnknown))
			if err := sys.svc.Cancel(t.Context(), a.Name()); err != nil {
				t.Error(err)
			}
			lost("Update", times(3, errUnknown))
			if err := sys.svc.Delete(t.Context(), b.Name()); err != nil {
				t.Errorf("DEL-04: a delete that succeeded is told as %v", err)
			}
			if got := sys.get(t, a.Name()); got.State != longrun.Cancelled || got.Revision != 2 {
				t.Errorf("cancelled: %v at revision %d", got.State, got.Revision)
			}
			if got := sys.stored(t, b.ID); !got.Hidden {
				t.Error("it is not deleted")
			}
		}
		// One that stays unknown is UNAVAILABLE, after some seconds (POL-06).
		op := sys.start(t, longrun.StartOptions{})
		sys.store.onCall("Update", func() error { return errUnknown })
		begin := time.Now()
		err := sys.svc.Cancel(t.Context(), op.Name())
		wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %v, want some seconds", took)
		}
		if d := detail[*errdetails.RetryInfo](status.Convert(err)).GetRetryDelay().AsDuration(); d <= 0 {
			t.Errorf("ERR-10: retry delay = %v, want one", d)
		}
	})
}

// AUT-03: an unknown outcome is no way to another parent's operations.
func TestDelete_WrongParentUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.start(t, longrun.StartOptions{Parent: "projects/victim"})
		sys.store.onCall("Update", times(1, errUnknown))
		err := sys.svc.Delete(t.Context(), longrun.Name{Parent: "projects/mallory", ID: op.ID})
		wantError(t, err, codes.NotFound, longrun.ReasonOperationNotFound)
		if sys.stored(t, op.ID).Hidden {
			t.Error("another parent's operation is deleted")
		}
	})
}

// ERR-07: what the store says that is no *Error goes to the log under an id, and
// nothing but the id to the caller. ERR-10: UNAVAILABLE says when to come back.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	sys := newSystem(t, longrun.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	op := sys.start(t, longrun.StartOptions{})
	sys.store.onCall("Get", func() error { return errors.New("disk I/O error: /var/lib/x.db") })
	_, err := sys.svc.Get(t.Context(), op.Name())
	wantError(t, err, codes.Internal, longrun.ReasonInternal)
	text := status.Convert(err).Message()
	id := text[strings.LastIndex(text, " ")+1:]
	if strings.Contains(text, "disk") || !strings.Contains(log.String(), "disk I/O error") || !strings.Contains(log.String(), "id="+id) {
		t.Errorf("the caller sees %q, the log %q", text, log.String())
	}
	sys.store.onCall("Get", func() error {
		return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Msg: "closed"}
	})
	_, err = sys.svc.Get(t.Context(), op.Name())
	wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
	if d := detail[*errdetails.RetryInfo](status.Convert(err)).GetRetryDelay().AsDuration(); d <= 0 {
		t.Errorf("ERR-10: retry delay = %v, want one", d)
	}
	sys.store.onCall("Get", func() error { return nil })
	if got := asError(t, err); got.Verb != "get" || got.Name != op.Name() {
		t.Errorf("error = %+v, want the verb and the name", got)
	}
}
