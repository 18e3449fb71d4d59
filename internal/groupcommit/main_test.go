package groupcommit

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a writer is left.
func TestMain(m *testing.M) {
	code := m.Run()
	for began := time.Now(); code == 0; time.Sleep(10 * time.Millisecond) {
		var all bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if !strings.Contains(all.String(), "groupcommit.(*Queue") {
			break
		}
		if time.Since(began) > time.Minute {
			fmt.Fprintln(os.Stderr, "goroutines left:\n"+all.String())
			code = 1
		}
	}
	os.Exit(code)
}
