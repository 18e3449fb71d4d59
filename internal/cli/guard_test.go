package cli

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestLeftGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		said string
		want []int
	}{
		{"", nil},
		{"+12\n+34\n", []int{12, 34}},
		{"+12\n+34\n-12\n", []int{34}},
		{"-12\n+12\n", []int{12}},
		{"+1\n+0\n-1\n\nx\n+x\n+12", []int{12}}, // never init, never our own group
	} {
		got := leftGroups(strings.NewReader(tt.said))
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("leftGroups(%q) = %v, want %v", tt.said, got, tt.want)
		}
	}
}

// The guard kills what was not forgotten, and nothing else.
func TestGuard(t *testing.T) {
	t.Parallel()
	g, err := startGuard(func() { t.Error("the guard is lost") })
	if err != nil {
		t.Fatal(err)
	}
	var cmds [2]*exec.Cmd
	for i := range cmds {
		cmds[i] = exec.Command("sleep", "1000")
		cmds[i].SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
		g.watch(cmds[i].Process.Pid)
	}
	g.forget(cmds[1].Process.Pid)
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := g.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	g.close()
	if err := cmds[0].Wait(); err == nil || cmds[0].ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("what was watched ended with %v, want SIGKILL", err)
	}
	if hasEnded(cmds[1].Process.Pid) {
		t.Error("what was forgotten has been killed")
	}
	_ = cmds[1].Process.Kill()
	_ = cmds[1].Wait()
}

// A guard that is killed itself is told of once; a nil guard guards nothing.
func TestGuard_Lost(t *testing.T) {
	t.Parallel()
	var lost atomic.Int64
	g, err := startGuard(func() { lost.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait()
	for range 3 {
		g.watch(1 << 30)
	}
	if lost.Load() != 1 {
		t.Errorf("told %d times that the guard is lost, want once", lost.Load())
	}
	var none *guard
	none.watch(1 << 30)
	none.forget(1 << 30)
	none.close()
}
