package main

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// noop is a method that does nothing, so that all that is measured is what every
// operation costs.
var noop = longrun.Method[*wrapperspb.BytesValue, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: "noop"}

// requestBytes is the size of an operation's request, in every system.
const requestBytes = 256

// library is Longrun as a program has it: a store in a file, a Service, a runner.
type library struct {
	store *sqlite.Store
	svc   *longrun.Service
	stop  context.CancelFunc
	ran   chan error // what the runner has returned
}

func openLongrun(ctx context.Context, file string, callers int) (system, error) {
	store, err := sqlite.Open(file+".db", sqlite.Options{})
	if err != nil {
		return nil, err
	}
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	longrun.Handle(svc, noop, func(context.Context, *wrapperspb.BytesValue, *longrun.Run[*longrunpb.OperationMetadata]) (*emptypb.Empty, error) {
		return &emptypb.Empty{}, nil
	})
	// A caller may start its next operation before the slot of its last one is free
	// again: with as many slots as callers, some would wait for one.
	r, err := runner.New(svc, runner.Options{Concurrency: 2 * callers})
	if err != nil {
		return nil, errors.Join(err, svc.Close(), store.Close())
	}
	// The runner ends at close, after the calls that it works for.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &library{store: store, svc: svc, stop: stop, ran: make(chan error, 1)}
	go func() { l.ran <- r.Run(ctx) }()
	return l, nil
}

// do starts an operation and waits for its end, as a caller in the same process.
func (l *library) do(ctx context.Context) error {
	op, err := longrun.Start(ctx, l.svc, noop, wrapperspb.Bytes(make([]byte, requestBytes)), longrun.StartOptions{})
	if err != nil {
		return err
	}
	_, err = longrun.Wait(ctx, l.svc, noop, op.Name())
	return err
}

func (l *library) close() error {
	l.stop()
	return errors.Join(<-l.ran, l.svc.Close(), l.store.Close())
}
