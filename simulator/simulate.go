package simulator

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// metadata is what simulated operations say of themselves.
type metadata = *longrunpb.OperationMetadata

// rememberFrom is the shortest run whose beginning is remembered.
const rememberFrom = time.Second

// beginStep is the key under which it is.
const beginStep = "begin"

// simulate is the handler: one run of a simulated operation.
func simulate(ctx context.Context, r *longrunpb.SimulateRequest, run *longrun.Run[metadata]) (*anypb.Any, error) {
	if run.Attempt() <= int64(r.GetFailures()) {
		return nil, status.Errorf(codes.Unavailable, "simulated failure %d of %d", run.Attempt(), r.GetFailures())
	}
	p := play{request: r, run: run, duration: r.GetRunDuration().AsDuration()}
	if err := p.findBegin(ctx); err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	if st := r.GetError(); st != nil {
		return nil, status.ErrorProto(st)
	}
	return r.GetResponse(), nil
}

// play is a run under way.
type play struct {
	request  *longrunpb.SimulateRequest
	run      *longrun.Run[metadata]
	begin    time.Time
	duration time.Duration
	reported int64 // progress steps that this or an earlier run has passed
}

// findBegin finds out when the run began, or the run that this one takes up.
func (p *play) findBegin(ctx context.Context) error {
	p.begin = time.Now()
	if p.duration < rememberFrom {
		return nil
	}
	t, err := longrun.StepResult(ctx, p.run, beginStep, func(context.Context) (*timestamppb.Timestamp, error) {
		return timestamppb.New(p.begin), nil
	})
	if err != nil {
		return err
	}
	if t.CheckValid() == nil && t.AsTime().Before(p.begin) {
		p.begin = t.AsTime()
	}
	return nil
}

// wait waits for the end of the run, reports progress meanwhile, and returns early
// if the run must stop.
func (p *play) wait(ctx context.Context) error {
	end := p.begin.Add(p.duration)
	stop, noticed := ctx.Done(), time.Time{}
	for {
		now := time.Now()
		p.report(now)
		if !now.Before(end) {
			return nil
		}
		if !noticed.IsZero() && !now.Before(noticed) {
			return longrun.ErrCancelled
		}
		timer := time.NewTimer(earliest(end, p.nextReport(), noticed).Sub(now))
		select {
		case <-timer.C:
		case <-stop:
			timer.Stop()
			if !asked(ctx) {
				return context.Cause(ctx)
			}
			stop = nil
			if !p.request.GetIgnoreCancel() {
				noticed = time.Now().Add(p.request.GetCancelDelay().AsDuration())
			}
		}
	}
}

// asked reports whether the run must stop because somebody wants it to. Anything
// else, such as a runner that drains, is not a simulated run's to ignore.
func asked(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, longrun.ErrCancelled) || errors.Is(cause, longrun.ErrPreempted)
}

// steps is how many progress reports there are.
func (p *play) steps() int64 { return int64(p.request.GetProgressSteps()) }

// stepTime is when progress step i, from 1, is reached. Seconds and rest are
// divided apart: 1,000 times 30 days fits no Duration.
func (p *play) stepTime(i int64) time.Time {
	n := time.Duration(p.steps())
	return p.begin.Add(p.duration/n*time.Duration(i) + p.duration%n*time.Duration(i)/n)
}

// passed is how many progress steps have been reached at now.
func (p *play) passed(now time.Time) int64 {
	i := p.reported
	for i < p.steps() && !now.Before(p.stepTime(i+1)) {
		i++
	}
	return i
}

// nextReport is when the next progress step is reached; zero if there is none.
func (p *play) nextReport() time.Time {
	if p.reported >= p.steps() {
		return time.Time{}
	}
	return p.stepTime(p.reported + 1)
}

// report says how far the run is, if it has got further.
func (p *play) report(now time.Time) {
	i := p.passed(now)
	if i == p.reported {
		return
	}
	p.reported = i
	p.run.Update(func(m metadata) {
		if m.Progress == nil {
			m.Progress = &longrunpb.Progress{}
		}
		m.Progress.CompletedUnits, m.Progress.TotalUnits = i, p.steps()
		m.Progress.EstimatedEndTime = timestamppb.New(p.begin.Add(p.duration))
	})
}

// earliest returns the first of those times that are not zero.
func earliest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if !o.IsZero() && o.Before(t) {
			t = o
		}
	}
	return t
}
