package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "rewrite the files that the scripts compare with")

// patience bounds everything that a script waits for, on a machine that is busy.
const patience = 2 * time.Minute

// TestScript plays the command line as people do. Beside testscript's own commands:
//
//	server [flags]          start a server, set $LONGRUN_SERVER, $GRPC, $HTTP
//	restart [flags]         start it again, on the same addresses and the same store
//	crash                   end it by SIGKILL
//	stop                    end it by SIGTERM; it must exit with 0
//	exits N longrun ...     run it; its exit status is N
//	spawn NAME longrun ...  begin it; output in NAME.out and NAME.err
//	signal NAME INT         send it a signal
//	reap NAME N             wait for it; its exit status is N
//	await FILE REGEXP       wait until the file has it
//	eventually REGEXP longrun ...   run it until standard output has it
//	completes ARG...        run longrun __complete until it proposes something
//	setname VAR FILE        set VAR to the name of the operation in FILE
//	startop VAR METHOD JSON [TIMEOUT]   start an operation for a worker, set VAR to its name
//	wire                    put a wire before the server, set $WIRE; "cut" and "mend" it
//	gone FILE...            wait until the processes whose ids are in the files have ended
//	settoken VAR FILE       set VAR to the page token in FILE
//	binpb FILE SETS...      make FILE of descriptor sets in text form
//	documented NAME FILE    FILE is of the form of the example NAME in docs/cli-json.md
//
// The condition [http] holds where $LONGRUN_SERVER is a URL.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts(""))
}

// The same over HTTP, of all scripts in which a server is asked.
func TestScript_HTTP(t *testing.T) {
	t.Parallel()
	p := scripts("http://")
	p.Dir = ""
	for _, name := range []string{
		"completion", "filter", "json", "operations", "run", "run-cancel", "run-killed", "run-lost", "run-restart", "simulator",
		"start", "worker", "worker-bad", "worker-examples", "worker-killed", "worker-late", "worker-network", "worker-server", "worker-stop",
	} {
		p.Files = append(p.Files, filepath.Join("testdata/script", name+".txt"))
	}
	testscript.Run(t, p)
}

// scripts are those of testdata, against servers whose address begins with scheme, which
// is empty for gRPC.
func scripts(scheme string) testscript.Params {
	return testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition: func(cond string) (bool, error) {
			if cond != "http" {
				return false, fmt.Errorf("there is no condition %q", cond)
			}
			return scheme != "", nil
		},
		Setup: func(env *testscript.Env) error {
			s := &stage{scheme: scheme, spawned: map[string]*spawned{}}
			env.Values[stageKey{}] = s
			env.Defer(s.close)
			env.Setenv("HOME", env.WorkDir)
			examples, err := filepath.Abs("../../examples")
			env.Setenv("EXAMPLES", examples)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":     func(ts *testscript.TestScript, _ bool, args []string) { stageOf(ts).serve(ts, args) },
			"restart":    func(ts *testscript.TestScript, _ bool, args []string) { stageOf(ts).restart(ts, args) },
			"crash":      func(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).crash(ts) },
			"stop":       func(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).stop(ts) },
			"exits":      cmdExits,
			"spawn":      cmdSpawn,
			"signal":     cmdSignal,
			"reap":       cmdReap,
			"await":      cmdAwait,
			"eventually": cmdEventually,
			"completes":  cmdCompletes,
			"setname":    cmdSetname,
			"startop":    cmdStartop,
			"wire":       cmdWire,
			"cut":        func(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).wire.cut() },
			"mend":       func(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).wire.mend() },
			"gone":       cmdGone,
			"settoken":   cmdSettoken,
			"documented": cmdDocumented,
			"binpb":      cmdBinpb,
		},
	}
}

// stage is what a script has running. The server is spawned as "server".
type stage struct {
	scheme  string     // of the server's address: "" is gRPC
	mu      sync.Mutex // guards spawned
	spawned map[string]*spawned
	wire    *wire
}

type spawned struct {
	cmd  *exec.Cmd
	done chan struct{}
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// close ends what is left, by the ids that it was started with.
func (s *stage) close() {
	if s.wire != nil {
		s.wire.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.spawned {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (s *stage) spawn(ts *testscript.TestScript, name string, args []string) *spawned {
	path := lookPath(ts, args[0])
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"HOME", "PATH", "TMPDIR", "GOCOVERDIR", serverEnv, envName("serve", "log-format")} {
		if val := ts.Getenv(v); val != "" {
			cmd.Env = append(cmd.Env, v+"="+val)
		}
	}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	errOut, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = out, errOut
	p := &spawned{cmd: cmd, done: make(chan struct{})}
	ts.Check(cmd.Start())
	s.mu.Lock()
	s.spawned[name] = p
	s.mu.Unlock()
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the state says it
		out.Close()
		errOut.Close()
	}()
	return p
}

func (s *stage) get(ts *testscript.TestScript, name string) *spawned {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.spawned[name]
	if p == nil {
		ts.Fatalf("nothing is called %s", name)
	}
	return p
}

func (s *stage) serve(ts *testscript.TestScript, args []string) {
	s.launch(ts, append([]string{"--grpc", quietAddr(ts), "--http", quietAddr(ts)}, args...))
}

// quietPorts are the ports that scripts have had.
var quietPorts sync.Map

// quietAddr returns an address on a port that the system gives to nobody by itself, nor
// another test, so that it is still free when a server that has ended comes back.
func quietAddr(ts *testscript.TestScript) string {
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))
		if _, had := quietPorts.LoadOrStore(addr, true); had {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			ts.Check(l.Close())
			return addr
		}
	}
	ts.Fatalf("no port is free")
	return ""
}

func (s *stage) restart(ts *testscript.TestScript, args []string) {
	s.launch(ts, append([]string{"--grpc", ts.Getenv("GRPC"), "--http", ts.Getenv("HTTP")}, args...))
}

func (s *stage) launch(ts *testscript.TestScript, args []string) {
	s.spawn(ts, "server", append([]string{"longrun", "serve", "--store", "sqlite:longrun.db"}, args...))
	await(ts, "server.err", `(?m)^longrun: and: |"msg":"serving gRPC"`)
	text := ts.ReadFile("server.err")
	for _, v := range []struct{ env, pattern string }{
		{"GRPC", `serving gRPC(?: on |","addr":")([^\s"]+)`}, {"HTTP", `serving HTTP(?: on |","addr":")([^\s"]+)`},
	} {
		if m := regexp.MustCompile(v.pattern).FindStringSubmatch(text); m != nil {
			ts.Setenv(v.env, m[1])
		}
	}
	if s.scheme != "" {
		ts.Setenv(serverEnv, s.scheme+ts.Getenv("HTTP"))
	} else {
		ts.Setenv(serverEnv, ts.Getenv("GRPC"))
	}
}

func (s *stage) crash(ts *testscript.TestScript) {
	p := s.get(ts, "server")
	ts.Check(p.cmd.Process.Kill())
	<-p.done
}

func (s *stage) stop(ts *testscript.TestScript) {
	ts.Check(s.get(ts, "server").cmd.Process.Signal(syscall.SIGTERM))
	s.reap(ts, "server", 0)
}

func (s *stage) reap(ts *testscript.TestScript, name string, want int) {
	p := s.get(ts, name)
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended\n%s", name, ts.ReadFile(name+".err"))
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status of %s = %d, want %d\n%s", name, got, want, ts.ReadFile(name+".err"))
	}
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status = %d, want %d", got, want)
	}
}

func cmdSpawn(ts *testscript.TestScript, _ bool, args []string) {
	stageOf(ts).spawn(ts, args[0], args[1:])
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "TSTP": syscall.SIGTSTP, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}[args[1]]
	ts.Check(stageOf(ts).get(ts, args[0]).cmd.Process.Signal(sig))
}

func cmdReap(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	stageOf(ts).reap(ts, args[0], want)
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) { await(ts, args[0], args[1]) }

func await(ts *testscript.TestScript, file, pattern string) {
	re := regexp.MustCompile(pattern)
	poll(ts, pattern, func() (bool, string) {
		b, err := os.ReadFile(ts.MkAbs(file))
		return err == nil && re.Match(b), string(b)
	})
}

func cmdEventually(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[0])
	path := lookPath(ts, args[1])
	poll(ts, args[0], func() (bool, string) {
		var out bytes.Buffer
		cmd := exec.Command(path, args[2:]...)
		cmd.Env = []string{serverEnv + "=" + ts.Getenv(serverEnv), "HOME=" + ts.Getenv("HOME")}
		cmd.Dir = ts.MkAbs(".")
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run() // what it has printed decides
		return re.Match(out.Bytes()), out.String()
	})
}

// cmdCompletes leaves what was proposed as standard output. A server that does not
// answer at once is no reason for completion to wait, and then it proposes nothing.
func cmdCompletes(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, "a proposal", func() (bool, string) {
		ts.Check(ts.Exec("longrun", append([]string{"__complete"}, args...)...))
		out := ts.ReadFile("stdout")
		return !strings.HasPrefix(out, ":"), out
	})
}

// poll waits for another process to do something.
func poll(ts *testscript.TestScript, what string, f func() (bool, string)) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ok, text := f()
		if ok {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not come:\n%s", what, text)
		}
	}
}

func cmdSetname(ts *testscript.TestScript, _ bool, args []string) {
	name := regexp.MustCompile(`[a-z0-9/]*operations/[0-9a-f-]{36}`).FindString(ts.ReadFile(args[1]))
	if name == "" {
		ts.Fatalf("no name in %s:\n%s", args[1], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], strings.TrimSpace(name))
}

func cmdSettoken(ts *testscript.TestScript, _ bool, args []string) {
	token := regexp.MustCompile(`"nextPageToken": "([^"]+)"`).FindStringSubmatch(ts.ReadFile(args[1]))
	if token == nil {
		ts.Fatalf("no page token in %s:\n%s", args[1], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], token[1])
}

func cmdBinpb(ts *testscript.TestScript, _ bool, args []string) {
	all := &descriptorpb.FileDescriptorSet{}
	for _, name := range args[1:] {
		one := &descriptorpb.FileDescriptorSet{}
		ts.Check(prototext.Unmarshal([]byte(ts.ReadFile(name)), one))
		all.File = append(all.File, one.GetFile()...)
	}
	raw, err := proto.Marshal(all)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}
