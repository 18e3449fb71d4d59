package cli

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// handling is one run of an operation by a worker's command.
type handling struct {
	sh       *shift
	op       *longrunpb.AcquiredOperation
	reporter *reporter

	once    sync.Once
	stopped chan struct{} // closed when it is to stop
	cause   stopCause     // why; set before stopped is closed
}

func newHandling(sh *shift, op *longrunpb.AcquiredOperation) *handling {
	h := &handling{sh: sh, op: op, stopped: make(chan struct{})}
	h.reporter = newReporter(h)
	return h
}

func (h *handling) claim() claim { return claim{h.op.GetOperation(), h.op.GetAttempt()} }

// stop stops the run; the first cause counts.
func (h *handling) stop(cause stopCause) {
	h.once.Do(func() {
		h.cause = cause
		close(h.stopped)
	})
}

// why is the cause for which the run was stopped, if it was.
func (h *handling) why() stopCause {
	select {
	case <-h.stopped:
		return h.cause
	default:
		return notStopped
	}
}

func (h *handling) talk(format string, args ...any) {
	h.sh.w.a.talk("operation %q, attempt %d: %s", h.op.GetOperation(), h.op.GetAttempt(), fmt.Sprintf(format, args...))
}

// run runs the command and tells the server how it ended. Until that is answered the
// operation is held.
func (h *handling) run() {
	defer h.sh.drop(h)
	r := h.work()
	metadata := h.reporter.end()
	if h.why() == byLoss {
		h.talk("stopped: the claim is lost, and what the command has done is not kept")
		return
	}
	h.tell(r, metadata)
}

// work runs the command.
func (h *handling) work() result {
	if !h.awaitTrust() {
		return result{word: "is given back"}
	}
	in, err := requestJSON(h.op.GetRequest(), h.sh.w.c.learnt)
	if err != nil {
		return failed(statusOf(codes.Internal, "INVALID_REQUEST", "the request cannot be shown as JSON: "+plainJSONError(err), 0))
	}
	w := h.sh.w
	s := &script{
		args: w.args, in: in, err: w.a.err, guard: w.guard, stop: h.stopped, hurry: w.hurry, grace: w.kill,
		env:    []string{"LONGRUN_OPERATION=" + h.op.GetOperation(), fmt.Sprintf("LONGRUN_ATTEMPT=%d", h.op.GetAttempt())},
		report: h.reporter.report,
		drop:   func(err error) { h.talk("a line on descriptor 3 is dropped: %v", err) },
	}
	end, err := s.run()
	if err != nil {
		// That is this machine's fault and not the operation's.
		return result{fail: statusOf(codes.Unavailable, reasonCommandFailed, "the command cannot be started: "+err.Error(), startStatus(err)),
			word: "is run again: the command cannot be started: " + err.Error()}
	}
	end.learnt = w.c.learnt
	r := end.result(h.why())
	r.word += ", in " + took(end.took)
	return r
}

// awaitTrust waits until a beat has said that the session is alive, and reports
// whether the run may begin.
func (h *handling) awaitTrust() bool {
	ctx, cancel := context.WithCancel(h.sh.w.telling)
	defer cancel()
	for !h.sh.trusted() && h.why() == notStopped && ctx.Err() == nil {
		pause(ctx, retryPause)
	}
	return h.why() == notStopped && ctx.Err() == nil
}

// tell tells the server how the run ended, until it has answered. What it does not
// take is an error, so that the operation ends.
func (h *handling) tell(r result, metadata *anypb.Any) {
	err := h.say(r, metadata)
	if refused(err) {
		h.talk("%s, and the server does not take it: %s", r.word, verdict(err))
		r = failed(statusOf(codes.Internal, reasonOf(err), "the server does not take how the run ended: "+verdict(err), 0))
		err = h.say(r, nil)
	}
	switch {
	case err == nil:
		h.talk("%s", r.word)
	case isLost(err) || isOver(err):
		h.talk("%s, and the server refuses it, %s: another run has the operation, or nobody", r.word, verdict(err))
	case refused(err):
		h.talk("%s; it is given back with the next beat: %s", r.word, verdict(err))
	default:
		h.sh.w.untold.Add(1)
		h.talk("%s, and the server at %s was not there to be told", r.word, h.sh.w.c.addr)
	}
}

// refused reports whether the server has answered, and not taken what was said.
func refused(err error) bool {
	return err != nil && !isLost(err) && !isOver(err) && !passes(err) && !ctxEnded(err)
}

func (h *handling) say(r result, metadata *anypb.Any) error {
	s := h.sh.s
	req := r.request()
	return s.c.retry(h.sh.w.telling, nil, func(ctx context.Context, opts ...grpc.CallOption) error {
		if req == nil {
			_, err := s.work.ReleaseOperation(ctx, &longrunpb.ReleaseOperationRequest{
				Name: h.op.GetOperation(), Session: s.token, Attempt: h.op.GetAttempt(),
			}, opts...)
			return err
		}
		req.Name, req.Session, req.Attempt, req.Metadata = h.op.GetOperation(), s.token, h.op.GetAttempt(), metadata
		_, err := s.work.FinishOperation(ctx, req, opts...)
		return err
	})
}
