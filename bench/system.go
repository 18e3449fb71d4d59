package main

import (
	"context"
	"errors"
	"time"
)

// A system brings operations from their start to their end.
type system interface {
	// do starts an operation and returns when it has ended; both are durable. It
	// is called by many goroutines at a time.
	do(ctx context.Context) error
	// close ends the system. It is called once, after the last do.
	close() error
}

// contender is a system to measure.
type contender struct {
	name string
	file string // what its files are called
	// open prepares it on files whose path begins with file, for so many callers.
	open func(ctx context.Context, file string, callers int) (system, error)
}

// systems are all that are compared, the ceiling first.
var systems = []contender{
	{name: "raw log", file: "raw", open: openRaw},
	{name: "longrun on sqlite", file: "sqlite", open: openLongrun},
}

func (c contender) measure(ctx context.Context, file string, callers int, d time.Duration) (m measurement, err error) {
	s, err := c.open(ctx, file, callers)
	if err != nil {
		return measurement{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := load(ctx, s.do, callers, d/10); err != nil { // warms up
		return measurement{}, err
	}
	return load(ctx, s.do, callers, d)
}
