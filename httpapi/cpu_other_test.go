//go:build !unix

package httpapi_test

import (
	"testing"
	"time"
)

var began = time.Now()

// cpuTime is the time of the clock where the process's own cannot be had.
func cpuTime(*testing.B) time.Duration { return time.Since(began) }
