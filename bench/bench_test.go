package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// BenchmarkSystems brings operations through each system, with one caller and
// with 512. Beside the time, it reports the CPU time of an operation.
func BenchmarkSystems(b *testing.B) {
	for _, s := range systems {
		for _, callers := range []int{1, 512} {
			b.Run(fmt.Sprintf("%s/callers=%d", s.file, callers), func(b *testing.B) {
				benchmark(b, s, callers)
			})
		}
	}
}

func benchmark(b *testing.B, c contender, callers int) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	s, err := c.open(ctx, filepath.Join(b.TempDir(), c.file), callers)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.close(); err != nil {
			b.Error(err)
		}
	})
	b.ResetTimer()
	cpu := cpuTime()
	if callers == 1 {
		for b.Loop() {
			if err := s.do(ctx); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.SetParallelism(callers / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := s.do(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/op")
}
