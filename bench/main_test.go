package main

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/proto"
)

func TestRun_PrintsEveryMeasurement(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	dir := t.TempDir()
	if err := run(t.Context(), options{callers: 8, duration: 50 * time.Millisecond, dir: dir}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^go1\S+, \S+/\S+, \d+ CPUs, files in .+$`,
		`(?m)^one flush: p50 .+ [um]?s, p99 .+s$`,
		`(?m)^one caller, 50ms each$`,
		`(?m)^8 callers, 50ms each$`,
		`(?m)^  raw log .* ops/s   p50 .* p99 .* CPU .* each$`,
		`(?m)^  longrun on sqlite .* ops/s .* [0-9.]+ x raw log   [0-9.]+ flushes$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("output does not match %q:\n%s", want, out.String())
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestRun_FolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), options{callers: 1, duration: time.Millisecond, dir: filepath.Join(t.TempDir(), "none")}, &out); err == nil {
		t.Error("run: no error")
	}
}

func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := load(t.Context(), func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}, 4, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(m.took), 40; got != want {
			t.Errorf("operations = %d, want %d", got, want)
		}
		if got, want := m.rate(), 40.0; got != want {
			t.Errorf("rate = %v, want %v", got, want)
		}
		if got, want := m.percentile(99), 100*time.Millisecond; got != want {
			t.Errorf("p99 = %v, want %v", got, want)
		}
	})
}

func TestLoad_FirstErrorEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		begin := time.Now()
		_, err := load(t.Context(), func(ctx context.Context) error {
			if time.Since(begin) > time.Second {
				return broken
			}
			time.Sleep(300 * time.Millisecond)
			return ctx.Err()
		}, 3, time.Hour)
		if !errors.Is(err, broken) {
			t.Errorf("err = %v, want %v", err, broken)
		}
	})
}

func TestMeasurement_Percentile(t *testing.T) {
	t.Parallel()
	m := measurement{took: []time.Duration{1, 2, 3, 4}}
	for p, want := range map[int]time.Duration{0: 1, 50: 3, 99: 4, 100: 4} {
		if got := m.percentile(p); got != want {
			t.Errorf("percentile(%d) = %d, want %d", p, got, want)
		}
	}
	if got := (measurement{}).percentile(50); got != 0 {
		t.Errorf("percentile of nothing = %d, want 0", got)
	}
	if got := (measurement{}).perOperation(); got != 0 {
		t.Errorf("CPU of nothing = %d, want 0", got)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1500 * time.Nanosecond: "2 us", 9_999 * time.Microsecond: "9999 us", 10 * time.Millisecond: "10 ms", 12 * time.Second: "12 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
}

// Every record is in the file when do has returned, however many share a flush.
func TestRawLog_KeepsEveryRecord(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "raw")
	s, err := openRaw(t.Context(), file, 0)
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 20, 5
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if err := s.do(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := countRecords(t, body), 2*callers*each; got != want {
		t.Errorf("records = %d, want %d", got, want)
	}
	if err := s.close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// countRecords reads the log again.
func countRecords(t *testing.T, body []byte) (n int) {
	t.Helper()
	for len(body) > 0 {
		size, sum := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[4:])
		record := body[8 : 8+size]
		if got := crc32.ChecksumIEEE(record); got != sum {
			t.Fatalf("checksum = %08x, want %08x", got, sum)
		}
		if err := proto.Unmarshal(record, &longrunningpb.Operation{}); err != nil {
			t.Fatal(err)
		}
		body, n = body[8+size:], n+1
	}
	return n
}

func TestRawLog_FailedWrite(t *testing.T) {
	t.Parallel()
	s, err := openRaw(t.Context(), filepath.Join(t.TempDir(), "raw"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(*rawLog).f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.do(t.Context()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("do on a closed file = %v, want %v", err, os.ErrClosed)
		}
	}
	if err := s.close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close = %v, want %v", err, os.ErrClosed)
	}
}
