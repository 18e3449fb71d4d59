package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

// options is what the command line says.
type options struct {
	callers  int
	duration time.Duration // of each measurement
	dir      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.IntVar(&o.callers, "callers", 512, "how many `callers` at a time")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each of the five measurements takes")
	flag.StringVar(&o.dir, "dir", "", "`folder` on the disk to measure (default: the system's folder for temporary files)")
	flag.Parse()
	if flag.NArg() > 0 || o.callers < 1 || o.duration <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run makes all measurements and prints each when it is there.
func run(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "longrun-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := fmt.Fprintf(w, "%s, %s/%s, %d CPUs, files in %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), filepath.Dir(dir)); err != nil {
		return err
	}
	flush, err := measureFlush(ctx, filepath.Join(dir, "flush"), o.duration)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "one flush: p50 %s, p99 %s\n", short(flush.percentile(50)), short(flush.percentile(99))); err != nil {
		return err
	}
	counts := []int{1, o.callers}
	if o.callers == 1 {
		counts = counts[:1]
	}
	for _, callers := range counts {
		if err := compare(ctx, o, dir, callers, flush, w); err != nil {
			return err
		}
	}
	return nil
}

// compare measures every system with so many callers. The first one is what the
// others are compared with.
func compare(ctx context.Context, o options, dir string, callers int, flush measurement, w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s, %v each\n", plural(callers), o.duration); err != nil {
		return err
	}
	var ceiling measurement
	for i, s := range systems {
		m, err := s.measure(ctx, filepath.Join(dir, fmt.Sprintf("%s-%d", s.file, callers)), callers, o.duration)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		line := m.String()
		switch {
		case i == 0:
			ceiling = m
		default:
			line += fmt.Sprintf("   %.2f x %s", m.rate()/ceiling.rate(), systems[0].name)
		}
		if callers == 1 {
			line += fmt.Sprintf("   %.1f flushes", float64(m.percentile(50))/float64(flush.percentile(50)))
		}
		if _, err := fmt.Fprintf(w, "  %-18s %s\n", s.name, line); err != nil {
			return err
		}
	}
	return nil
}

func plural(callers int) string {
	if callers == 1 {
		return "one caller"
	}
	return fmt.Sprintf("%d callers", callers)
}
