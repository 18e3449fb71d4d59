package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// fault is an error as our servers send it.
func fault(t *testing.T, code codes.Code, reason, msg string, more ...protoadapt.MessageV1) error {
	t.Helper()
	st, err := status.New(code, msg).WithDetails(append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: "longrun.dev"}}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestExplain(t *testing.T) {
	t.Parallel()
	badName := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "name must end in operations/ID"}}}
	for _, tt := range []struct {
		what      string
		err       error
		addr      string
		verb      string
		name      string
		msg, hint string
		exit      int
	}{
		{"no server", status.Error(codes.Unavailable, "connection refused"), "127.0.0.1:9151", "list", "",
			"no server at 127.0.0.1:9151", "start one with: longrun serve", 0},
		{"no server, another port", status.Error(codes.Unavailable, "connection refused"), "127.0.0.1:1", "list", "",
			"no server at 127.0.0.1:1", "start one with: longrun serve --grpc 127.0.0.1:1", 0},
		{"no server, another machine", status.Error(codes.Unavailable, "no route to host"), "192.0.2.1:1", "list", "",
			"no server at 192.0.2.1:1: no route to host", "name another with --server or LONGRUN_SERVER", 0},
		{"overloaded", fault(t, codes.Unavailable, "OVERLOADED", "list: too many writes are waiting"), "127.0.0.1:9151", "list", "",
			"list: too many writes are waiting", "the server has more to do than it can; try again in a moment", 0},
		{"a store that cannot be used", fault(t, codes.Unavailable, "UNAVAILABLE", "list: the database cannot be written"), "127.0.0.1:9151", "list", "",
			"list: the database cannot be written", "the server is there and cannot use its store now; its log says why", 0},
		{"not gRPC", status.Error(codes.Unavailable, "error reading server preface"), "127.0.0.1:8151", "list", "",
			"something listens at 127.0.0.1:8151, and does not answer as a server does: error reading server preface", notOurs, 0},
		{"a field", fault(t, codes.InvalidArgument, "INVALID_FIELD", "start: x", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "request_id", Description: "request_id must be a UUID4"}}}),
			"127.0.0.1:9151", "start", "", "request_id must be a UUID4", "it is what --request-id says; see: longrun start --help", 2},
		{"the field of a flag with another name", fault(t, codes.InvalidArgument, "INVALID_OPERATION_NAME", "list: x", badName), "127.0.0.1:9151", "list", "",
			"name must end in operations/ID", "it is what --parent says; see: longrun list --help", 2},
		{"no field", fault(t, codes.InvalidArgument, "INVALID_FIELD", "no"), "127.0.0.1:9151", "list", "", "no", "see: longrun list --help", 2},
		{"not found", fault(t, codes.NotFound, "OPERATION_NOT_FOUND", "get: not found"), "127.0.0.1:9151", "get", "operations/7f3a",
			`operation "operations/7f3a" not found`, "finished operations are kept for 30 days unless the server was told otherwise; see what there is with: longrun list", 0},
		{"a name without its collection", fault(t, codes.InvalidArgument, "INVALID_OPERATION_NAME", "get: ...", badName), "127.0.0.1:9151", "get", "7f3a",
			`"7f3a" is not the name of an operation: name must end in operations/ID`, "a name is operations/ID or PARENT/operations/ID; try: longrun get operations/7f3a", 2},
		{"the same, of a command that changes something", fault(t, codes.InvalidArgument, "INVALID_OPERATION_NAME", "x", badName), "127.0.0.1:9151", "delete", "7f3a",
			`"7f3a" is not the name of an operation: name must end in operations/ID`, "a name is operations/ID or PARENT/operations/ID; did you mean operations/7f3a?", 2},
		{"a name that no shell takes", fault(t, codes.InvalidArgument, "INVALID_OPERATION_NAME", "x", badName), "127.0.0.1:9151", "get", "$(x)",
			`"$(x)" is not the name of an operation: name must end in operations/ID`, "a name is operations/ID or PARENT/operations/ID; see what there is with: longrun list", 2},
		{"another server", status.Error(codes.Unimplemented, "unknown service"), "127.0.0.1:80", "list", "",
			"127.0.0.1:80 is no longrun server: it does not know the call", notOurs, 0},
		{"no answer", status.Error(codes.DeadlineExceeded, "context deadline exceeded"), "127.0.0.1:9151", "list", "",
			"the server at 127.0.0.1:9151 has not answered within 30s", "", 0},
		{"no server, over HTTP on another port", status.Error(codes.Unavailable, "connection refused"), "http://127.0.0.1:81", "list", "",
			"no server at http://127.0.0.1:81", "start one with: longrun serve --http 127.0.0.1:81", 0},
		{"no server, over TLS", status.Error(codes.Unavailable, "connection refused"), "https://127.0.0.1:81", "list", "",
			"no server at https://127.0.0.1:81", "name another with --server or LONGRUN_SERVER", 0},
		{"no server behind a proxy", fault(t, codes.Unavailable, reasonProxy, "http://x answers 502 Bad Gateway"), "http://x", "list", "",
			"http://x answers 502 Bad Gateway", "what is before the server says that it is away, or that there is no room; try again in a moment", 0},
		{"a body that the server does not take", fault(t, codes.InvalidArgument, "UNKNOWN_FIELD", "body: x"), "http://x", "start", "", "body: x", unknownToServer, 2},
		{"anything else", fault(t, codes.Internal, "INTERNAL", "internal error ABC"), "127.0.0.1:9151", "list", "", "internal error ABC", "the server's log says why, under that id", 0},
		{"without a message", status.Error(codes.Internal, ""), "127.0.0.1:9151", "list", "", "Internal", "", 0},
	} {
		listening := func(addr string) bool { return addr == "127.0.0.1:8151" }
		err := (&client{addr: tt.addr, listens: listening}).explain(tt.err, tt.verb, tt.name)
		p, ok := errors.AsType[*problem](err)
		if !ok {
			t.Errorf("%s: %v is no problem", tt.what, err)
			continue
		}
		if p.msg != tt.msg || p.hint != tt.hint || p.exit != tt.exit {
			t.Errorf("%s:\n got %q, %q, %d\nwant %q, %q, %d", tt.what, p.msg, p.hint, p.exit, tt.msg, tt.hint, tt.exit)
		}
	}
	if err := (&client{}).explain(nil, "", ""); err != nil {
		t.Errorf("explain(nil) = %v", err)
	}
}

const webHint = "over HTTP it is a URL, such as http://127.0.0.1:8151"

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ addr, hint string }{
		{"127.0.0.1:9151", ""},
		{"[::1]:9151", ""},
		{"longrun.example:443", ""},
		{"127.0.0.1", "name its port: --server 127.0.0.1:9151"},
		{"longrun.example", "name its port: --server longrun.example:9151"},
		{"http://127.0.0.1:8151", ""},
		{"https://longrun.example", ""},
		{"https://longrun.example/below/it/", ""},
		{"http://[::1]:8151", ""},
		{"ftp://127.0.0.1:8151", webHint},
		{"http://", webHint},
		{"http://:8151", webHint},
		{"http://127.0.0.1:", webHint},
		{"http://127.0.0.1:x", webHint},
		{"http://user:secret@127.0.0.1:8151", webHint},
		{"http://127.0.0.1:8151?x=1", webHint},
		{"http://127.0.0.1:8151#x", webHint},
		{":9151", "an address is a host and a port, such as 127.0.0.1:9151"},
		{"127.0.0.1:", "an address is a host and a port, such as 127.0.0.1:9151"},
		{"a b:1", "an address is a host and a port, such as 127.0.0.1:9151"},
	} {
		err := checkAddress(tt.addr)
		p, _ := errors.AsType[*problem](err)
		switch {
		case tt.hint == "" && err != nil:
			t.Errorf("checkAddress(%q) = %v, want nil", tt.addr, err)
		case tt.hint != "" && (p == nil || p.hint != tt.hint):
			t.Errorf("checkAddress(%q) = %+v, want hint %q", tt.addr, p, tt.hint)
		}
	}
}

func FuzzCheckAddress(f *testing.F) {
	f.Add("127.0.0.1:9151")
	f.Add("dns:///x")
	f.Add("http://127.0.0.1:8151/x")
	f.Fuzz(func(t *testing.T, addr string) {
		if checkAddress(addr) != nil {
			return
		}
		if isWeb(addr) {
			if host, _, err := net.SplitHostPort(hostPort(addr)); err != nil || host == "" || strings.ContainsAny(addr, "@?# ") {
				t.Errorf("%q was taken, of which the host is %q", addr, host)
			}
			return
		}
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" || strings.Contains(addr, "/") {
			t.Errorf("%q was taken", addr)
		}
	})
}

// The flag goes before the environment, and that before the default.
func TestDial_Address(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ flag, env, want string }{
		{"", "", "127.0.0.1:9151"}, {"", "127.0.0.1:2", "127.0.0.1:2"}, {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1"},
	} {
		cmd := &cobra.Command{}
		serverFlag(cmd)
		if err := cmd.Flags().Set("server", tt.flag); err != nil {
			t.Fatal(err)
		}
		a := &app{env: func(name string) string { return map[string]string{serverEnv: tt.env}[name] }}
		cmd.Flags().Lookup("server").Changed = tt.flag != ""
		if err := a.settle(cmd); err != nil {
			t.Fatal(err)
		}
		c, err := a.dial(cmd)
		if err != nil {
			t.Errorf("dial: %v", err)
			continue
		}
		if c.addr != tt.want {
			t.Errorf("--server %q with %q = %q, want %q", tt.flag, tt.env, c.addr, tt.want)
		}
		c.close()
	}
}

// Only what passes is tried again.
func TestRetry(t *testing.T) {
	t.Parallel()
	c := &client{}
	tries, told := 0, 0
	err := c.retry(t.Context(), func(error) { told++ }, func(context.Context, ...grpc.CallOption) error {
		if tries++; tries < 3 {
			return status.Error(codes.Unavailable, "restarting")
		}
		return nil
	})
	if err != nil || tries != 3 || told != 2 {
		t.Errorf("retry = %v after %d tries, %d told; want nil, 3, 2", err, tries, told)
	}
	tries = 0
	err = c.retry(t.Context(), nil, func(context.Context, ...grpc.CallOption) error {
		tries++
		return status.Error(codes.Aborted, "claim lost")
	})
	if status.Code(err) != codes.Aborted || tries != 1 {
		t.Errorf("retry = %v after %d tries, want ABORTED, 1", err, tries)
	}
}

// Usage fits a screen of 80 by 24 or a little more, and ends with an example.
func TestUsage_FitsAScreen(t *testing.T) {
	t.Parallel()
	root := (&app{}).root(nil)
	root.InitDefaultHelpCmd()
	for _, cmd := range append(root.Commands(), root) {
		var b bytes.Buffer
		cmd.SetOut(&b)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
		if len(lines) > 36 && cmd.Name() != "environment" { // that one is a list to look things up in
			t.Errorf("the help of %s has %d lines", cmd.Name(), len(lines))
		}
		for _, l := range lines {
			if len(l) > 120 {
				t.Errorf("the help of %s has a line of %d characters: %s", cmd.Name(), len(l), l)
			}
		}
		if cmd.Runnable() && cmd.Name() != "help" && cmd.Name() != "completion" && !strings.HasPrefix(strings.TrimSpace(lines[len(lines)-1]), "longrun") {
			t.Errorf("the help of %s does not end with an example but %q", cmd.Name(), lines[len(lines)-1])
		}
	}
}
