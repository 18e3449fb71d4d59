package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/runner"
	"google.golang.org/protobuf/types/known/emptypb"
)

// recoverFile names the database for the child that recovers, recoverCount says
// how many operations were running in it.
const (
	recoverFile  = "LONGRUN_SQLITE_RECOVER_FILE"
	recoverCount = "LONGRUN_SQLITE_RECOVER_COUNT"
)

// recovered is what the child has measured, in seconds from before it opened the
// file, and in MiB.
type recovered struct {
	Open, First, All float64
	Starts           int     // made while the others were taken over
	SlowestStart     float64 // how long the call took
	MeanTurn         float64 // how long after its start such an operation ran
	PeakMiB          float64
}

// recoverAll opens the store and runs what was running, and starts operations
// meanwhile. It prints what it has measured.
func recoverAll(file string) error {
	n, err := strconv.Atoi(os.Getenv(recoverCount))
	if err != nil {
		return err
	}
	began := time.Now()
	s, err := Open(file, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	m := recovered{Open: time.Since(began).Seconds()}
	svc, err := longrun.New(s, longrun.Options{})
	if err != nil {
		return err
	}
	defer svc.Close()
	var ran atomic.Int64
	var first atomic.Pointer[time.Time]
	done := make(chan struct{})
	longrun.Handle(svc, longrun.Method[*emptypb.Empty, *emptypb.Empty, *emptypb.Empty]{Name: "resize-image"},
		func(context.Context, *emptypb.Empty, *longrun.Run[*emptypb.Empty]) (*emptypb.Empty, error) {
			now := time.Now()
			first.CompareAndSwap(nil, &now)
			if ran.Add(1) == int64(n) {
				close(done)
			}
			return &emptypb.Empty{}, nil
		})
	var turns atomic.Int64 // nanoseconds, of all starts
	newcomer := longrun.Method[*emptypb.Empty, *emptypb.Empty, *emptypb.Empty]{Name: "newcomer"}
	begun := make(chan time.Time, 1)
	longrun.Handle(svc, newcomer, func(context.Context, *emptypb.Empty, *longrun.Run[*emptypb.Empty]) (*emptypb.Empty, error) {
		turns.Add(int64(time.Since(<-begun)))
		return &emptypb.Empty{}, nil
	})
	r, err := runner.New(svc, runner.Options{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-time.After(20 * time.Millisecond):
			before := time.Now()
			begun <- before
			if _, err := longrun.Start(ctx, svc, newcomer, &emptypb.Empty{}, longrun.StartOptions{}); err != nil {
				stop()
				return err
			}
			m.SlowestStart = max(m.SlowestStart, time.Since(before).Seconds())
			m.Starts++
		}
	}
	m.First, m.All = first.Load().Sub(began).Seconds(), time.Since(began).Seconds()
	stop()
	if err := <-ended; err != nil {
		return err
	}
	m.MeanTurn = time.Duration(turns.Load()).Seconds() / float64(max(m.Starts, 1))
	m.PeakMiB = peakMiB()
	return json.NewEncoder(os.Stdout).Encode(m)
}

// peakMiB is the most memory that this process has had, 0 where the system does
// not say.
func peakMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}

// BenchmarkRecovery opens a file in which a million operations were running when
// its owner died, in a process of its own, and runs them all, beside the same for
// 10,000 and for 100,000, which are enough to fill the store's cache. Sessions are of
// two kinds: that of the owner's process is dead when the file is opened, that of a
// worker outside, with the shortest TTL, only when it has been silent for that.
// LONGRUN_RECOVERY=N takes another number than a million; -short takes 10,000.
//
//	go test ./sqlite -run '^$' -bench Recovery -benchtime 1x -timeout 30m
func BenchmarkRecovery(b *testing.B) {
	large := 1_000_000
	if testing.Short() {
		large = 10_000
	}
	if v := os.Getenv("LONGRUN_RECOVERY"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			b.Fatal(err)
		}
		large = n
	}
	for _, kind := range []string{"process", "remote"} {
		for _, n := range slices.Compact([]int{10_000, min(100_000, large), large}) {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					file := filepath.Join(b.TempDir(), "x.db")
					leaveRunning(b, file, kind, n)
					b.StartTimer()
					m := recoverInChild(b, file, n)
					b.ReportMetric(m.Open*1000, "ms-open")
					b.ReportMetric(m.First*1000, "ms-first")
					b.ReportMetric(m.All, "s-all")
					b.ReportMetric(m.PeakMiB, "MiB-peak")
					b.ReportMetric(float64(m.Starts), "starts")
					b.ReportMetric(m.SlowestStart*1000, "ms-slowest-start")
					b.ReportMetric(m.MeanTurn*1000, "ms-turn")
				}
			})
		}
	}
}

func recoverInChild(b *testing.B, file string, n int) (m recovered) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), recoverFile+"="+file, recoverCount+"="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		b.Fatalf("the child said %q: %v", out, err)
	}
	return m
}
